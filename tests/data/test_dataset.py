import csv
import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ARTICLES, LABEL_NAMES, ROOT, article_text

from pipeline.config import read_config
from pipeline.data.dataset import digest, load_dataset, read_labelled, to_dataset_dict
from pipeline.data.seeds import INDEX_COLUMNS, extend_index, read_seeds
from pipeline.data.sentences import cut
from pipeline.errors import InputError
from pipeline.labelling.agreement import measure_agreement

INDEX, LABELS, LETTERS = Path("seeds/index.csv"), Path("labels/letters.jsonl"), Path("seeds/letters.jsonl")
# Six words at least: fewer may repeat by chance.
GOSSIP = "The general keeps nine geese and one grudge."


def load():
    return load_dataset(read_config("configs/default.yaml"))


def refusal(function=load, *arguments):
    with pytest.raises(InputError) as caught:
        function(*arguments)
    return str(caught.value)


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def add(path, *more):
    with path.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in more)


def add_article(name, text, split="", label="neutral"):
    """Add an article that is one labelled sentence; with a row in the index if it has a part."""
    add(LETTERS, {"id": name, "text": text})
    span = {"article_id": name, "start": 0, "end": len(text), "text": text}
    add(LABELS, span | {"label": label, "annotator": "ann"})
    if split:
        add_row(name, split)


def add_row(name, split):
    with INDEX.open("a", encoding="utf-8") as stream:
        stream.write(f"{name},letter,{split},,,,\n")


# Joining


def test_every_labelled_sentence_is_an_example(project):
    assert len(load().examples) == 3 * len(ARTICLES)


def test_the_text_of_an_example_is_that_of_its_span(project):
    texts = {row["id"]: row["text"] for row in rows(LETTERS)}
    letters = [e for e in load().examples if e.article_id in texts]
    assert letters and all(texts[e.article_id][e.start : e.end] == e.text for e in letters)


def test_an_example_is_named_by_article_and_span(project):
    example = load().examples[0]
    assert example.id == f"kimchi.txt:0-{len(example.text)}"


def test_examples_of_an_article_are_numbered_in_order(project):
    assert [e.sentence_index for e in load().examples if e.article_id == "letter-3"] == [0, 1, 2]


def test_an_example_knows_what_the_index_says(project):
    example = load().examples[0]
    assert (example.split, example.origin, example.outlet, example.date) == (
        *("train", "letter"),
        *("The Daily Parley", "2019-02-28"),
    )


def test_an_example_knows_how_its_sentence_was_chosen(project):
    first, *others = rows(LABELS)
    LABELS.write_text("".join(json.dumps(row) + "\n" for row in [first | {"sampling": "margin"}, *others]))
    chosen = {example.id: example.sampling for example in load().examples}
    assert chosen.pop("{article_id}:{start}-{end}".format(**first)) == "margin" and set(chosen.values()) == {""}


def test_the_adjudication_is_the_label(project):
    judged = {row["annotator"]: row["label"] for row in rows(LABELS)[-3:]}
    assert judged == {"ann": "neutral", "bob": "pro-dialogue", "adjudicated": "neutral"}
    assert [e.label for e in load().examples if e.article_id == "letter-6"][-1] == "neutral"


def test_a_part_holds_its_own_articles(project):
    assert {e.article_id for e in load().part("test")} == {"letter-5", "letter-6"}


def test_articles_without_a_label_are_counted(project):
    add(LETTERS, {"id": "letter-7", "text": GOSSIP})
    assert load().unlabelled == 1


def test_an_article_without_a_label_needs_no_row_in_the_index(project):
    add(LETTERS, {"id": "letter-7", "text": GOSSIP})
    assert "letter-7" not in {e.article_id for e in load().examples}


