import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from pipeline.config import read_config
from pipeline.data.annotations import ADJUDICATED, read_labels
from pipeline.data.articles import Article
from pipeline.data.dataset import load_dataset
from pipeline.data.formats.rows import Row
from pipeline.errors import InputError
from pipeline.labelling.agreement import annotation_rows, conflicts, estimate_shares, example_rows
from pipeline.labelling.importing import import_batch
from pipeline.labelling.project import read_project

GEESE = "The general’s nine geese – all grey – want talks. Sanctions must bite, said the tenth."
SOUP = Article("007", GEESE, date="2019-02-28")


def row(start=0, end=49, label="pro-dialogue", line=2, key="007", text=None, **fields):
    text = GEESE[start:end] if text is None else text
    return Row(
        f"batch.csv:{line}", {"article_id": key, "start": start, "end": end, "text": text, "label": label} | fields
    )


def second(label="pro-sanctions", line=3, **fields):
    return row(50, len(GEESE), label, line, **fields)


def take(*rows, annotator="ann", articles=("soup.jsonl",), **options):
    Path("soup.jsonl").write_text(json.dumps({"id": SOUP.id, "text": SOUP.text, "date": SOUP.date}))
    return import_batch(rows, read_config("configs/default.yaml"), annotator=annotator, articles=articles, **options)


def stored():
    file = Path("labels/imported.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def error(*rows, **options):
    """Return the first problem: where, what, expected and then are its fields."""
    with pytest.raises(InputError) as caught:
        take(*rows, **options)
    return caught.value


def refusal(*rows, **options):
    with pytest.raises(InputError) as caught:
        take(*rows, **options)
    return str(caught.value)


@pytest.mark.parametrize("value", ["9" * 5000, "-1", "1e3", "٣" * 30])
def test_a_number_that_is_none_is_refused_in_few_words(project, value):
    found = error(row() if not value else Row("batch.csv:2", row().fields | {"start": value}))
    assert found.where == "batch.csv:2" and found.what.startswith("`start` is ") and len(found.what) < 80


def test_a_row_becomes_a_label(project):
    take(row(sampling="random", note="honk"))
    assert stored() == [
        {"article_id": "007", "start": 0, "end": 49, "text": GEESE[:49], "label": "pro-dialogue", "annotator": "ann"}
        | {"note": "honk", "sampling": "random"}
    ]


def test_what_was_imported_is_read_like_all_labels(project):
    take(row())
    assert read_labels(Path("labels"), ["pro-sanctions", "pro-dialogue", "neutral"])[0].article_id == "007"


def test_the_article_of_a_label_joins_the_seeds(project):
    assert take(row()).articles == ["007"]
    assert read_project(read_config("configs/default.yaml")).articles["007"] == SOUP


def test_an_article_that_no_label_needs_stays_outside(project):
    Path("stew.txt").write_text("Stew for nobody.")
    assert take(row(), articles=["soup.jsonl", "stew.txt"]).articles == ["007"]
    assert "Stew" not in Path("seeds/imported-articles.jsonl").read_text()


def test_the_same_file_twice_changes_nothing(project):
    take(row(), second())
    before = Path("labels/imported.jsonl").read_bytes(), Path("seeds/imported-articles.jsonl").read_bytes()
    done = take(row(), second())
    after = Path("labels/imported.jsonl").read_bytes(), Path("seeds/imported-articles.jsonl").read_bytes()
    assert (done.added, done.known, after) == ([], 2, before)


def test_a_row_without_label_is_counted_and_left(project):
    assert take(row(label=" ")).unlabelled == 1 and stored() == []


def test_several_annotators_of_a_sentence_are_kept_apart(project):
    take(row())
    take(row(label="neutral"), annotator="bob")
    assert [(r["annotator"], r["label"]) for r in stored()] == [("ann", "pro-dialogue"), ("bob", "neutral")]


def test_a_name_that_a_row_has_comes_behind_the_name_of_the_import(project):
    take(row(annotator="3"), annotator="team")
    assert stored()[0]["annotator"] == "team-3"


def test_a_name_that_a_row_has_is_enough(project):
    take(row(annotator="cho"), annotator="")
    assert stored()[0]["annotator"] == "cho"


def test_a_name_that_is_that_of_the_import_stands_once(project):
    take(row(annotator="ann"))
    assert stored()[0]["annotator"] == "ann"


def test_a_file_whose_last_line_does_not_end_is_gone_on_with(project):
    take(row())
    Path("labels/imported.jsonl").write_text(Path("labels/imported.jsonl").read_text().rstrip("\n"))
    take(second())
    assert [r["start"] for r in stored()] == [0, 50]


def test_evenly_split_annotators_are_counted(project):
    take(row())
    assert take(row(label="neutral"), annotator="bob").undecided == 1


# Spreadsheets


@pytest.mark.parametrize(
    "text",
    [
        "The general's nine geese - all grey - want talks.",
        "The general’s  nine geese – all grey – want\xa0talks.",
        "The generalâ€™s nine geese â€“ all grey â€“ want talks.",
        '"The general’s nine geese – all grey – want talks."',
    ],
)
def test_quotes_that_a_spreadsheet_changed_are_restored(project, text):
    assert take(row(text=text)).restored == 1 and stored()[0]["text"] == GEESE[:49]


def test_leading_zeros_that_a_spreadsheet_dropped_are_restored(project):
    assert take(row(key=7)).restored == 1 and stored()[0]["article_id"] == "007"


def test_an_id_that_may_be_that_of_two_articles_is_refused(project):
    Path("seeds/other.jsonl").write_text(json.dumps({"id": "07", "text": GEESE}) + "\n")
    assert refusal(row(key=7)) == "batch.csv:2: article '7' may be any of 007, 07; restore the id"


def test_numbers_that_a_spreadsheet_made_decimal_are_read(project):
    take(Row("batch.csv:2", row().fields | {"start": "0", "end": "49.0"}))
    assert stored()[0]["end"] == 49


@pytest.mark.parametrize("label", ["Pro-Dialogue", "PRO DIALOGUE", " pro_dialogue ", "pro–dialogue"])
def test_labels_in_other_capitals_are_understood(project, label):
    take(row(label=label))
    assert stored()[0]["label"] == "pro-dialogue"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (
            row(label="neutre"),
            "unknown label 'neutre'; expected pro-sanctions, pro-dialogue, neutral; did you mean 'neutral'?",
        ),
        (row(label="制裁"), "unknown label '制裁'; expected pro-sanctions, pro-dialogue, neutral"),
        (row(text="The general’s nine ducks – all grey – want talks."), "span 0:49 of 007 is"),
        (row(text=""), "no text"),
        (row(key="goose.txt"), "no article 'goose.txt'"),
        (Row("batch.csv:2", row().fields | {"start": "1,2"}), "`start` is '1,2'"),
        (Row("batch.csv:2", row().fields | {"end": 4900, "text": GEESE}), "span 0:4900 of 007"),
        (Row("batch.csv:2", row().fields | {"start": 49, "end": 0}), "span 49:0 of 007"),
        (
            Row("batch.csv:2", row().fields | {"label": "pro-dialogue, neutral"}),
            "unknown label 'pro-dialogue, neutral'",
        ),
    ],
)
def test_a_row_that_cannot_be_taken_is_named_by_file_and_line(project, wrong, why):
    assert refusal(wrong).startswith(f"batch.csv:2: {why}")


