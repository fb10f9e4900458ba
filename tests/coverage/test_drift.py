import numpy as np
import pytest

from pipeline.coverage.drift import UNSURE, compare
from pipeline.coverage.shares import Sums

NAMES = ("tea", "coffee", "neither")


def articles(rng, count, lean=(1, 2, 12)):
    """Articles of ten sentences each, whose probabilities lean as they are told."""
    return Sums.of(rng.dirichlet(lean, 10 * count), np.repeat(np.arange(count), 10), count)


def test_articles_of_one_kind_are_alike():
    rng = np.random.default_rng(0)
    lights = [compare(articles(rng, 100), articles(rng, 60), NAMES).light for _ in range(100)]
    assert lights.count("alike") >= 95


@pytest.mark.parametrize(
    ("lean", "light", "real"),
    [
        ((1, 2.6, 11.4), "somewhat unlike", {"coffee"}),
        ((3, 2, 10), "unlike", {"tea", "neither", UNSURE}),
        ((0.02, 0.04, 0.24), "unlike", {UNSURE}),  # the same shares, and much surer
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
    same = Sums.of(np.full((30, 3), 1 / 3), np.repeat(np.arange(3), 10), 3)
    assert compare(same, same, NAMES).light == "alike"
