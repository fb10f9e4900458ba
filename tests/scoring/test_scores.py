"""All metrics of some rows as one thing."""

import numpy as np
import pytest

from pipeline.scoring.abstention import threshold_metrics
from pipeline.scoring.metrics import METRICS, Metric, measure
from pipeline.scoring.predictions import Predictions, likeliest
from pipeline.scoring.scores import score

NAMES = ("soup", "stew", "broth")


@pytest.fixture
def bowls():
    """Sixty bowls of twelve kitchens, of which no cook says broth."""
    rng = np.random.default_rng(1)
    probabilities = np.column_stack([rng.dirichlet((2, 2), 60), np.zeros(60)])
    return likeliest(rng.integers(0, 2, 60), probabilities, [f"kitchen {n % 12}" for n in range(60)])


def test_each_metric_of_the_list_is_measured_in_its_order(bowls):
    scores = score(bowls)
    assert [metric for metric, _ in scores] == list(METRICS)
    assert all(interval == measure(metric, bowls) for metric, interval in scores)


def test_a_new_entry_is_all_that_a_new_metric_takes(bowls):
    nose = Metric("nose", "nose", "how often the nose says soup", of_rows=lambda rows: rows.y_pred == 0)
    scores = score(bowls, (*METRICS, nose))
    assert scores["nose"].value == (bowls.y_pred == 0).mean() and scores["nose"].low < scores["nose"].high
    assert scores.to_dict()["nose"]["value"] == scores["nose"].value


def test_counts_stand_beside_the_metrics(bowls):
    scores = score(bowls)
    assert (scores.rows, scores.articles, scores.few_articles) == (60, 12, False)
    assert score(bowls.take(range(5))).few_articles


def test_each_label_has_precision_recall_and_f1_and_one_that_is_nowhere_has_none(bowls):
    soup, _, broth = score(bowls).by_label(NAMES)
    hits = int(((bowls.y_true == 0) & (bowls.y_pred == 0)).sum())
    assert soup.precision == pytest.approx(hits / (bowls.y_pred == 0).sum())
    assert soup.recall == pytest.approx(hits / (bowls.y_true == 0).sum())
    assert (broth.name, broth.f1, broth.rows) == ("broth", 0, 0)


# What a threshold comes to


def test_a_threshold_has_a_share_that_is_answered_and_one_that_is_right(bowls):
    scores = score(bowls, threshold_metrics(0.7))
    sure = bowls.confidence >= 0.7
    assert scores["answered"].value == pytest.approx(sure.mean())
    assert scores["answered_right"].value == pytest.approx(bowls.hits[sure].mean())
    assert scores["answered_right"].low < scores["answered_right"].value < scores["answered_right"].high


def test_what_is_not_answered_is_neither_right_nor_wrong(bowls):
    scores = score(bowls, threshold_metrics(1.1))
    assert scores["answered"].value == 0 and "answered_right" not in scores.intervals


def test_a_resample_without_an_answer_spoils_no_interval():
    y_true, groups = np.zeros(60, int), np.array([f"kitchen {n // 5}" for n in range(60)])
    probabilities = np.where(np.arange(60)[:, None] < 5, [0.9, 0.1], [0.6, 0.4])
    scores = score(Predictions(y_true, y_true, probabilities, groups), threshold_metrics(0.8))
    assert (scores["answered_right"].low, scores["answered_right"].high) == (1, 1)