def test_an_edited_text_is_shown_from_where_it_differs(project):
    message = refusal(second(text="Sanctions must bite, said the ninth."))
    assert "is ...'must bite, said the tenth.', the row says 'must bite, said the ninth.'" in message


def test_all_problems_are_told_at_once_and_nothing_is_written(project):
    message = refusal(row(label="hungry"), second(line=3), row(text="edited", line=4))
    assert [line.partition(": ")[0] for line in message.splitlines()] == ["batch.csv:2", "batch.csv:4"]
    assert stored() == [] and not Path("seeds/imported-articles.jsonl").exists()


def test_two_labels_of_one_annotator_in_a_file_are_a_conflict(project):
    found = error(row(), row(label="neutral", line=9), correct=True)
    assert (found.where, found.what) == ("batch.csv:9", "ann says neutral here and pro-dialogue at batch.csv:2")
    assert found.then == "correct one of the two"


def test_the_same_row_twice_in_a_file_counts_once(project):
    done = take(row(), row(line=9))
    assert (len(done.added), done.known) == (1, 1)


def test_another_label_than_before_is_a_conflict(project):
    take(row())
    found = error(row(label="neutral"))
    assert (found.where, found.expected) == ("batch.csv:2", "one label")
    assert found.what == "ann says neutral here and pro-dialogue at labels/imported.jsonl:1"
    assert "--correct" in found.then


def test_a_correction_takes_the_place_of_the_earlier_label_and_of_nothing_else(project):
    take(row(), second(), annotator="ann")
    take(row(), annotator="bob")
    done = take(row(label="neutral", note="a slip"), correct=True)
    assert (len(done.added), len(done.corrected), done.undecided) == (0, 1, 1)
    assert [(each["label"], each["annotator"], each.get("note")) for each in stored()] == [
        ("neutral", "ann", "a slip"),
        ("pro-sanctions", "ann", None),
        ("pro-dialogue", "bob", None),
    ]


