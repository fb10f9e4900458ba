import pytest

from pipeline.config import Candidate
from pipeline.model_card import write_card


@pytest.fixture
def card(facts):
    return write_card(facts, Candidate(name="strict", kind="tfidf", options={"C": 0.1}))


@pytest.mark.parametrize("words", ["`strict` (tfidf)", "`c0ffee`", "2019-02-28T12:00:00Z", "`small`"])
def test_the_card_says_where_the_model_comes_from(card, words):
    assert words in card


def test_the_card_names_the_labels(card):
    assert "`pro-sanctions`, `pro-dialogue`, `neutral`" in card


@pytest.mark.parametrize("row", ["| authored | train | 0 | 2 | 7 |", "| seed | test | 3 | 0 | 0 |"])
def test_the_card_counts_rows_by_origin_and_part(card, row):
    assert row in card.splitlines()


def test_the_score_travels_with_its_interval(card):
    assert "macro-F1 **0.610** [0.550, 0.660]" in card


def test_the_card_says_how_well_the_model_is_calibrated(card):
    assert "calibration error 0.042" in card


def test_the_card_scores_each_label(card):
    lines = card.splitlines()
    assert [line for line in lines if line.endswith("00 |")] == [
        "| pro-sanctions | 0.400 |",
        "| pro-dialogue | 0.500 |",
        "| neutral | 0.600 |",
    ]


def test_the_card_says_why_this_candidate_was_selected(card):
    assert "it was the only one that came" in card


@pytest.mark.parametrize("words", ["no\ndomain expert has reviewed them", "invented", "## Limits", "Apache-2.0"])
def test_the_card_warns_the_reader(card, words):
    assert words in card


def test_braces_in_what_the_card_quotes_stay(facts):
    quoting = facts | {"selection": facts["selection"] | {"reason": "{soup} won"}}
    assert "{soup} won" in write_card(quoting, Candidate(name="x", kind="y"))
