"""When to say `uncertain`: the threshold keeps its promise, and is not found where nothing shows it."""

import numpy as np
import pytest
from scipy.stats import binomtest

from pipeline.scoring import abstention
from pipeline.scoring.abstention import Abstention
from pipeline.scoring.predictions import likeliest

TRUTH = np.array([0, 0, 1, 0])
SURE = np.array([[0.6, 0.4], [0.9, 0.1], [0.7, 0.3], [0.8, 0.2]])


def rows(number, *, random_state, honest=1.0):
    """Calibrated rows (their accuracy is their confidence, times `honest`), and how likely each is to be right."""
    rng = np.random.default_rng(random_state)
    confidence = rng.uniform(0.5, 1, number)
    likely = confidence * honest
    right = rng.random(number) < likely
    return np.where(right, 0, 1), np.column_stack([confidence, 1 - confidence]), likely


def risk_coverage(y_true, probabilities):
    return abstention.risk_coverage(likeliest(y_true, probabilities, np.arange(len(y_true))))


def find_threshold(y_true, probabilities, target):
    return abstention.find_threshold(likeliest(y_true, probabilities, np.arange(len(y_true))), target)


def test_coverage_starts_with_the_most_confident_rows():
    found = risk_coverage(TRUTH, SURE)
    assert found.confidence.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert found.accuracy.tolist() == pytest.approx([1, 1, 2 / 3, 3 / 4])


def test_coverage_above_a_confidence_counts_the_rows_at_least_that_sure():
    found = risk_coverage(TRUTH, SURE)
    assert found.above(0.7) == pytest.approx((3 / 4, 2 / 3)) and found.above(0.95)[0] == 0


@pytest.mark.parametrize(("share", "right"), [(0.5, 1), (0.75, 2 / 3), (0.6, 2 / 3), (1.0, 3 / 4)])
def test_accuracy_is_given_on_a_share_of_the_rows_or_the_next_larger_one(share, right):
    assert risk_coverage(TRUTH, SURE).at(share) == pytest.approx(right)


def test_the_area_is_the_mean_error_over_all_shares():
    assert risk_coverage(TRUTH, SURE).aurc == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)


def test_who_is_sure_where_it_is_right_has_the_smaller_area():
    y_true, probabilities, _ = rows(500, random_state=1)
    assert risk_coverage(y_true, probabilities).aurc < risk_coverage(y_true[::-1], probabilities).aurc


@pytest.mark.parametrize("target", [0.8, 0.9])
def test_the_promise_holds_on_new_rows_far_more_often_than_not(target):
    """The true precision above the threshold falls short of the target in at most one of ten draws."""
    short = answered = 0
    for draw in range(100):
        y_true, probabilities, likely = rows(800, random_state=draw)
        found = find_threshold(y_true, probabilities, target)
        if found.confidence is not None:
            answered += 1
            short += likely[probabilities.max(1) >= found.confidence].mean() < target
    assert short <= 10 and answered >= 90


def test_the_threshold_is_the_smallest_one_that_the_bound_allows():
    y_true, probabilities, _ = rows(400, random_state=3)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == y_true

    def shown(least):
        kept = right[confidence >= least]
        return binomtest(int(kept.sum()), len(kept)).proportion_ci(0.9).low >= 0.8

    found = find_threshold(y_true, probabilities, 0.8)
    assert found.confidence == min(value for value in confidence if shown(value))
    assert found.coverage == np.mean(confidence >= found.confidence)


@pytest.mark.parametrize(("number", "reached"), [(28, False), (29, True)])
def test_a_few_rows_that_are_all_right_show_nothing(number, reached):
    found = find_threshold(np.zeros(number, int), np.tile([0.99, 0.01], (number, 1)), 0.9)
    assert (found.confidence is not None) == reached


def test_a_target_that_is_not_reached_has_no_threshold_and_says_so():
    found = find_threshold(*rows(500, random_state=0, honest=0.6)[:2], 0.9)
    assert found == Abstention(0.9, 500)
    assert str(found) == "no threshold is shown to reach a precision of 0.9 on 500 held-out rows"


def test_rows_of_equal_confidence_are_answered_together():
    """Forty sure rows are right; among sixty equally sure ones the right ones stand first."""
    y_true = np.array([0] * 40 + [0] * 30 + [1] * 30)
    probabilities = np.array([[0.9, 0.1]] * 40 + [[0.7, 0.3]] * 60)
    found = find_threshold(y_true, probabilities, 0.9)
    assert (found.confidence, found.coverage) == (0.9, 0.4)


def test_no_rows_show_nothing():
    assert find_threshold(np.zeros(0, int), np.zeros((0, 3)), 0.9).confidence is None


def test_a_target_that_all_rows_fulfil_answers_all():
    found = find_threshold(np.zeros(50, int), np.tile([0.6, 0.4], (50, 1)), 0.9)
    assert (found.coverage, found.confidence) == (1.0, 0.6)


def test_it_comes_back_from_the_manifest_as_it_was():
    found = Abstention(0.9, 500, 0.72, 0.8)
    assert Abstention.from_dict(found.to_dict()) == found