def test_a_limit_takes_that_many_articles_of_each_origin_and_part(project):
    config = read_config("configs/default.yaml")
    limited = config.model_copy(update={"data": config.data.model_copy(update={"limit": 1})})
    assert [(e.article_id, e.split) for e in load_dataset(limited).examples[::3]] == [
        ("kimchi.txt", "train"),
        ("letter-5", "test"),
    ]


def test_the_same_data_has_the_same_digest(project):
    assert load().digest == load().digest


def test_another_label_makes_another_digest(project):
    examples = load().examples
    assert digest([replace(examples[0], label="neutral"), *examples[1:]]) != digest(examples)


# What is broken in the seeds


def test_missing_seeds_are_named(project):
    INDEX.parent.rename("elsewhere")
    assert refusal().startswith("seeds: no such folder")


def test_seeds_without_an_article_are_named(project):
    for path in [LETTERS, *Path("seeds").glob("*.txt")]:
        path.unlink()
    assert refusal().startswith("seeds: holds no article")


def test_a_broken_seed_is_named_by_file_and_line(project):
    with LETTERS.open("a") as stream:
        stream.write("{soup\n")
    assert refusal().startswith("seeds/letters.jsonl:7: is no JSON")


def test_two_articles_of_one_id_are_refused(project):
    add(LETTERS, {"id": "kimchi.txt", "text": GOSSIP})
    assert refusal() == "seeds: two articles have the id 'kimchi.txt'; expected one; rename one"


# What is broken in the labels


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"label": "hungry"}, "unknown label 'hungry'; expected pro-sanctions, pro-dialogue, neutral"),
        ({"start": 1}, "span 1:71 of kimchi.txt is 'ougher sanctions must stay"),
        ({"article_id": "lunch.txt"}, "no article 'lunch.txt'"),
        ({"annotator": "bob"}, "bob annotated this span already at labels/letters.jsonl:2"),
    ],
)
def test_a_broken_label_is_named_by_file_and_line(project, change, why):
    add(LABELS, rows(LABELS)[0] | {"annotator": "cho"} | change)
    number = len(rows(LABELS))
    assert refusal().startswith(f"labels/letters.jsonl:{number}: {why}")


def test_spans_that_overlap_are_refused(project):
    first = rows(LABELS)[0]
    add(LABELS, first | {"start": 8, "text": first["text"][8:]})
    assert refusal() == (
        f"labels/letters.jsonl:{len(rows(LABELS))}: overlaps the span 0:{first['end']}; expected spans side by side"
    )


def test_annotators_who_are_evenly_split_are_named(project):
    add(LABELS, rows(LABELS)[0] | {"annotator": "cho", "label": "neutral"})
    add(LABELS, rows(LABELS)[0] | {"annotator": "dok", "label": "neutral"})
    assert "ann says pro-sanctions, bob says pro-sanctions, cho says neutral, dok says neutral" in refusal()


# What is broken in the index


def test_a_missing_index_says_what_makes_one(project):
    INDEX.unlink()
    assert refusal().endswith("run `stance split`")


def test_an_article_without_a_row_in_the_index_is_named(project):
    add_article("letter-7", GOSSIP)
    assert refusal() == "seeds/index.csv: no row for 'letter-7', which has labels; run `stance split`"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("letter-1,letter,train,,,,", "duplicate article_id letter-1; remove one row"),
        ("lunch.txt,letter,train,,,,", "no article 'lunch.txt' in seeds; remove the row"),
        ("letter-7,letter,dinner,,,,", "split 'dinner'; expected train, validation, test"),
        ("letter-7,letter,train", "fewer columns than the first line"),
        ("letter-7,letter,train,,,,,soup", "more columns than the first line names"),
    ],
)
def test_a_broken_row_of_the_index_is_named_by_file_and_line(project, row, why):
    add_article("letter-7", GOSSIP)
    with INDEX.open("a") as stream:
        stream.write(row + "\n")
    assert refusal() == f"seeds/index.csv:{2 + len(ARTICLES)}: {why}"


