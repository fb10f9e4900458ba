"""Corrected shares on toy arrays whose answer is known, and how often their intervals hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.coverage.shares import Sums, add_up, estimate, fit_correction

K = 3


def draw(rng, articles, slope=1.0, groups=1):
    """Articles of 5 to 30 sentences whose labels are drawn from their probabilities, sharpened or blunted."""
    article = np.repeat(np.arange(articles), rng.integers(5, 31, articles))
    lean = rng.dirichlet([1, 2, 12], articles)[article]
    truth = (lean.cumsum(1) > rng.random((len(lean), 1))).argmax(1)
    probabilities = slope * lean + (1 - slope) / K  # a model that says too evenly what it knows
    return article, truth, probabilities, rng.integers(0, groups, articles)


def sums_of(article, truth, probabilities):
    size = article.max() + 1
    return Sums.of(probabilities, article, size), add_up(np.eye(K)[truth], article, size)


def estimated(labelled, labels, batch, codes=None, others=None, size=1, known=None, articles=30):
    codes = np.zeros(len(batch.sentences), int) if codes is None else codes
    others = np.zeros(len(labels), int) if others is None else others
    correction = fit_correction(labelled, labels, others, size)
    rest = batch.by(codes, size)
    known = np.zeros((size, K)) if known is None else known
    return estimate(correction, rest, known, np.full(size, articles))


def test_probabilities_that_are_right_need_no_correction():
    rng = np.random.default_rng(0)
    # Every label is there as often as its probability says: 10, 20 and 70 of 100, or 30, 30 and 40.
    wanted = np.array([[10, 20, 70], [30, 30, 40]] * 20)
    article = np.repeat(np.arange(40), 100)
    truth = np.concatenate([np.repeat(np.arange(K), row) for row in wanted])
    labelled, labels = sums_of(article, truth, (wanted / 100)[article])
    batch = Sums.of(np.tile([0.25, 0.25, 0.5], (50, 1)), rng.integers(0, 10, 50), 10)
    shares = estimated(labelled, labels, batch)
    assert shares.values == pytest.approx(np.array([[0.25, 0.25, 0.5]]))
    low, high = shares.intervals()
    assert high - low == pytest.approx(0, abs=1e-6)  # nothing is left to doubt


def test_a_model_that_always_says_the_same_leaves_the_labels_to_speak():
    rng = np.random.default_rng(1)
    article, truth, probabilities, _ = draw(rng, 60)
    labelled, labels = sums_of(article, truth, np.full_like(probabilities, 1 / K))
    batch = Sums.of(np.full((500, K), 1 / K), np.repeat(np.arange(50), 10), 50)
    shares = estimated(labelled, labels, batch)
    assert shares.values[0] == pytest.approx(np.bincount(truth) / len(truth))


def test_a_bias_of_the_model_is_taken_off():
    rng = np.random.default_rng(2)
    article, truth, probabilities, _ = draw(rng, 200)
    wrong = np.roll(probabilities, 1, axis=1)  # it calls every label by its neighbour's name
    labelled, labels = sums_of(article, truth, wrong)
    article, truth, probabilities, _ = draw(rng, 400)
    shares = estimated(labelled, labels, Sums.of(np.roll(probabilities, 1, axis=1), article, 400))
    assert np.abs(shares.values[0] - np.bincount(truth) / len(truth)).max() < 0.03


def test_labelled_sentences_of_the_batch_are_counted_as_they_are():
    rng = np.random.default_rng(3)
    article, truth, probabilities, _ = draw(rng, 40)
    labelled, labels = sums_of(article, truth, probabilities)
    nothing_left = labelled - labelled
    shares = estimated(labelled, labels, nothing_left, known=labels.sum(0, keepdims=True))
    assert shares.values[0] == pytest.approx(np.bincount(truth) / len(truth))
    low, high = shares.intervals()
    assert high - low == pytest.approx(0)


def test_a_group_without_labels_takes_the_correction_of_all_and_is_less_sure():
    rng = np.random.default_rng(4)
    article, truth, probabilities, group = draw(rng, 200, groups=4)
    labelled, labels = sums_of(article, truth, probabilities)
    batch = Sums.of(np.tile(probabilities[:50], (5, 1)), np.repeat(np.arange(5), 50), 5)
    shares = estimated(labelled, labels, batch, np.arange(5), group, 5)
    low, high = shares.intervals()
    assert np.abs(shares.values[4] - shares.values[:4].mean(0)).max() < 0.01
    assert ((high - low)[4] > (high - low)[:4].max(0)).all()


@given(st.integers(0, 1000))
def test_the_order_of_articles_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    article, truth, probabilities, group = draw(rng, 30, groups=3)
    labelled, labels = sums_of(article, truth, probabilities)
    order, other = rng.permutation(30), rng.permutation(30)
    one = estimated(labelled, labels, labelled, group, group, 3)
    two = estimated(labelled[order], labels[order], labelled[other], group[other], group[order], 3)
    assert two.values == pytest.approx(one.values)
    assert two.covariance == pytest.approx(one.covariance)


@given(st.integers(0, 1000))
def test_articles_that_come_twice_change_no_value_and_make_no_interval_wider(seed):
    rng = np.random.default_rng(seed)
    article, truth, probabilities, _ = draw(rng, 30)
    labelled, labels = sums_of(article, truth, probabilities)
    twice = np.tile(np.arange(30), 2)
    one, two = estimated(labelled, labels, labelled), estimated(labelled[twice], labels[twice], labelled[twice])
    assert two.values == pytest.approx(one.values)
    assert (np.diagonal(two.covariance[0]) < np.diagonal(one.covariance[0])).all()


@given(st.integers(0, 1000), st.floats(0.1, 1))
def test_shares_lie_in_their_intervals_and_add_up(seed, slope):
    rng = np.random.default_rng(seed)
    article, truth, probabilities, _ = draw(rng, 30, slope)
    labelled, labels = sums_of(article, truth, probabilities)
    shares = estimated(labelled, labels, labelled)
    low, high = shares.intervals()
    assert ((low >= 0) & (low <= shares.values) & (shares.values <= high) & (high <= 1)).all()
    value, low, high = shares.side(0, 1)
    assert 0 <= low[0] <= value[0] <= high[0] <= 1
    other = shares.side(1, 0)
    assert (1 - other[0][0], 1 - other[2][0], 1 - other[1][0]) == pytest.approx((value[0], low[0], high[0]))


def test_a_side_that_a_few_sentences_take_can_be_anything():
    rng = np.random.default_rng(5)
    article, truth, probabilities, _ = draw(rng, 30)
    labelled, labels = sums_of(article, np.full_like(truth, 2), probabilities)
    value, low, high = estimated(labelled, labels, labelled).side(0, 1)
    assert (low[0], high[0]) == (0, 1)


@pytest.mark.parametrize("slope", [1.0, 0.4])
def test_intervals_hold_the_truth_as_often_as_they_say(slope):
    rng = np.random.default_rng(6)
    article, truth, probabilities, group = draw(rng, 600, slope, groups=6)
    everything, labels = sums_of(article, truth, probabilities)
    held, counted, sided = [], [], []
    for _ in range(200):
        order = rng.permutation(600)
        known, new = order[:60], order[60:260]
        for codes, size in ((np.zeros(600, int), 1), (group, 6)):
            shares = estimated(everything[known], labels[known], everything[new], codes[new], codes[known], size)
            real = add_up(labels[new], codes[new], size)
            real_shares = real / real.sum(1, keepdims=True)
            low, high = shares.intervals()
            held += [((low <= real_shares) & (real_shares <= high)).mean()]
            _, low, high = shares.side(0, 1)
            ratio = real[:, 0] / real[:, :2].sum(1)
            sided += [((low <= ratio) & (ratio <= high)).mean()]
            plain = np.bincount(probabilities[np.isin(article, new)].argmax(1), minlength=K)
            counted += [np.abs(plain / plain.sum() - labels[new].sum(0) / labels[new].sum()).max()]
    assert 0.93 < np.mean(held) < 0.98
    assert 0.93 < np.mean(sided) < 0.98
    assert np.mean(counted) > 0.1  # what counting labels is wrong by


def test_labels_narrow_an_interval_less_than_the_model_does():
    rng = np.random.default_rng(7)
    article, truth, probabilities, _ = draw(rng, 400)
    everything, labels = sums_of(article, truth, probabilities)
    blind = Sums.of(np.full_like(probabilities, 1 / K), article, 400)
    known, new = np.arange(60), np.arange(60, 400)
    widths = []
    for sums in (everything, blind):
        low, high = estimated(sums[known], labels[known], sums[new]).intervals()
        widths.append((high - low)[0])
    assert (widths[0] < 0.9 * widths[1]).all()


def test_the_same_sentences_in_fewer_articles_say_less():
    article, truth, probabilities, _ = draw(np.random.default_rng(3), 60)
    labelled, labels = sums_of(article, truth, probabilities)
    batch = Sums.of(probabilities[:300], np.zeros(300, int), 1)
    few, many = (estimated(labelled, labels, batch, articles=n) for n in (5, 50))
    assert (np.ptp(few.intervals(), axis=0) > 1.05 * np.ptp(many.intervals(), axis=0)).all()
    assert many.freedom.max() <= 58  # that the correction has
