from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from pipeline.scoring.metrics import (
    FEWEST_GROUPS,
    Interval,
    brier,
    brier_interval,
    confusion,
    ece_interval,
    f1,
    interval,
    log_loss,
    macro_f1,
    paired_difference,
    precision,
    ratio,
    recall,
    reliability,
    resampling,
)

LABELS = st.integers(0, 2)
ROWS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=60).map(lambda rows: np.array(rows).T)
# Two rows of "stick", one of them taken for "carrot"; one "carrot".
SMALL = np.array([[1, 1], [0, 1]])


def guesses(size, right=0.7, articles=40, random_state=0):
    """Make labels, predictions that are right that often, and articles."""
    rng = np.random.default_rng(random_state)
    y_true = rng.integers(0, 3, size)
    y_pred = np.where(rng.random(size) < right, y_true, rng.integers(0, 3, size))
    return y_true, y_pred, [f"article-{n % articles}" for n in range(size)]


# Confusion and what follows from it


def test_confusion_counts_true_by_predicted():
    assert confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist() == SMALL.tolist()


def test_confusion_has_room_for_labels_that_never_occur():
    assert confusion(np.array([0]), np.array([0]), 3).shape == (3, 3)


def test_precision_is_right_among_predicted():
    assert precision(SMALL).tolist() == [1, 0.5]


def test_recall_is_right_among_true():
    assert recall(SMALL).tolist() == [0.5, 1]


def test_f1_of_a_label_that_is_nowhere_is_no_number():
    assert np.isnan(f1(np.diag([3, 2, 0]))).tolist() == [False, False, True]


def test_macro_f1_leaves_out_a_label_that_is_nowhere():
    assert macro_f1(np.diag([3, 2, 0])) == 1


def test_the_mean_over_some_labels_counts_the_others_as_mistakes():
    # Two of favor, two of against, two of neither; one of favor and one of neither are taken for against.
    matrix = confusion(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 2, 1]), 3)
    assert float(macro_f1(matrix, [0, 1])) == pytest.approx((2 / 3 + 2 / 3) / 2)


@given(ROWS)
def test_the_mean_over_favor_and_against_is_the_stance_score_of_tweeteval(rows):
    """Its script takes these two labels' F1 from scikit-learn's report on the rows of all targets together."""
    y_true, y_pred = rows
    both = sorted({*y_true.tolist(), *y_pred.tolist()} & {1, 2})
    if both:
        wanted = f1_score(y_true, y_pred, labels=both, average="macro", zero_division=0)
        assert float(macro_f1(confusion(y_true, y_pred, 3), [1, 2])) == pytest.approx(wanted)


def test_macro_f1_of_nothing_is_zero():
    assert macro_f1(np.zeros((3, 3))) == 0


def test_scores_of_a_stack_are_those_of_each_matrix():
    stack = np.array([SMALL, np.eye(2), [[0, 3], [2, 1]]])
    assert macro_f1(stack).tolist() == [macro_f1(matrix) for matrix in stack]


@given(ROWS)
def test_precision_is_that_of_scikit_learn(rows):
    expected = precision_score(*rows, labels=[0, 1, 2], average=None, zero_division=0)
    np.testing.assert_allclose(precision(confusion(*rows, 3)), expected)


@given(ROWS)
def test_recall_is_that_of_scikit_learn(rows):
    expected = recall_score(*rows, labels=[0, 1, 2], average=None, zero_division=0)
    np.testing.assert_allclose(recall(confusion(*rows, 3)), expected)


@given(ROWS)
def test_f1_is_that_of_scikit_learn(rows):
    expected = f1_score(*rows, labels=[0, 1, 2], average=None, zero_division=np.nan)
    np.testing.assert_allclose(f1(confusion(*rows, 3)), expected)


@given(ROWS)
def test_macro_f1_is_that_of_scikit_learn(rows):
    assert macro_f1(confusion(*rows, 3)) == pytest.approx(f1_score(*rows, average="macro"))


# Intervals


def test_an_interval_is_written_with_three_decimals():
    assert str(Interval(0.70249, 0.6708, 0.7314)) == "0.702 [0.671, 0.731]"


def test_an_interval_holds_its_value():
    found = interval(*guesses(400), 3)
    assert found.low < found.value < found.high


