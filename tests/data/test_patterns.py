"""Sentences made of parts: labels follow from the parts, and nothing that is held out comes out."""

from collections import Counter
from pathlib import Path

import pytest
from refusals import refused

from pipeline.data.patterns import make_sentences
from pipeline.data.splitting import normalize

NAMES = ("pro-sanctions", "pro-dialogue", "neutral")
SHIPPED = Path("labels/patterns.yaml")
SMALL = """\
sides:
  pro-sanctions:
    actions: [[close the port, closing the port]]
    singular: [the blockade]
    plural: [fines]
    against: ["{thing} hurt[s|] sailors."]
  pro-dialogue:
    actions: [[open the port, opening the port]]
    singular: [the visit]
    plural: [letters]
elsewhere: [[close the pier in Tyre, closing the pier in Tyre]]
who: [Oslo]
speakers: [the pilot]
for: ["{who} should {do}.", "{thing} work[s|]."]
against: ["{speaker} warned {who} against {doing}."]
neutral: ["Will {who} {do}?"]
"""
# All sentences that these parts give.
EXPECTED = {
    "Oslo should close the port.": "pro-sanctions",
    "Oslo should open the port.": "pro-dialogue",
    "The blockade works.": "pro-sanctions",
    "Fines work.": "pro-sanctions",
    "The visit works.": "pro-dialogue",
    "Letters work.": "pro-dialogue",
    "The blockade hurts sailors.": "pro-dialogue",
    "Fines hurt sailors.": "pro-dialogue",
    "The pilot warned Oslo against closing the port.": "pro-dialogue",
    "The pilot warned Oslo against opening the port.": "pro-sanctions",
    "Will Oslo close the port?": "neutral",
    "Will Oslo open the port?": "neutral",
    "Oslo should close the pier in Tyre.": "neutral",
    "The pilot warned Oslo against closing the pier in Tyre.": "neutral",
}


@pytest.fixture
def small(tmp_path):
    file = tmp_path / "patterns.yaml"
    file.write_text(SMALL, encoding="utf-8")
    return file


def test_each_combination_has_the_label_of_its_parts(small):
    rows = make_sentences(small, len(EXPECTED), NAMES, 1)
    assert {row.text: row.label for row in rows} == EXPECTED
    assert all(row.split == "train" and row.origin == "pattern" and row.end == len(row.text) for row in rows)
    assert len({row.group for row in rows}) == len(rows)


def test_what_is_known_does_not_come_out(small):
    known = {normalize("OSLO should close the port"), normalize("Fines work.")}
    rows = make_sentences(small, len(EXPECTED) - 2, NAMES, 1, known)
    assert {row.text for row in rows} == EXPECTED.keys() - {"Oslo should close the port.", "Fines work."}


def test_parts_that_are_too_few_are_told(small):
    error = refused(make_sentences, small, 15, NAMES, 1)
    assert (error.where, error.what, error.expected) == (str(small), "gives 14 different sentences", "15")


def test_sides_are_all_labels_but_one(small):
    error = refused(make_sentences, small, 3, ("for", "against", "none"), 1)
    found = "has the sides pro-sanctions, pro-dialogue"
    assert (error.where, error.what, error.expected) == (str(small), found, "two of for, against, none")


def test_a_key_that_is_unknown_is_named(small):
    small.write_text(SMALL + "frames: []\n", encoding="utf-8")
    error = refused(make_sentences, small, 3, NAMES, 1)
    assert (error.where, error.what) == (str(small), "unknown key `frames`")


def test_the_parts_that_ship():
    rows = make_sentences(SHIPPED, 3600, NAMES, 13)
    assert rows == make_sentences(SHIPPED, 3600, NAMES, 13)
    assert rows != make_sentences(SHIPPED, 3600, NAMES, 14)
    assert not [row.text for row in rows if set("{}[]|") & set(row.text)]
    labels = {row.text: row.label for row in make_sentences(SHIPPED, 12000, NAMES, 13)}
    counts = Counter(labels.values())
    assert min(counts["pro-sanctions"], counts["pro-dialogue"]) > 0.35 * len(labels)
    assert labels["Don't talk to Kim Jong Un."] == "pro-sanctions"
    assert labels["Don't isolate Pyongyang."] == "pro-dialogue"
    assert labels["Dialogue has failed."] == "pro-sanctions"
    assert labels["Sanctions have failed."] == "pro-dialogue"
    assert labels["There is no reason not to meet Kim."] == "pro-dialogue"