def test_a_seed_may_have_its_suffix_in_capitals_and_a_readme_is_none(project):
    (Path("seeds") / "Report.TXT").write_text(GOSSIP)
    (Path("seeds") / "README.md").write_text("# What lies here")
    assert "Report.TXT" in read_seeds(Path("seeds")) and "README.md" not in read_seeds(Path("seeds"))


def test_an_index_with_other_columns_is_refused(project):
    INDEX.write_text("article,split\nletter-1,train\n")
    assert refusal().startswith("seeds/index.csv:1: columns article, split; expected article_id,origin,split")


def test_an_index_that_is_no_utf8_is_refused(project):
    INDEX.write_bytes(INDEX.read_bytes() + "제재".encode() + b"caf\xe9,letter,train,,,,\n")
    assert refusal() == f"seeds/index.csv:{2 + len(ARTICLES)}: holds bytes that are no UTF-8"


def test_an_index_stored_by_a_spreadsheet_is_read(project):
    before = load().digest
    INDEX.write_bytes(b"\xef\xbb\xbf" + INDEX.read_bytes().replace(b"\n", b"\r\n"))
    assert load().digest == before


# Near-duplicates and leaks


def test_near_duplicates_across_the_split_are_refused(project):
    add_article("copy", article_text("letter-1"), split="test")
    assert refusal() == (
        "seeds/index.csv: letter-1 is in train and its near-duplicate copy in test; "
        "expected one side; change the `split` of one"
    )


def test_near_duplicates_on_one_side_share_a_group(project):
    add_article("copy", article_text("letter-1"), split="train")
    groups = {e.article_id: e.group for e in load().examples}
    assert groups["copy"] == groups["letter-1"] == "copy"


def test_near_duplicates_on_one_side_are_reported(project):
    add_article("copy", article_text("letter-1"), split="train")
    assert [(pair.first, pair.second) for pair in load().duplicates] == [("letter-1", "copy")]


@pytest.fixture
def leaking(project):
    """Let the train part gossip about what the test part says too."""
    for name, split in (("letter-8", "train"), ("letter-7", "test")):
        prefix = " ".join(f"{name}{word}" for word in "abcdefghijklmnopqrst")
        text = f"{prefix}. {GOSSIP}"
        add(LETTERS, {"id": name, "text": text})
        span = {"article_id": name, "start": len(text) - len(GOSSIP), "end": len(text), "text": GOSSIP}
        add(LABELS, span | {"label": "neutral", "annotator": "ann"})
        add_row(name, split)
    return load()


def test_a_sentence_of_both_parts_is_reported_with_the_train_part_first(leaking):
    (leak,) = leaking.leaks
    assert leak.first.startswith("letter-8:") and leak.second.startswith("letter-7:")


def test_a_leaking_sentence_is_withheld_from_training(leaking):
    assert GOSSIP not in {e.text for e in leaking.part("train")}


def test_a_leaking_sentence_stays_in_the_test_part(leaking):
    assert GOSSIP in {e.text for e in leaking.part("test")}


# Parts that are used apart


def give_part(article, origin, split):
    INDEX.write_text(INDEX.read_text().replace(f"{article},letter,train", f"{article},{origin},{split}"))


def test_an_article_of_ones_own_may_be_there_to_choose_by(project):
    give_part("letter-1", "letter", "validation")
    assert {e.article_id for e in load().part("validation")} == {"letter-1"}


@pytest.mark.parametrize("split", ["validation", "test"])
def test_contrast_that_is_not_trained_on_is_in_no_other_part(project, split):
    give_part("letter-1", "contrast", split)
    dataset = load()
    parts = {e.split for e in dataset.examples if e.article_id == "letter-1"}
    assert parts == {f"contrast-{split}"} and "letter-1" not in {e.article_id for e in dataset.part(split)}


