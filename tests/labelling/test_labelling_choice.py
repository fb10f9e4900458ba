import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as entropy_of_scipy

from pipeline.labelling.choice import STRATEGIES, Plan, choose, entropy, least_confidence, margin

SURE, TORN, EVEN = [0.98, 0.01, 0.01], [0.5, 0.49, 0.01], [0.34, 0.33, 0.33]


def some(rows, seed=0):
    return np.random.default_rng(seed).dirichlet([0.4, 0.4, 2.0], rows)


def test_entropy_is_that_of_scipy():
    rows = some(50)
    assert entropy(rows) == pytest.approx(entropy_of_scipy(rows, axis=1))


def test_the_margin_cares_for_the_two_likeliest_labels_alone():
    assert margin(np.array([SURE, TORN])) == pytest.approx([1 - 0.97, 1 - 0.01])


def test_least_confidence_cares_for_the_likeliest_label_alone():
    assert least_confidence(np.array([SURE, TORN])) == pytest.approx([0.02, 0.5])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_takes_the_undecided_before_the_sure(strategy):
    plan = Plan(number=1, strategy=strategy, random_share=0)
    assert choose(np.array([SURE, SURE, EVEN, SURE]), plan) == {2: strategy}


def test_a_probability_of_zero_has_an_entropy():
    assert entropy(np.array([[1.0, 0.0, 0.0]])) == pytest.approx([0], abs=1e-9)


@given(st.integers(1, 60), st.integers(1, 80), st.floats(0, 1), st.sampled_from([*STRATEGIES, "random"]))
def test_as_many_are_chosen_as_asked_for_or_all_there_are(rows, number, share, strategy):
    chosen = choose(some(rows), Plan(number, strategy, share))
    assert len(chosen) == min(rows, number) and set(chosen) <= set(range(rows))


def test_the_random_share_is_marked():
    chosen = choose(some(500), Plan(number=100, random_share=0.2))
    assert sorted(chosen.values()).count("random") == 20


def test_what_is_random_does_not_depend_on_the_model():
    plan = Plan(number=50, random_share=0.5)
    first, second = (choose(some(200, seed), plan) for seed in (1, 2))
    drawn = [{row for row, how in chosen.items() if how == "random"} for chosen in (first, second)]
    assert drawn[0] == drawn[1]


def test_the_random_share_mirrors_the_pool():
    # 90 % of the pool is one kind; an uncertain choice would see little of it.
    rows = np.array([SURE] * 900 + [EVEN] * 100)
    drawn = [choose(rows, Plan(100, random_share=0.5, random_state=state)) for state in range(20)]
    sure = [row < 900 for chosen in drawn for row, how in chosen.items() if how == "random"]
    assert np.mean(sure) == pytest.approx(0.9, abs=0.03)


def test_the_most_uncertain_are_taken_whatever_is_predicted():
    rows = some(2000)
    chosen = choose(rows, Plan(number=90, random_share=0))
    assert set(chosen) == set(np.argsort(-STRATEGIES[Plan().strategy](rows), kind="stable")[:90].tolist())


def test_the_same_plan_chooses_the_same_rows():
    assert choose(some(300), Plan(40)) == choose(some(300), Plan(40))
