"""Intervals hold what they should, and resample what they say."""

import numpy as np
import pytest

from pipeline.scoring.bootstrap import FEWEST_GROUPS, Bootstrap, Interval
from pipeline.scoring.metrics import MACRO_F1, METRICS, Metric, confusion, difference, f1, macro_f1, measure, recall
from pipeline.scoring.predictions import Predictions, likeliest

ECE, BRIER = (next(metric for metric in METRICS if metric.key == key) for key in ("ece", "brier"))


def guesses(size, right=0.7, articles=40, random_state=0):
    """Make labels and predictions that are right that often."""
    rng = np.random.default_rng(random_state)
    y_true = rng.integers(0, 3, size)
    y_pred = np.where(rng.random(size) < right, y_true, rng.integers(0, 3, size))
    return given(y_true, y_pred, [f"article-{n % articles}" for n in range(size)])


def given(y_true, y_pred, groups):
    return Predictions(y_true, y_pred, np.eye(3)[y_pred], np.array(groups))


def perfect(rows):
    return given(rows.y_true, rows.y_true, rows.groups)


def test_an_interval_is_written_with_three_decimals():
    assert str(Interval(0.70249, 0.6708, 0.7314)) == "0.702 [0.671, 0.731]"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_an_interval_holds_its_value(metric):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet((2, 2, 2), 400)
    y_true = (rng.random((400, 1)) > probabilities.cumsum(1)).sum(1)
    interval = measure(metric, likeliest(y_true, probabilities, [str(n // 4) for n in range(400)]))
    assert interval.low < interval.value < interval.high


def test_the_value_of_an_interval_is_that_of_all_rows():
    rows = guesses(400)
    assert measure(MACRO_F1, rows).value == macro_f1(confusion(rows.y_true, rows.y_pred, 3))


def test_more_rows_make_a_narrower_interval():
    few, many = (measure(MACRO_F1, guesses(size, articles=size // 5)) for size in (200, 3200))
    assert many.high - many.low < (few.high - few.low) / 2


def test_articles_that_are_all_alike_inside_make_a_wider_interval():
    y_true = np.repeat(np.arange(60) % 3, 10)
    y_pred = np.where(np.repeat(np.arange(60) % 4 > 0, 10), y_true, 0)
    whole = measure(MACRO_F1, given(y_true, y_pred, [str(n // 10) for n in range(600)]))
    rows = measure(MACRO_F1, given(y_true, y_pred, [str(n) for n in range(600)]))
    assert whole.high - whole.low > 2 * (rows.high - rows.low)


def test_a_perfect_model_has_no_spread():
    assert measure(MACRO_F1, perfect(guesses(100))) == Interval(1, 1, 1)


def test_the_same_random_state_gives_the_same_interval():
    assert measure(MACRO_F1, guesses(100), random_state=4) == measure(MACRO_F1, guesses(100), random_state=4)


def test_any_statistic_of_the_confusion_matrix_can_be_a_metric():
    rows = guesses(100)
    interval = measure(Metric("r1", "recall of 1", "", lambda matrix: recall(matrix)[..., 1]), rows)
    assert interval.value == recall(confusion(rows.y_true, rows.y_pred, 3))[1]


def test_articles_are_resampled_where_there_are_enough():
    assert measure(MACRO_F1, guesses(100, articles=FEWEST_GROUPS)).unit == "articles"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_sentences_are_resampled_where_articles_are_few(metric):
    assert measure(metric, guesses(100, articles=FEWEST_GROUPS - 1)).unit == "sentences"


def test_a_resample_draws_as_many_articles_as_there_are():
    rows = np.arange(60) % 3
    drawn = Bootstrap([str(n % 12) for n in range(60)], 50).matrices(rows, rows, 3)
    assert drawn.shape == (51, 3, 3) and set(drawn.sum((1, 2))) == {60}  # 12 articles of 5 rows
    assert drawn[0].tolist() == np.diag([20, 20, 20]).tolist()


def test_the_rows_of_an_article_are_drawn_together():
    drawn = Bootstrap([str(n // 5) for n in range(60)], 50).means(np.arange(60) // 5 == 7)
    assert set((60 * drawn).round(9) % 5) == {0} and len(set(drawn)) > 1


# Differences


def test_equal_predictions_differ_by_exactly_nothing():
    assert difference(MACRO_F1, guesses(100), guesses(100)) == Interval(0, 0, 0)


def test_a_better_second_model_has_a_difference_above_zero():
    rows = guesses(300)
    assert difference(MACRO_F1, rows, perfect(rows)).low > 0


def test_the_difference_may_be_that_of_another_metric():
    rows = guesses(300)
    gain = difference(Metric("f0", "F1 of 0", "", lambda matrix: f1(matrix)[..., 0]), rows, perfect(rows))
    assert gain.value == pytest.approx(1 - float(f1(confusion(rows.y_true, rows.y_pred, 3))[0])) and gain.low > 0


def test_the_other_way_round_the_difference_is_below_zero():
    rows = guesses(300)
    assert difference(MACRO_F1, perfect(rows), rows).high < 0


def test_the_difference_is_that_of_the_two_scores():
    first = guesses(300)
    second = given(first.y_true, guesses(300, random_state=1).y_pred, first.groups)
    scores = [measure(MACRO_F1, rows).value for rows in (first, second)]
    assert difference(MACRO_F1, first, second).value == scores[1] - scores[0]


# Probabilities


def sure(size, *, honest=True, random_state=0):
    """Make rows that are as right as they are confident, or 15 points too confident; 4 rows an article."""
    rng = np.random.default_rng(random_state)
    confidence = rng.uniform(0.6, 1, size)
    likely = confidence if honest else confidence - 0.15
    y_true = (rng.random(size) > likely).astype(int)
    return likeliest(y_true, np.column_stack([confidence, 1 - confidence]), [str(n // 4) for n in range(size)])


def test_the_interval_of_the_brier_score_narrows():
    few, many = (measure(BRIER, sure(size)) for size in (100, 1600))
    assert many.high - many.low < (few.high - few.low) / 2


@pytest.mark.parametrize("honest", [True, False])
@pytest.mark.parametrize("size", [100, 800])
def test_the_interval_of_the_calibration_error_holds_the_true_one(honest, size):
    """In 90 of 100 draws or more, whether the model is honest (its error is all noise) or 15 points too confident."""
    held = 0
    for draw in range(100):
        interval = measure(ECE, sure(size, honest=honest, random_state=draw), resamples=300)
        held += interval.low <= (0.0 if honest else 0.15) <= interval.high
    assert held >= 90


def test_a_model_that_is_too_confident_is_shown_to_be():
    assert measure(ECE, sure(800, honest=False)).low > 0.05
