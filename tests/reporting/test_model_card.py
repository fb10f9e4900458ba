import numpy as np
import pytest
from conftest import make_manifest

from pipeline.classifiers import create
from pipeline.config import Candidate
from pipeline.evaluation.slices import Slice
from pipeline.manifest import Selection, TrainingData
from pipeline.reporting.model_card import write_card
from pipeline.scoring.bootstrap import Interval

STRICT = Candidate(name="strict", kind="tfidf", options={"C": 0.1})


@pytest.fixture
def card():
    return write_card(make_manifest(candidate=STRICT))


@pytest.mark.parametrize("words", ["`strict` (tfidf)", "`c0ffee`", "2019-02-28T12:00:00Z", "`small`"])
def test_the_card_says_where_the_model_comes_from(card, words):
    assert words in card


def test_the_card_names_the_labels(card):
    assert "`pro-sanctions`, `pro-dialogue`, `neutral`" in card


@pytest.mark.parametrize("row", ["| authored | train | 0 | 2 | 7 |", "| seed | test | 3 | 0 | 0 |"])
def test_the_card_counts_rows_by_origin_and_part(card, row):
    assert row in card.splitlines()


def test_a_score_travels_with_its_rows_and_interval(card):
    assert "On the 12 rows that were held out" in card and "| macro-F1 | 0.610 [0.550, 0.660] |" in card


def test_the_card_says_how_well_the_model_is_calibrated(card):
    assert "| ECE | 0.042 [0.000, 0.090] | expected calibration error" in card


def test_the_card_scores_each_label(card):
    lines = card.splitlines()
    assert all(
        line in lines for line in ("| pro-sanctions | 0.400 |", "| pro-dialogue | 0.500 |", "| neutral | 0.600 |")
    )


def test_the_card_says_why_this_candidate_was_selected(card):
    assert "it was the only one that came" in card


@pytest.mark.parametrize("words", ["no domain expert has reviewed them", "## Limits", "Apache-2.0"])
def test_the_card_warns_the_reader(card, words):
    assert words in card


def test_only_origins_that_are_there_are_called_invented(card):
    assert "Articles of origin `authored` are invented" in card
    real = TrainingData(digest="d1ge57", rows={"train/seed/neutral": 7}, invented=("authored",))
    assert "invented" not in write_card(make_manifest(data=real))


def test_the_card_says_who_opens_the_test_part(card):
    assert "`stance eval` scores the model on it" in card


@pytest.mark.parametrize(
    ("encoders", "words"),
    [
        ([], "Encoder: none."),
        (["all-MiniLM-L6-v2"], "Encoder: sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)."),
        ([create(Candidate(name="mine", kind="pretrained")).encoder], "adapted (`pipeline/pretrained/small`"),
        (["goose/large"], "`goose/large`, whose own card states its licence"),
    ],
)
def test_the_licence_is_that_of_the_encoder_in_the_model(encoders, words):
    assert words in write_card(make_manifest(encoders=encoders))


def test_a_paragraph_is_one_line_because_mlflow_breaks_lines(card):
    lines = [line for line in card.splitlines() if line]
    assert all(line[0] in "#|-*" or line.endswith((".", ":")) for line in lines)


def test_braces_in_what_the_card_quotes_stay():
    held_out = make_manifest().selection.held_out
    quoting = make_manifest(selection=Selection(reason="{soup} won", held_out=held_out))
    assert "{soup} won" in write_card(quoting)


def test_the_card_names_the_slices_where_the_model_is_weak():
    weak = Slice("outlet", "The Daily Honk", np.arange(40), 12, Interval(0.31, 0.2, 0.42), 0.5)
    line = "- Weak on outlet: The Daily Honk, macro-F1 0.310 [0.200, 0.420], 40 held-out sentences."
    assert line in write_card(make_manifest(), [weak] * 9).splitlines()
    assert write_card(make_manifest(), [weak] * 9).count(line) == 4 and "Weak on" not in write_card(make_manifest())
