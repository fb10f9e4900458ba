import numpy as np
import pytest

from pipeline.coverage.drift import EXPECTED_ERROR, Drift, Traits, compare
from pipeline.coverage.shares import Sums
from pipeline.scoring.bootstrap import Interval

NAMES = ("tea", "coffee", "neither")


def articles(rng, count, lean=(1, 2, 12)):
    """Articles of ten sentences each, whose probabilities lean as they are told."""
    return Traits("tea rooms", Sums.of(rng.dirichlet(lean, 10 * count), np.repeat(np.arange(count), 10), count))


def test_articles_of_one_kind_are_alike():
    rng = np.random.default_rng(0)
    lights = [compare(articles(rng, 100), articles(rng, 60), NAMES).light for _ in range(100)]
    assert lights.count("alike") >= 95


@pytest.mark.parametrize(
    ("lean", "light", "real"),
    [
        ((1, 2.6, 11.4), "somewhat unlike", {"coffee"}),
        ((3, 2, 10), "unlike", {"tea", "neither", EXPECTED_ERROR}),
        ((0.02, 0.04, 0.24), "unlike", {EXPECTED_ERROR}),  # the same shares, and much surer
    ],
)
def test_what_differs_is_named(lean, light, real):
    rng = np.random.default_rng(1)
    drift = compare(articles(rng, 400, lean), articles(rng, 200), NAMES)
    assert {difference.name for difference in drift.differences if difference.is_real} >= real
    assert drift.light == light


def test_a_difference_has_the_sign_of_what_is_more_here():
    rng = np.random.default_rng(2)
    drift = compare(articles(rng, 100, (4, 2, 9)), articles(rng, 100), NAMES)
    assert drift.differences[0].errors > 3
    assert drift.differences[2].errors < -3


def test_articles_that_are_all_the_same_are_alike():
    same = Traits("", Sums.of(np.full((30, 3), 1 / 3), np.repeat(np.arange(3), 10), 3))
    assert compare(same, same, NAMES).light == "alike"


def test_shares_that_are_known_of_both_stand_side_by_side():
    sums = articles(np.random.default_rng(3), 30).sums
    here, there = Traits("", sums, shares={"steeped": 0.2, "iced": 0.1}), Traits("", sums, shares={"steeped": 0.3})
    assert compare(here, there, NAMES).shares == (("steeped", 0.2, 0.3), ("iced", 0.1, None))


@pytest.mark.parametrize(("low", "light"), [(0.6, "alike"), (0.81, "somewhat unlike"), (0.96, "unlike")])
def test_words_that_differ_turn_the_light(low, light):
    assert Drift((), Interval(low, low, 1)).light == light