def test_the_value_of_an_interval_is_that_of_all_rows():
    y_true, y_pred, groups = guesses(400)
    assert interval(y_true, y_pred, groups, 3).value == macro_f1(confusion(y_true, y_pred, 3))


def test_more_rows_make_a_narrower_interval():
    few, many = (interval(*guesses(size, articles=size // 5), 3) for size in (200, 3200))
    assert many.high - many.low < (few.high - few.low) / 2


def test_articles_that_are_all_alike_inside_make_a_wider_interval():
    y_true = np.repeat(np.arange(60) % 3, 10)
    y_pred = np.where(np.repeat(np.arange(60) % 4 > 0, 10), y_true, 0)
    whole = interval(y_true, y_pred, [str(n // 10) for n in range(600)], 3)
    rows = interval(y_true, y_pred, [str(n) for n in range(600)], 3)
    assert whole.high - whole.low > 2 * (rows.high - rows.low)


def test_a_perfect_model_has_no_spread():
    y_true, _, groups = guesses(100)
    assert interval(y_true, y_true, groups, 3) == Interval(1, 1, 1)


def test_the_same_random_state_gives_the_same_interval():
    assert interval(*guesses(100), 3, random_state=4) == interval(*guesses(100), 3, random_state=4)


def test_another_statistic_can_be_given_an_interval():
    y_true, y_pred, groups = guesses(100)
    found = interval(y_true, y_pred, groups, 3, statistic=lambda matrix: recall(matrix)[..., 1])
    assert found.value == recall(confusion(y_true, y_pred, 3))[1]


def test_articles_are_resampled_where_there_are_enough():
    assert interval(*guesses(100, articles=FEWEST_GROUPS), 3).unit == "articles"


def test_sentences_are_resampled_where_articles_are_few():
    assert interval(*guesses(100, articles=FEWEST_GROUPS - 1), 3).unit == "sentences"


def test_a_resample_draws_as_many_articles_as_there_are():
    _, weights, _ = resampling([str(n % 12) for n in range(60)], 50, 0)
    assert weights.shape == (50, 12) and set(weights.sum(1)) == {12}


def test_rows_of_an_article_have_its_code():
    groups = [str(n % 12) for n in range(60)]
    codes, _, _ = resampling(groups, 5, 0)
    assert len(set(zip(groups, codes, strict=True))) == 12


# Differences


def test_equal_predictions_differ_by_exactly_nothing():
    y_true, y_pred, groups = guesses(100)
    assert paired_difference(y_true, y_pred, y_pred, groups, 3) == Interval(0, 0, 0)


def test_a_better_second_model_has_a_difference_above_zero():
    y_true, y_pred, groups = guesses(300)
    assert paired_difference(y_true, y_pred, y_true, groups, 3).low > 0


def test_the_difference_may_be_that_of_another_statistic():
    y_true, y_pred, groups = guesses(300)
    statistic = partial(macro_f1, labels=[0])
    found = paired_difference(y_true, y_pred, y_true, groups, 3, statistic=statistic)
    assert found.value == pytest.approx(1 - float(f1(confusion(y_true, y_pred, 3))[0])) and found.low > 0


def test_the_other_way_round_the_difference_is_below_zero():
    y_true, y_pred, groups = guesses(300)
    assert paired_difference(y_true, y_true, y_pred, groups, 3).high < 0


def test_the_difference_is_that_of_the_two_scores():
    y_true, first, groups = guesses(300)
    _, second, _ = guesses(300, random_state=1)
    scores = [macro_f1(confusion(y_true, y_pred, 3)) for y_pred in (first, second)]
    assert paired_difference(y_true, first, second, groups, 3).value == scores[1] - scores[0]


# Probabilities

SURE = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
TRUTH = np.array([0, 1, 0, 1])


def test_log_loss_is_the_mean_surprise():
    assert log_loss(TRUTH, SURE) == pytest.approx(-np.log([0.9, 0.2, 0.6, 0.7]).mean())


def test_log_loss_of_a_certain_error_is_finite():
    assert log_loss(np.array([1]), np.array([[1.0, 0.0]])) == pytest.approx(-np.log(1e-12))


def test_brier_is_the_mean_squared_distance():
    assert brier(TRUTH, SURE) == pytest.approx(2 * (0.01 + 0.64 + 0.16 + 0.09) / 4)


@pytest.mark.parametrize(("row", "expected"), [([1.0, 0.0], 0), ([0.0, 1.0], 2)])
def test_brier_goes_from_certain_and_right_to_certain_and_wrong(row, expected):
    assert brier(np.array([0]), np.array([row])) == expected


def test_reliability_compares_confidence_with_accuracy_in_bins():
    found = reliability(TRUTH, SURE, bins=2)
    assert (found.confidence.round(6).tolist(), found.accuracy.tolist()) == ([0.65, 0.85], [1, 0.5])


def test_the_calibration_error_is_the_mean_gap():
    assert reliability(TRUTH, SURE, bins=2).ece == pytest.approx((0.35 + 0.35) / 2)


def test_bins_hold_equally_many_rows():
    assert reliability(np.zeros(10, int), np.full((10, 2), 0.5), bins=5).rows.tolist() == [2] * 5


def test_the_calibration_error_weighs_bins_by_rows():
    found = reliability(np.array([0, 0, 0]), np.array([[0.6, 0.4], [0.7, 0.3], [0.9, 0.1]]), bins=2)
    assert found.rows.tolist() == [2, 1] and found.ece == pytest.approx((0.35 * 2 + 0.1) / 3)


def test_with_fewer_rows_than_bins_none_is_empty():
    assert reliability(TRUTH, SURE, bins=10).rows.tolist() == [1] * 4


# Intervals of these


def sure(size, *, honest=True, random_state=0):
    """Make labels and probabilities that are as right as they are sure, or 15 points too sure; 4 rows an article."""
    rng = np.random.default_rng(random_state)
    confidence = rng.uniform(0.6, 1, size)
    likely = confidence if honest else confidence - 0.15
    y_true = (rng.random(size) > likely).astype(int)
    return y_true, np.column_stack([confidence, 1 - confidence]), [str(n // 4) for n in range(size)]


def test_a_ratio_is_that_of_the_sums():
    part, whole = np.array([1, 0, 1, 1] * 10), np.array([1, 1, 1, 2] * 10)
    found = ratio(part, whole, [str(n // 2) for n in range(40)])
    assert found.value == 3 / 5 and found.low < 3 / 5 < found.high


def test_a_ratio_without_a_whole_is_zero():
    assert ratio(np.zeros(40), np.zeros(40), [str(n) for n in range(40)]) == Interval(0, 0, 0)


def test_the_interval_of_the_brier_score_holds_it_and_narrows():
    few, many = (sure(size) for size in (100, 1600))
    intervals = [brier_interval(*rows) for rows in (few, many)]
    assert [found.value for found in intervals] == pytest.approx([brier(*few[:2]), brier(*many[:2])])
    assert intervals[1].high - intervals[1].low < (intervals[0].high - intervals[0].low) / 2
    assert all(found.low < found.value < found.high for found in intervals)


def test_the_interval_of_the_calibration_error_stands_about_its_value():
    y_true, probabilities, groups = sure(400)
    found = ece_interval(y_true, probabilities, groups)
    assert found.value == pytest.approx(reliability(y_true, probabilities).ece)
    assert found.low <= found.value < found.high


@pytest.mark.parametrize("honest", [True, False])
@pytest.mark.parametrize("size", [100, 800])
def test_the_interval_of_the_calibration_error_holds_the_true_one(honest, size):
    """In 90 of 100 draws or more, whether the model is honest (its error is all noise) or 15 points too sure."""
    held = 0
    for draw in range(100):
        y_true, probabilities, groups = sure(size, honest=honest, random_state=draw)
        found = ece_interval(y_true, probabilities, groups, resamples=300)
        held += found.low <= (0.0 if honest else 0.15) <= found.high
    assert held >= 90


def test_a_model_that_is_too_sure_is_shown_to_be():
    assert ece_interval(*sure(800, honest=False)).low > 0.05


def test_intervals_of_probabilities_resample_sentences_where_articles_are_few():
    y_true, probabilities, _ = sure(60)
    groups = ["a"] * 60
    found = ece_interval(y_true, probabilities, groups), brier_interval(y_true, probabilities, groups)
    assert {interval.unit for interval in found} == {"sentences"}
