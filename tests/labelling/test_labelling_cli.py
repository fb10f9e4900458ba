import csv
import json
from functools import partial
from pathlib import Path

import pytest
from conftest import ROOT

COMMANDS = ["suggest", "start", "import", "adjudicate", "agreement", "review", "export"]
TEXT = "Sanctions on geese must bite harder. Only talks with the geese can help. The tenth goose was grey."


@pytest.fixture
def label(stance):
    """Run `stance label` here; return exit code, standard output and standard error."""
    return partial(stance, "label")


@pytest.fixture
def batch(project):
    """Write a filled batch of one new article, and the article."""
    Path("new").mkdir()
    Path("new/geese.txt").write_text(TEXT)
    rows = []
    for sentence, label in zip(TEXT.split(". "), ["pro-sanctions", "pro-dialogue", "neutral"], strict=True):
        sentence = sentence.rstrip(".") + "."
        start = TEXT.index(sentence)
        rows.append(["geese.txt", start, start + len(sentence), sentence, label])
    with open("batch.csv", "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["article_id", "start", "end", "text", "label"], *rows])
    return "batch.csv"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_shows_an_example(label, command):
    code, out, _ = label(command, "--help")
    assert code == 0 and "Example" in out and "stance label" in out


def test_suggest_says_how_many_of_each_label_and_what_is_next(label, project, champion):
    Path("geese.txt").write_text(TEXT)
    code, out, _ = label("suggest", "geese.txt", "--number", 2, "--output", "batch.csv", "--model", champion)
    assert (
        code == 0
        and out.startswith("Your own labels so far: ")
        and "\n2 of 3 sentences (" in out
        and "Next: `stance label batch.csv`" in out
    )


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("suggest", "--strategy", "mood"),
        ("suggest", "--number", 0),
        ("suggest", "--random-share", 1.5),
        ("review", "--order", "alphabet"),
        ("review", "--part", "middle"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_any_work(label, project, command, option, value):
    inputs = ["geese.txt"] if command == "suggest" else []
    code, _, err = label(command, *inputs, "--output", "batch.csv", option, value)
    assert code == 2 and f"Invalid value for '{option}'" in err and "Traceback" not in err


def test_import_says_what_it_did(label, batch):
    code, out, _ = label("import", batch, "--annotator", "ann", "--articles", "new")
    assert code == 0 and "3 annotations added (1 pro-sanctions, 1 pro-dialogue, 1 neutral)" in out


def test_import_twice_says_that_nothing_changed(label, batch):
    label("import", batch, "--annotator", "ann", "--articles", "new")
    assert "0 annotations added" in label("import", batch, "--annotator", "ann", "--articles", "new")[1]


def test_import_lists_all_problems_in_lines(label, batch):
    Path(batch).write_text(Path(batch).read_text().replace("pro-", "anti-").replace("neutral", "none"))
    code, _, err = label("import", batch, "--annotator", "ann", "--articles", "new")
    assert code == 2 and [line.partition(": unknown label")[0][-11:] for line in err.splitlines()] == [
        "batch.csv:2",
        "batch.csv:3",
        "batch.csv:4",
    ]


def test_an_article_that_is_not_there_is_said_once(label, batch):
    code, _, err = label("import", batch, "--annotator", "ann")
    assert code == 2 and len(err.splitlines()) == 1
    assert "batch.csv:2: no article 'geese.txt'; name its file with --articles" in err


def test_what_cannot_be_read_is_named_by_suggest_and_import(label, batch, champion):
    Path("new/geese.txt").write_bytes(b"Sanctions on \xe2\x80\x99geese\xff must bite.")
    line = f"{Path('new/geese.txt')}: broken UTF-8 at byte 21"
    code, _, err = label("suggest", "new", "--output", "again.csv", "--model", champion)
    assert code == 2 and f"no sentence is left to label ({line})" in err
    code, _, err = label("import", batch, "--annotator", "ann", "--articles", "new")
    assert code == 2 and err.splitlines()[1:] == [line]


def test_what_cannot_be_read_and_is_not_needed_stops_no_import(label, batch):
    Path("new/bread.pdf").write_bytes(b"bread")
    code, out, _ = label("import", batch, "--annotator", "ann", "--articles", "new")
    assert code == 0 and out.startswith("left out: new/bread.pdf: unknown kind of file")


def test_an_annotator_that_is_missing_is_said_once(label, batch):
    code, _, err = label("import", batch, "--articles", "new")
    assert code == 2 and err.splitlines() == ["stance: batch.csv:2: no annotator; name one with --annotator"]


@pytest.mark.parametrize("command", [["suggest", "new"], ["adjudicate"], ["review"]])
def test_answers_are_never_overwritten(label, batch, command):
    before = Path(batch).read_bytes()
    code, _, err = label(*command, "--output", batch)
    assert code == 2 and "batch.csv: is there already and holds 3 answers" in err
    assert Path(batch).read_bytes() == before


def test_a_file_that_is_no_batch_is_never_overwritten(label, batch):
    Path("diary.csv").write_text("dear,diary\nno,geese\n")
    code, _, err = label("suggest", "new", "--output", "diary.csv")
    assert code == 2 and "diary.csv: is there already and is no batch; name another file" in err


def test_a_batch_without_answers_may_be_suggested_again(label, batch, champion):
    command = ["suggest", "new", "--output", "again.csv", "--model", champion]
    assert (label(*command)[0], label(*command)[0]) == (0, 0)


def test_import_keeps_the_name_of_decisions(label, batch):
    assert "record them with `stance label adjudicate`" in label("import", batch, "--annotator", "adjudicated")[2]


def test_adjudicate_shows_conflicts_and_records_decisions(label, batch):
    label("import", batch, "--annotator", "ann", "--articles", "new")
    Path(batch).write_text(Path(batch).read_text().replace(",pro-dialogue", ",neutral"))
    label("import", batch, "--annotator", "bob")
    _, out, _ = label("adjudicate", "--output", "conflicts.jsonl")
    assert "ann: pro-dialogue, bob: neutral" in out and "1 sentences to decide" in out
    row = json.loads(Path("conflicts.jsonl").read_text())
    Path("conflicts.jsonl").write_text(json.dumps(row | {"label": "neutral", "note": "no talks are proposed"}))
    assert "1 annotations added" in label("adjudicate", "conflicts.jsonl")[1]
    assert "0 sentences to decide" in label("adjudicate")[1]


def test_agreement_prints_alpha_kappa_and_the_confusion(label, project):
    _, out, _ = label("agreement")
    lines = [line.split() for line in out.splitlines()]
    assert ["all", "0.939"] == lines[1][:2] and ["2019-02", "0.939"] == lines[5][:2]
    assert "ann (rows) and bob (columns): kappa 0.938" in out and ["neutral", "0", "1", "7"] in lines


def test_own_labels_come_first_and_what_ships_is_left_out_of_agreement(label, batch, stance):
    """All that lies here ships, but for the geese."""
    index = Path("seeds/index.csv")
    index.write_text(index.read_text().replace(",letter,", ",seed,"))
    label("import", batch, "--annotator", "ann", "--articles", "new")
    _, out, _ = label("agreement")
    assert out.startswith("Your own labels: 3 annotations (1 pro-sanctions, 1 pro-dialogue, 1 neutral). The 49 ")
    assert "No sentence of your own was annotated by two annotators yet." in out
    stance("split")
    _, out, _ = stance("data")
    assert out.startswith("Your own labels: 3 sentences of 1 articles (3 in the ")
    assert out.splitlines()[3].split()[0] == "own" and "No sentence of your own" in out


def test_data_names_equal_texts_with_two_labels(batch, label, stance):
    label("import", batch, "--annotator", "ann", "--articles", "new")
    for name in ("a", "b"):
        Path(f"new/{name}.txt").write_text("The tenth goose was grey.")
    rows = [["article_id", "start", "end", "text", "label"]]
    rows += [
        [f"{name}.txt", 0, 25, "The tenth goose was grey.", word]
        for name, word in zip("ab", ("neutral", "pro-dialogue"), strict=True)
    ]
    with open("more.csv", "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    label("import", "more.csv", "--annotator", "ann", "--articles", "new")
    stance("split")
    _, out, _ = stance("data")
    assert "1 texts have two labels or more:" in out
    assert "'The tenth goose was grey.': a.txt:0-25 is neutral, b.txt:0-25 is pro-dialogue, " in out


def test_a_mistake_is_corrected_by_the_command_that_the_refusal_names(label, batch):
    words = ["import", batch, "--annotator", "ann", "--articles", "new"]
    label(*words)
    Path(batch).write_text(Path(batch).read_text().replace("pro-dialogue", "neutral"))
    code, _, err = label(*words)
    assert code == 2 and "--correct" in err
    _, out, _ = label(*words, "--correct")
    assert "1 annotations took the place of earlier ones" in out
    assert [json.loads(line)["label"] for line in Path("labels/imported.jsonl").read_text().splitlines()] == [
        "pro-sanctions",
        "neutral",
        "neutral",
    ]


def test_agreement_without_a_second_opinion_says_so(label, project):
    rows = [line for line in Path("labels/letters.jsonl").read_text().splitlines() if '"ann"' in line]
    Path("labels/letters.jsonl").write_text("\n".join(rows))
    assert "No sentence was annotated by two annotators yet." in label("agreement")[1]


def test_export_writes_all_annotations(label, project):
    assert "49 annotations: all.csv" in label("export", "all.csv")[1]


def test_export_writes_examples_that_a_model_is_scored_on(label, project):
    label("export", "test.jsonl", "--examples", "--part", "test")
    row = json.loads(Path("test.jsonl").read_text().splitlines()[0])
    assert row == {
        "id": "letter-5:0-56",
        "text": "Stricter inspections would end the midnight coal picnic.",
        "label": "pro-sanctions",
        "article": "letter-5",
    }


def test_export_of_nothing_says_so(label, project):
    assert "there is nothing to export" in label("export", "x.jsonl", "--examples", "--sampling", "random")[2]


def test_the_codebook_of_this_repository_has_a_version():
    from pipeline.data.annotations import codebook_version

    assert codebook_version(ROOT / "labels")
