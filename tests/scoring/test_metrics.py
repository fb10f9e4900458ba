from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss, matthews_corrcoef, precision_score, recall_score

from pipeline.scoring.metrics import (
    GROUPS_RIGHT,
    METRICS,
    accuracy,
    confusion,
    f1,
    find_metric,
    log_losses,
    macro_f1,
    matthews,
    measure,
    metrics_for,
    precision,
    recall,
    reliability_curve,
)
from pipeline.scoring.predictions import Predictions, likeliest

LABELS = st.integers(0, 2)
ROWS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=60).map(lambda rows: np.array(rows).T)
# Two rows of "stick", one of them taken for "carrot"; one "carrot".
SMALL = np.array([[1, 1], [0, 1]])


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


@given(ROWS)
def test_accuracy_is_that_of_scikit_learn(rows):
    assert float(accuracy(confusion(*rows, 3))) == pytest.approx(accuracy_score(*rows))


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(ROWS)
def test_matthews_correlation_is_that_of_scikit_learn(rows):
    assert float(matthews(confusion(*rows, 3))) == pytest.approx(matthews_corrcoef(*rows))


@pytest.mark.parametrize(("y_pred", "expected"), [([0, 1, 2, 0], 1), ([0, 0, 0, 0], 0)])
def test_matthews_correlation_goes_from_all_right_to_chance(y_pred, expected):
    assert matthews(confusion(np.array([0, 1, 2, 0]), np.array(y_pred), 3)) == pytest.approx(expected)


# Probabilities

SURE = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
TRUTH = np.array([0, 1, 0, 1])


def test_log_loss_is_the_mean_surprise():
    assert log_losses(TRUTH, SURE).mean() == pytest.approx(-np.log([0.9, 0.2, 0.6, 0.7]).mean())


def test_log_loss_of_a_certain_error_is_finite():
    assert log_losses(np.array([1]), np.array([[1.0, 0.0]])).tolist() == [pytest.approx(-np.log(1e-12))]


def measured(key, y_true, probabilities):
    (metric,) = (metric for metric in METRICS if metric.key == key)
    return measure(metric, likeliest(y_true, probabilities, np.arange(len(y_true)))).value


def test_the_log_loss_of_the_list_is_that_of_scikit_learn():
    probabilities = np.random.default_rng(7).dirichlet((1, 1, 1), 50)
    y_true = np.arange(50) % 3
    assert measured("log_loss", y_true, probabilities) == pytest.approx(log_loss(y_true, probabilities))


def test_brier_is_the_mean_squared_distance():
    assert measured("brier", TRUTH, SURE) == pytest.approx(2 * (0.01 + 0.64 + 0.16 + 0.09) / 4)


@pytest.mark.parametrize(("row", "expected"), [([1.0, 0.0], 0), ([0.0, 1.0], 2)])
def test_brier_goes_from_certain_and_right_to_certain_and_wrong(row, expected):
    assert measured("brier", np.array([0]), np.array([row])) == expected


# Confidence


def curve(y_true, probabilities, bins):
    return reliability_curve(likeliest(y_true, probabilities, np.arange(len(y_true))), bins)


def test_reliability_compares_confidence_with_accuracy_in_bins():
    two = curve(TRUTH, SURE, 2)
    assert (two.confidence.round(6).tolist(), two.accuracy.tolist()) == ([0.65, 0.85], [1, 0.5])


def test_confidence_is_that_of_the_label_that_is_given():
    """A model that decides for the less likely label is as confident as that label is likely."""
    rows = Predictions(np.array([0, 0]), np.array([0, 1]), np.array([[0.4, 0.6], [0.7, 0.3]]), np.array(["a", "b"]))
    assert rows.confidence.tolist() == [0.4, 0.3] and rows.hits.tolist() == [True, False]
    assert reliability_curve(rows, 2).confidence.tolist() == [0.3, 0.4]


def test_the_calibration_error_is_the_mean_gap():
    assert measured("ece", TRUTH, SURE) == pytest.approx((0.1 + 0.8 + 0.4 + 0.3) / 4)  # each of four rows is a bin


def test_bins_hold_equally_many_rows():
    assert curve(np.zeros(10, int), np.full((10, 2), 0.5), 5).rows.tolist() == [2] * 5


def test_the_calibration_error_weighs_bins_by_rows():
    """Eleven rows in ten bins: two in the first, of which one is right, then one each."""
    y_true, probabilities = np.array([1, *[0] * 10]), np.column_stack([np.full(11, 0.7), np.full(11, 0.3)])
    assert curve(y_true, probabilities, 10).rows.tolist() == [2, *[1] * 9]
    assert measured("ece", y_true, probabilities) == pytest.approx((2 * 0.2 + 9 * 0.3) / 11)


def test_with_fewer_rows_than_bins_none_is_empty():
    assert curve(TRUTH, SURE, 10).rows.tolist() == [1] * 4


# The list


def test_each_metric_has_a_key_a_column_and_words_of_its_own():
    for field in ("key", "title", "meaning"):
        values = [getattr(metric, field) for metric in METRICS]
        assert all(values) and len(set(values)) == len(values)
    assert all(metric.key.isidentifier() for metric in METRICS)


def test_the_positive_labels_have_a_metric_where_some_are_named():
    plain, with_positive = metrics_for(("tea", "soup", "air")), metrics_for(("tea", "soup", "air"), ("soup", "tea"))
    assert plain == METRICS
    assert [metric.key for metric in with_positive] == ["macro_f1", "positive_f1", *(m.key for m in METRICS[1:])]
    assert with_positive[1].title == "positive F1" and "soup and tea" in with_positive[1].meaning
    assert with_positive[1].statistic(np.diag([3, 0, 2])) == 1.0


@pytest.mark.parametrize("key", ["macro_f1", "positive_f1", "ece"])
def test_a_metric_is_found_by_its_key(key):
    assert find_metric(key, ("tea", "soup"), ("soup",)).key == key


def test_a_group_is_wholly_right_if_each_of_its_rows_is():
    y_true, y_pred = np.array([0, 1, 0, 1, 0, 1, 0, 0]), np.array([0, 1, 0, 0, 0, 1, 1, 1])
    rows = Predictions(y_true, y_pred, np.eye(2)[y_pred], np.array(list("aabbccdd")))
    assert GROUPS_RIGHT.value(rows) == 0.5 and GROUPS_RIGHT.about_labels
    uneven = replace(rows, groups=np.array(list("aabccccd")))
    assert GROUPS_RIGHT.value(uneven) == 0.5  # a and b, not c and d, however many rows they have
    interval = measure(GROUPS_RIGHT, pool_of(rows, 20))
    assert interval.unit == "articles" and 0.3 < interval.low < 0.5 < interval.high < 0.7


def pool_of(rows, times):
    """The same rows many times, in other groups."""
    parts = {name: np.concatenate([getattr(rows, name)] * times) for name in ("y_true", "y_pred", "probabilities")}
    return Predictions(**parts, groups=np.array([f"{group}{n}" for n in range(times) for group in rows.groups]))
