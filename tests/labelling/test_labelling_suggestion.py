import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ARTICLES, article_text

from pipeline.config import read_config
from pipeline.data.annotations import codebook_version
from pipeline.data.articles import Article
from pipeline.data.sentences import Sentence
from pipeline.errors import InputError
from pipeline.labelling import suggestion
from pipeline.labelling.choice import Plan
from pipeline.labelling.project import Project, read_project
from pipeline.labelling.suggestion import Pool, _drop_repeats, gather, suggest
from pipeline.progress import ignore_progress
from pipeline.scoring.decision import DecisionRule

GEESE = [
    "The general keeps nine geese behind the ministry.",
    "Sanctions on geese must bite harder, said the keeper of the pond.",
    "Only talks with the geese can help, replied his deputy at once.",
    "The tenth goose was grey and cost twelve won.",
]
ALL = Plan(number=100, random_share=0)


@pytest.fixture
def new(project):
    """Write new articles, by name and text; return their folder."""
    Path("new").mkdir()

    def written(**texts):
        for name, text in texts.items():
            Path("new", f"{name}.txt").write_text(text)
        return ["new"]

    return written


def config():
    return read_config("configs/default.yaml")


def offered(inputs):
    return [sentence.text for _, sentence in gather(inputs, read_project(config())).sentences]


def left_out(inputs):
    return {why: n for why, n in gather(inputs, read_project(config())).left_out.items() if n}


def rows(inputs, bundle, plan=ALL):
    return suggest(inputs, bundle, config(), plan, ignore_progress).rows


def test_new_sentences_are_offered(new):
    assert offered(new(geese=" ".join(GEESE))) == GEESE


def test_what_is_labelled_is_not_offered(project):
    Path("seeds/noodles.txt").write_text(article_text("noodles.txt") + " A new line on soup follows here.")
    assert offered(["seeds/noodles.txt"]) == ["A new line on soup follows here."]


def test_what_says_the_same_as_a_labelled_sentence_is_not_offered(new):
    twin = "Tougher sanctions must stay until the last centrifuge ferments cabbage soup."
    assert offered(new(twin=f"{twin} {GEESE[0]}")) == GEESE[:1]


def test_a_short_sentence_that_is_known_is_not_offered(new):
    assert left_out(new(green="THE HOTLINE IS GREEN!")) == {"repeat what is known": 1}


def test_the_same_sentence_in_two_articles_is_offered_once(new):
    inputs = new(a=" ".join(GEESE[:2]), b=f"{GEESE[1]} {GEESE[3]}")
    assert offered(inputs) == [GEESE[0], GEESE[1], GEESE[3]]


def test_a_sentence_that_stands_in_very_many_articles_is_offered_once(new):
    texts = {f"a{n}": f"{GEESE[1]} Goose number {n} said its own name aloud {n} times." for n in range(45)}
    assert offered(new(**texts)).count(GEESE[1]) == 1


def test_a_sentence_like_a_repeat_alone_is_offered():
    """The second repeats the first, and the third the second; what was left out keeps nothing else out."""
    words = [f"word{n}" for n in range(30)]
    first, second, third = (" ".join([*words[n : n + 20], "."]) for n in (0, 3, 6))
    pool = Pool([(Article("a", ""), Sentence(n, 0, 0, text)) for n, text in enumerate((first, second, third))])
    _drop_repeats(pool, Project({}, {}, ()))
    assert [sentence.text for _, sentence in pool.sentences] == [first, third]


def test_what_the_corpora_hold_is_not_offered(new):
    row = {"id": "c", "text": GEESE[1], "label": "neutral", "source": "un", "split": "train"}
    Path("corpora.jsonl").write_text(json.dumps(row))
    Path("configs/default.yaml").write_text(Path("configs/default.yaml").read_text() + "data: {corpora: corpora.jsonl}")
    assert offered(new(geese=" ".join(GEESE))) == [GEESE[0], *GEESE[2:]]


def test_nothing_of_a_test_article_is_offered(project):
    assert left_out(["seeds/letters.jsonl"])["of the test part"] == 6


def test_nothing_of_a_test_article_without_labels_is_offered(project, new):
    Path("seeds/goose.txt").write_text(" ".join(GEESE))
    with Path("seeds/index.csv").open("a") as index:
        index.write("goose.txt,letter,test,,,,\n")
    assert left_out(["seeds/goose.txt"]) == {"of the test part": 4}


def test_a_near_duplicate_of_a_test_article_is_not_offered(new):
    copy = article_text("letter-5") + " And one more line."
    assert left_out(new(copy=copy)) == {"of the test part": 4}


def test_a_sentence_that_a_test_article_holds_is_not_offered(new):
    stolen = ARTICLES["letter-6"][1][0][0]
    assert offered(new(geese=" ".join([*GEESE, stolen]))) == GEESE