def test_a_new_article_is_for_training_or_for_the_test_whatever_others_are_for(project):
    give_part("letter-1", "letter", "validation")
    add_article("letter-7", GOSSIP)
    (new,) = extend()
    assert new["split"] in ("train", "test") and load().part("validation")


# Extending the index


def extend():
    return extend_index(read_config("configs/default.yaml"))


def index_rows():
    with INDEX.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_newly_labelled_article_gets_a_part(project):
    add_article("letter-7", GOSSIP)
    (new,) = extend()
    assert new["article_id"] == "letter-7" and new["split"] in ("train", "test")


def test_the_extended_index_can_be_loaded(project):
    add_article("letter-7", GOSSIP)
    extend()
    assert "letter-7" in {e.article_id for e in load().examples}


def test_what_has_a_part_never_moves(project):
    before = index_rows()
    for number in range(7, 30):
        add_article(f"letter-{number}", f"Goose number {number} said {number**5} things, none on talks.")
    extend()
    assert index_rows()[: len(before)] == before


def test_an_index_that_is_complete_is_left_alone(project):
    before = INDEX.read_bytes()
    assert (extend(), INDEX.read_bytes()) == ([], before)


def test_an_article_without_labels_gets_no_row(project):
    add(LETTERS, {"id": "letter-7", "text": GOSSIP})
    assert extend() == []


def test_without_an_index_one_is_made(project):
    INDEX.unlink()
    extend()
    assert {row["article_id"] for row in index_rows()} == ARTICLES.keys()


def test_a_made_index_has_the_columns_that_are_expected(project):
    INDEX.unlink()
    extend()
    assert tuple(index_rows()[0]) == INDEX_COLUMNS


def test_a_made_index_has_both_parts(project):
    INDEX.unlink()
    extend()
    assert {row["split"] for row in index_rows()} == {"train", "test"}


def test_a_new_row_takes_over_title_outlet_and_date(project):
    INDEX.unlink()
    extend()
    assert {row["article_id"]: row["title"] for row in index_rows()}["letter-1"] == "On letter-1"


@pytest.mark.parametrize("original", ["letter-1", "letter-5"])
def test_a_copy_joins_the_part_of_its_original(project, original):
    add_article("copy", article_text(original))
    extend()
    parts = {row["article_id"]: row["split"] for row in index_rows()}
    assert parts["copy"] == ARTICLES[original][0]


def test_a_copy_joins_its_original_that_has_no_labels(project):
    add(LETTERS, {"id": "letter-7", "text": GOSSIP})
    add_row("letter-7", "test")
    add_article("copy", GOSSIP)
    extend()
    assert {row["article_id"]: row["split"] for row in index_rows()}["copy"] == "test"


# Labelled tables of users


@pytest.fixture
def labelled(tmp_path):
    def written(name, content):
        path = tmp_path / name
        path.write_text(content)
        return read_labelled(path, LABEL_NAMES)

    return written


ROW = {"id": 1, "text": GOSSIP, "label": "neutral"}


def test_a_labelled_table_becomes_examples_of_the_test_part(labelled):
    (example,) = labelled("mine.jsonl", json.dumps(ROW))
    assert (example.article_id, example.text, example.label, example.split) == ("1", GOSSIP, "neutral", "test")


def test_a_labelled_csv_is_read(labelled):
    assert [e.label for e in labelled("mine.csv", f"id,text,label\n1,{GOSSIP},neutral\n")] == ["neutral"]


def test_rows_of_one_article_share_a_group(labelled):
    found = labelled("mine.jsonl", "\n".join(json.dumps(ROW | {"id": n, "article": "geese"}) for n in (1, 2)))
    assert {e.group for e in found} == {"geese"}


