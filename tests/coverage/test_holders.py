"""Speakers of predicted rows: columns, counts and the table."""

import csv
import io

import pytest
from conftest import ROOT

from pipeline.coverage.actors import read_actors
from pipeline.coverage.holders import COLUMNS, Holders

ACTORS = read_actors(ROOT / "configs" / "actors.yaml")
TEXTS = {"a": ["Xi met cooks.", "He wants talks.", "Sanctions fail."], "b": ["=Kim wants sanctions to go.", "Soup."]}
LABELS = {"a": ["neutral", "pro-dialogue", "pro-dialogue"], "b": ["pro-dialogue", "neutral"]}


def rows(**changes):
    made = []
    for key, texts in TEXTS.items():
        start = 100
        for index, text in enumerate(texts):
            row = {"article_id": key, "sentence_index": index, "start": start, "end": start + len(text), "text": text}
            made.append(row | {"label": LABELS[key][index]} | changes)
            start += len(text) + 1
    return made


def hold(made, stream=None):
    holders = Holders(ACTORS, ["pro-dialogue", "pro-sanctions"], stream)
    holders.add(made)
    return holders


def test_a_row_that_takes_a_side_says_whose_it_is():
    made = rows()
    holders = hold(made)
    assert [made[1][name] for name in COLUMNS] == ["He", 114, 116, "Xi Jinping", "china", "indirect"]
    assert [made[2][name] for name in COLUMNS] == ["", "", "", "", "writer", "voice"]
    assert not set(COLUMNS) & set(made[0])
    assert holders.counts == {
        ("china", "pro-dialogue"): 1,
        ("writer", "pro-dialogue"): 1,
        ("north-korea", "pro-dialogue"): 1,
    }
    assert list(holders.table())[0] == ("China", {"pro-dialogue": 1, "pro-sanctions": 0})


def test_the_order_of_rows_within_an_article_does_not_matter():
    made = rows()
    hold(made[2::-1] + made[3:])
    assert made[1]["speaker_name"] == "Xi Jinping"


def test_the_table_holds_each_of_them_and_no_formula():
    stream = io.StringIO(newline="")
    hold(rows(outlet="=1+1"), stream)
    lines = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert [line["actor"] for line in lines] == ["china", "writer", "north-korea"]
    assert lines[2]["text"] == "'=Kim wants sanctions to go."
    assert lines[0]["outlet"] == "'=1+1"


@pytest.mark.parametrize("start", [None, "", "soon"])
def test_without_places_the_words_stay(start):
    made = rows(start=start)
    hold(made)
    assert [made[1][name] for name in COLUMNS[:4]] == ["He", "", "", "Xi Jinping"]


def test_without_text_nobody_speaks():
    made = rows(text=None)
    assert not hold(made).counts