def test_a_correction_finds_its_label_in_any_file(project):
    file = Path("labels/letters.jsonl")
    before = file.read_text().splitlines()
    old = json.loads(before[0])
    take(row(0, old["end"], "neutral", key=old["article_id"], text=old["text"]), annotator="ann", correct=True)
    after = file.read_text().splitlines()
    assert json.loads(after[0])["label"] == "neutral" and after[1:] == before[1:] and stored() == []


def test_a_correction_of_the_test_part_needs_a_reason(project):
    old = next(
        each
        for each in map(json.loads, Path("labels/letters.jsonl").read_text().splitlines())
        if each["article_id"] == "letter-5"
    )
    given = {"start": old["start"], "end": old["end"], "key": "letter-5", "text": old["text"]}
    words = [old["label"], *(name for name in ("neutral", "pro-dialogue") if name != old["label"])]
    take(row(label=words[1], note="both misread it", **given), annotator="bob", correct=True)
    found = error(row(label=words[1], **given), annotator="ann", correct=True)
    assert found.what.startswith("letter-5 is in the test part") and found.expected == "a reason in `note`"


def test_a_span_that_overlaps_a_label_is_refused(project):
    take(row())
    assert "batch.csv:2: spans 0:49 and 10:60 of 007 overlap" in refusal(row(10, 60))


def test_an_import_without_annotator_is_refused(project):
    assert "no annotator; name one with --annotator" in refusal(row(), annotator="")


def test_a_new_article_with_the_id_of_another_is_refused(project):
    Path("seeds/other.jsonl").write_text(json.dumps({"id": "007", "text": "Other geese."}) + "\n")
    assert "007: has the id of an article in the seeds and another text" in refusal(row())


def test_labels_of_another_codebook_are_refused(project):
    Path("labels/CODEBOOK.md").write_text("# Codebook, version 3: geese\n")
    assert "was labelled under codebook 2; expected 3" in refusal(row(codebook="2"))


@pytest.mark.parametrize("version", ["3", "3.0"])
def test_a_version_may_have_become_a_decimal(project, version):
    Path("labels/CODEBOOK.md").write_text("# Codebook, version 3: geese\n")
    assert len(take(row(codebook=version)).added) == 1


def test_labels_of_another_codebook_are_taken_if_asked_for(project):
    Path("labels/CODEBOOK.md").write_text("# Codebook, version 3: geese\n")
    take(row(codebook="2"), old_codebook=True)
    assert stored()[0]["codebook"] == "2"


def test_a_label_knows_the_codebook_it_was_made_under(project):
    Path("labels/CODEBOOK.md").write_text("# Codebook, version 3: geese\n")
    take(row())
    assert stored()[0]["codebook"] == "3"


# The test part

TEST = "Stricter inspections would end the midnight coal picnic."


def of_test(label, **fields):
    return row(0, len(TEST), label, key="letter-5", text=TEST, **fields)


def test_a_label_of_the_test_part_never_changes_without_a_reason(project):
    message = refusal(of_test("neutral"), annotator=ADJUDICATED)
    assert "letter-5 is in the test part, and its label would change from pro-sanctions to neutral" in message


def test_a_label_of_the_test_part_changes_with_a_reason(project):
    take(of_test("neutral", note="the picnic is an event"), annotator=ADJUDICATED)
    changed = [e for e in load_dataset(read_config("configs/default.yaml")).part("test") if e.text == TEST]
    assert (changed[0].label, stored()[0]["note"]) == ("neutral", "the picnic is an event")


def test_one_more_opinion_on_the_test_part_that_changes_nothing_is_welcome(project):
    assert len(take(of_test("neutral"), annotator="cho").added) == 1


# At once, and killed

IMPORT = """
import os, signal, sys
from pathlib import Path
from pipeline.config import read_config
from pipeline.labelling.exchange import read_batch
from pipeline.labelling.importing import import_batch

annotator, fatal = sys.argv[1], int(sys.argv[2])
rename, renames = Path.replace, []

def replace(self, target):
    renames.append(target)
    if len(renames) == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)

Path.replace = replace
rows = read_batch(Path("batch.jsonl"))
import_batch(rows, read_config("configs/default.yaml"), annotator=annotator, articles=["new.jsonl"])
"""
SENTENCES = 2000