def test_the_origin_is_the_source_or_else_the_file(labelled):
    content = json.dumps(ROW) + "\n" + json.dumps(ROW | {"id": 2, "source": "radio"})
    assert [e.origin for e in labelled("mine.jsonl", content)] == ["mine", "radio"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{soup", "is no JSON"),
        (json.dumps({"id": 2, "label": "neutral"}), "no text; expected id, text, label"),
        (json.dumps({"id": 2}), "no text, label; expected id, text, label"),
        (json.dumps(ROW | {"id": 2, "label": "hungry"}), "unknown label 'hungry'; expected pro-sanctions,"),
        (json.dumps(ROW | {"id": "1"}), "duplicate id '1'; expected unique ids"),
    ],
)
def test_a_broken_labelled_row_is_named_by_file_and_line(tmp_path, labelled, line, why):
    message = refusal(labelled, "mine.jsonl", json.dumps(ROW) + "\n" + line)
    assert message.startswith(f"{tmp_path / 'mine.jsonl'}:2: {why}")


def test_a_labelled_table_that_is_not_there_is_named(tmp_path):
    assert "mine.csv: no such file; expected a labelled .jsonl" in refusal(
        read_labelled, tmp_path / "mine.csv", LABEL_NAMES
    )


def test_a_labelled_table_without_a_row_is_named(labelled):
    assert "holds no row; expected id, text, label" in refusal(labelled, "mine.csv", "id,text,label\n")


def test_a_labelled_table_of_an_unknown_kind_is_named(labelled):
    assert "mine.txt: unknown kind of file; expected .jsonl" in refusal(labelled, "mine.txt", GOSSIP)


# As a DatasetDict


def test_a_dataset_dict_has_the_parts_and_label_names_in_order(project):
    found = to_dataset_dict(load(), LABEL_NAMES)
    assert {split: (len(part), tuple(part.features["label"].names)) for split, part in found.items()} == {
        "train": (18, LABEL_NAMES),
        "test": (6, LABEL_NAMES),
    }


def test_rows_of_a_dataset_dict_carry_the_id(project):
    dataset = load()
    assert to_dataset_dict(dataset, LABEL_NAMES)["test"]["id"][:] == [e.id for e in dataset.part("test")]


# The data of this repository


def test_one_real_article_is_in_each_part(repository):
    real = {(e.split, e.article_id) for e in repository.examples if e.origin == "seed"}
    assert Counter(split for split, _ in real) == {"train": 1, "test": 1}


@pytest.mark.parametrize("name", ["000_b9c68dfbacdd035b.txt", "004_f539c37ecbe7f26d.txt"])
def test_every_sentence_of_a_real_article_is_labelled(repository, name):
    sentences = cut((ROOT / "seeds" / name).read_bytes().decode("utf-8"))
    labelled = {(e.start, e.end) for e in repository.examples if e.article_id == name}
    assert labelled == {(sentence.start, sentence.end) for sentence in sentences}


def test_annotators_of_the_repository_agree(repository):
    assert measure_agreement(repository.annotations, LABEL_NAMES).alpha > 0.9


def test_each_label_is_in_both_parts_of_the_repository(repository):
    parts = ("train", "test", "contrast-validation", "contrast-test")
    assert {(e.split, e.label) for e in repository.examples} == {
        (part, label) for part in parts for label in LABEL_NAMES
    }


def test_a_contrast_group_is_whole_and_in_the_part_that_its_id_says(repository):
    rows = [e for e in repository.examples if e.origin == "contrast"]
    numbers = {e.article_id: int(hashlib.sha1(e.article_id.encode()).hexdigest(), 16) % 10 for e in rows}
    parts = ["contrast-test", "contrast-test", "contrast-validation", *["train"] * 7]
    assert len(rows) > 6000 and all(e.split == parts[numbers[e.article_id]] for e in rows)


def test_no_two_contrast_groups_are_taken_for_one(repository):
    groups = {e.article_id: e.group for e in repository.examples if e.origin == "contrast"}
    assert len(groups) == len(set(groups.values())) > 2000


def test_no_article_of_the_repository_is_without_a_label(repository):
    assert repository.unlabelled == 0
