from contextlib import chdir

import pytest
from conftest import ROOT, make_manifest

from pipeline.config import Candidate, read_config
from pipeline.manifest import Selection, TrainingData
from pipeline.reporting.model_card import score_test, write_card

STRICT = Candidate(name="strict", kind="tfidf", options={"C": 0.1})


@pytest.fixture
def card():
    return write_card(make_manifest(candidate=STRICT), None)


@pytest.fixture(scope="module")
def test_scores(bundle, repository):
    with chdir(ROOT):
        return score_test(bundle, repository.part("test"), read_config("configs/default.yaml"))


@pytest.fixture
def scored(test_scores):
    return write_card(make_manifest(), test_scores)


@pytest.mark.parametrize("words", ["`strict` (tfidf)", "`c0ffee`", "2019-02-28T12:00:00Z", "`small`"])
def test_the_card_says_where_the_model_comes_from(card, words):
    assert words in card


def test_the_card_names_the_labels(card):
    assert "`pro-sanctions`, `pro-dialogue`, `neutral`" in card


@pytest.mark.parametrize("row", ["| authored | train | 0 | 2 | 7 |", "| seed | test | 3 | 0 | 0 |"])
def test_the_card_counts_rows_by_origin_and_part(card, row):
    assert row in card.splitlines()


def test_a_score_travels_with_its_rows_and_interval(card):
    assert "On the 12 rows that were held out" in card and "macro-F1 0.610 [0.550, 0.660]" in card


def test_the_card_says_how_well_the_model_is_calibrated(card):
    assert "calibration error 0.042" in card


def test_the_card_scores_each_label(card):
    assert "F1 pro-sanctions 0.400, pro-dialogue 0.500, neutral 0.600" in card


def test_the_card_says_why_this_candidate_was_selected(card):
    assert "it was the only one that came" in card


@pytest.mark.parametrize("words", ["no domain expert has reviewed them", "## Limits", "Apache-2.0"])
def test_the_card_warns_the_reader(card, words):
    assert words in card


def test_only_origins_that_are_there_are_called_invented(card):
    assert "Articles of origin `authored` are invented" in card
    real = TrainingData(digest="d1ge57", rows={"train/seed/neutral": 7}, invented=("authored",))
    assert "invented" not in write_card(make_manifest(data=real), None)


def test_without_a_test_part_the_card_says_so(card):
    assert "There was no test part to score it on." in card and score_test(None, [], None) is None


def test_test_scores_stand_apart_for_real_and_invented_text(scored, test_scores):
    whole, real, invented = test_scores["parts"]
    assert whole["sentences"] == real["sentences"] + invented["sentences"] and real["articles"] == 1
    assert [line.split(" | ")[0] for line in scored.splitlines() if line.startswith(("| test", "| real", "| inv"))] == [
        "| test part",
        "| real text",
        "| invented text",
    ]
    found = whole["macro_f1"]
    assert f"| {found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}] |" in scored


def test_an_interval_over_the_sentences_of_one_article_is_marked(scored):
    assert "] † |" in scored and "† few articles: the interval is over sentences" in scored


def test_the_card_names_the_slices_where_the_model_is_weak(scored, test_scores):
    weak = test_scores["weak"][0]
    assert weak["sentences"] >= 20 and weak["macro_f1"]["high"] < test_scores["parts"][0]["macro_f1"]["value"]
    assert f"- Weak on {weak['dimension']}: {weak['value']}, macro-F1 {weak['macro_f1']['value']:.3f} [" in scored


@pytest.mark.parametrize(
    ("encoders", "words"),
    [
        ([], "Encoder: none."),
        (["all-MiniLM-L6-v2"], "Encoder: sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)."),
        (["pretrained"], "adapted (`pipeline/pretrained/small`"),
        (["goose/large"], "`goose/large`, whose own card states its licence"),
    ],
)
def test_the_licence_is_that_of_the_encoder_in_the_model(encoders, words):
    assert words in write_card(make_manifest(encoders=encoders), None)


def test_a_paragraph_is_one_line_because_mlflow_breaks_lines(card):
    lines = [line for line in card.splitlines() if line]
    assert all(line[0] in "#|-*" or line.endswith((".", ":")) for line in lines)


def test_braces_in_what_the_card_quotes_stay():
    held_out = make_manifest().selection.held_out
    quoting = make_manifest(selection=Selection(reason="{soup} won", held_out=held_out))
    assert "{soup} won" in write_card(quoting, None)