@pytest.fixture
def batch(project):
    """Write an article of many sentences, and a batch that labels them all."""
    sentences = [f"Goose number {n} wants talks." for n in range(SENTENCES)]
    text = " ".join(sentences)
    Path("new.jsonl").write_text(json.dumps({"id": "flock", "text": text}) + "\n")
    place, lines = 0, []
    for sentence in sentences:
        fields = {"article_id": "flock", "start": place, "end": place + len(sentence), "text": sentence}
        lines.append(json.dumps(fields | {"label": "pro-dialogue"}) + "\n")
        place += len(sentence) + 1
    Path("batch.jsonl").write_text("".join(lines))


def importing(annotator, fatal=0):
    """Import in a process of its own, which dies at its rename number `fatal`."""
    command = [sys.executable, "-c", IMPORT, annotator, str(fatal)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)})


def finish(process):
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors.decode()


def test_two_people_who_import_at_once_lose_nothing(batch):
    both = [importing(who) for who in ("ann", "bob")]
    assert [finish(process) for process in both] == [(0, "")] * 2
    counts = {who: sum(r["annotator"] == who for r in stored()) for who in ("ann", "bob")}
    assert counts == {"ann": SENTENCES, "bob": SENTENCES}


@pytest.mark.parametrize("fatal", [1, 2])
def test_an_import_that_is_killed_leaves_no_label_and_can_be_repeated(batch, fatal):
    assert finish(importing("ann", fatal))[0] == -signal.SIGKILL
    assert stored() == []
    assert finish(importing("ann")) == (0, "") and len(stored()) == SENTENCES


def test_an_import_that_is_killed_leaves_earlier_labels_as_they_were(batch):
    take(row())
    before = stored()
    assert finish(importing("bob", 2))[0] == -signal.SIGKILL and stored() == before


# Settling and taking elsewhere


def known():
    return read_project(read_config("configs/default.yaml"))


def test_evenly_split_sentences_are_shown_with_who_said_what(project):
    take(row())
    take(row(label="neutral"), annotator="bob")
    assert [r["votes"] for r in conflicts(known())] == ["ann: pro-dialogue, bob: neutral"]


def test_a_decision_ends_a_conflict(project):
    take(row())
    take(row(label="neutral"), annotator="bob")
    take(row(label="neutral", note="geese want bread"), annotator=ADJUDICATED)
    assert conflicts(known()) == []


def test_a_majority_is_a_conflict_only_when_all_are_asked_for(project):
    for who, label in [("ann", "neutral"), ("bob", "neutral"), ("cho", "pro-dialogue")]:
        take(row(label=label), annotator=who)
    assert (len(conflicts(known())), len(conflicts(known(), every=True))) == (0, 1)


def test_every_annotation_goes_out_with_all_that_it_says(project):
    take(second(note="bites", sampling="random", time="2024-01-01T00:00:00Z"))
    found = next(r for r in annotation_rows(known()) if r["article_id"] == "007")
    assert (found["label"], found["annotator"], found["note"], found["sampling"], found["time"]) == (
        *("pro-sanctions", "ann", "bites", "random", "2024-01-01T00:00:00Z"),
    )


def test_an_annotation_goes_out_with_the_sentence_before_it(project):
    take(second())
    assert next(r for r in annotation_rows(known()) if r["article_id"] == "007")["previous"] == GEESE[:49]


def test_what_went_out_changes_nothing_when_it_comes_back(project):
    take(row(), second(note="bites"))
    config = read_config("configs/default.yaml")
    rows = [Row(f"out:{n}", fields) for n, fields in enumerate(annotation_rows(known()))]
    done = import_batch(rows, config)
    assert (done.added, done.known) == ([], len(rows))


def test_random_sentences_can_be_taken_out_to_score_on(project):
    take(row(sampling="random"), second(sampling="margin"))
    assert [(r["id"], r["label"]) for r in example_rows(known(), sampling="random")] == [("007:0-49", "pro-dialogue")]


def test_one_part_can_be_taken_out(project):
    assert {r["article"] for r in example_rows(known(), part="test")} == {"letter-5", "letter-6"}


def test_shares_are_estimated_from_random_sentences_alone(project):
    take(row(sampling="random"), second(sampling="margin"))
    found = estimate_shares(known().annotations, ["pro-sanctions", "pro-dialogue", "neutral"])
    assert [share.value for share in found.values()] == [0, 1, 0]


def test_the_interval_of_a_share_is_wilsons(project):
    # Wilson's interval of 1 in 1 by hand: (1 + z²/2 ± z²/2) / (1 + z²).
    take(row(sampling="random"))
    z = 1.959964
    found = estimate_shares(known().annotations, ["pro-dialogue"])["pro-dialogue"]
    assert (found.low, found.high) == pytest.approx((1 / (1 + z**2), 1))


def test_without_random_sentences_no_share_is_estimated(project):
    assert estimate_shares(known().annotations, ["neutral"]) == {}