def test_an_unlabelled_sentence_that_a_test_article_holds_is_not_offered(new):
    hall = "Nobody in the hall had a question on geese, and lunch was as late as it had been for all the years before."
    Path("seeds/hall.txt").write_text(f"{GEESE[1]} {hall}")
    with Path("seeds/index.csv").open("a") as index:
        index.write("hall.txt,letter,test,,,,\n")
    assert offered(new(geese=" ".join(GEESE))) == [GEESE[0], *GEESE[2:]]


def test_another_text_under_a_known_id_is_rejected(new):
    inputs = new(noodles="Other noodles altogether.")
    assert [reject.why for reject in gather(inputs, read_project(config())).rejects] == [
        "has the id of an article in the seeds and another text; rename it"
    ]


def test_a_second_article_with_an_id_is_rejected(project):
    lines = [json.dumps({"id": "goose", "text": text}) + "\n" for text in GEESE[:2]]
    Path("new.jsonl").write_text("".join(lines))
    pool = gather(["new.jsonl"], read_project(config()))
    assert len(pool.sentences) == 1 and "a second article with this id" in pool.rejects[0].why


def test_a_row_carries_what_an_annotator_needs(new, bundle):
    Path("new").joinpath("pond.jsonl").write_text(
        json.dumps({"id": "pond", "text": " ".join(GEESE), "title": "Pond", "date": "2019", "outlet": "Honk"})
    )
    row = rows(["new/pond.jsonl"], bundle)[1]
    found = {name: row[name] for name in ("article_id", "start", "end", "previous", "text", "title", "date", "outlet")}
    assert found == {"article_id": "pond", "start": 50, "end": 115, "previous": GEESE[0], "text": GEESE[1]} | {
        "title": "Pond",
        "date": "2019",
        "outlet": "Honk",
    }


def test_a_row_knows_what_the_model_thinks(new, bundle):
    row = rows(new(geese=" ".join(GEESE)), bundle)[1]
    probabilities = bundle.predict_proba([GEESE[1]])[0]
    assert row["guess"] == bundle.label_names[probabilities.argmax()]
    assert row["confidence"] == pytest.approx(probabilities.max(), abs=1e-4)


def test_the_rule_of_the_model_decides_what_it_thinks(new, bundle):
    rule = DecisionRule(tuple(99.0 * (name == "pro-dialogue") for name in bundle.label_names))
    eager = replace(bundle, manifest=bundle.manifest.model_copy(update={"decision": rule}))
    assert {row["guess"] for row in rows(new(geese=" ".join(GEESE)), eager)} == {"pro-dialogue"}


def test_sentences_are_scored_in_chunks_that_change_nothing(new, bundle, monkeypatch):
    inputs = new(geese=" ".join(GEESE))
    whole = rows(inputs, bundle)
    monkeypatch.setattr(suggestion, "CHUNK", 3)
    assert [row["guess"] for row in rows(inputs, bundle)] == [row["guess"] for row in whole]
    assert [row["confidence"] for row in rows(inputs, bundle)] == pytest.approx([row["confidence"] for row in whole])


def test_a_row_knows_the_codebook(new, bundle):
    Path("labels/CODEBOOK.md").write_text("# Codebook, version 3.1: geese\n")
    assert rows(new(geese=GEESE[0]), bundle)[0]["codebook"] == "3.1"


def test_a_batch_is_in_reading_order(new, bundle):
    found = rows(new(a=" ".join(GEESE[:2]), b=" ".join(GEESE[2:])), bundle)
    assert [row["text"] for row in found] == GEESE


def test_a_batch_has_the_size_that_was_asked_for(new, bundle):
    text = " ".join(f"Goose number {n} asked for {n + 7} talks and {n * 3} loaves." for n in range(40))
    assert len(rows(new(geese=text), bundle, Plan(number=12))) == 12


def test_without_any_labels_everything_is_new(new, bundle):
    Path("labels/letters.jsonl").unlink()
    Path("seeds/index.csv").unlink()
    assert len(rows(new(geese=" ".join(GEESE)), bundle)) == 4


def test_nothing_left_to_label_is_said_with_the_reasons(project, bundle):
    with pytest.raises(InputError, match="no sentence is left to label .18 labelled already, 6 of the test part."):
        rows(["seeds/letters.jsonl", "seeds/kimchi.txt", "seeds/noodles.txt"], bundle)


@pytest.mark.parametrize(("heading", "version"), [("# Codebook, version 2: geese", "2"), ("# Codebook", "")])
def test_the_version_of_the_codebook_stands_in_its_heading(tmp_path, heading, version):
    (tmp_path / "CODEBOOK.md").write_text(heading + "\n\nversion 9\n")
    assert codebook_version(tmp_path) == version
