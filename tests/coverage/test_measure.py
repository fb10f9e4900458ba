"""From a batch and labelled sentences to tables: what is estimated, what is too little, what is a gap."""

import numpy as np
import pytest
from predicted import LABEL_NAMES, predicted_rows, write_rows

from pipeline.coverage.held_out import HeldOut
from pipeline.coverage.measure import FEWEST_ARTICLES, from_held_out, from_own_labels, measure
from pipeline.coverage.rows import read_batch
from pipeline.progress import ignore_progress

SIDES = ("pro-dialogue", "pro-sanctions")


@pytest.fixture
def batch_of(tmp_path):
    """A batch of rows, and the true labels of some of its sentences."""

    def made(rows, truth, share=0.0):
        chosen = np.random.default_rng(0).random(len(rows)) < share
        spans = {
            (row["article_id"], row["start"], row["end"]): (row["text"], LABEL_NAMES[label])
            for row, label, known in zip(rows, truth, chosen, strict=True)
            if known
        }
        file = write_rows(rows, tmp_path / "rows.jsonl")
        wanted = {span: text for span, (text, _) in spans.items()}
        batch = read_batch([file], LABEL_NAMES, ignore_progress, wanted)
        return batch, {span: label for span, (_, label) in spans.items()}

    return made


def facts_of(rows, truth):
    """The same rows as facts of other articles."""
    ids = sorted({row["article_id"] for row in rows})
    first = {row["article_id"]: row for row in rows}
    known = [tuple(first[key][name] for key in ids) for name in ("outlet", "date")]
    article = np.array([ids.index(row["article_id"]) for row in rows])
    values = np.array([[row[f"p_{name.replace('-', '_')}"] for name in LABEL_NAMES] for row in rows])
    return HeldOut(LABEL_NAMES, tuple(ids), *known, article, np.array(truth), values, (), np.zeros((0, 3)))


def true_shares(truth):
    return np.bincount(truth, minlength=3) / len(truth)


def test_own_labels_of_the_batch_correct_it(batch_of):
    rows, truth = predicted_rows(200, 10)
    batch, labels = batch_of(rows, truth, 0.2)
    labelled = from_own_labels(batch, labels)
    assert labelled.sentences == len(labels)
    coverage = measure(batch, labelled, ["outlet"], SIDES)
    for interval, share in zip(coverage.overall.shares, true_shares(truth), strict=True):
        assert interval.low <= share <= interval.high
        assert interval.high - interval.low < 0.08
    real = true_shares(truth)
    side = coverage.overall.side
    assert side.low <= real[1] / real[:2].sum() <= side.high
    assert coverage.overall.balance.value == pytest.approx(2 * side.value - 1)
    assert [group.articles for group in coverage.tables[0].groups] == [67, 67, 66]


def test_labels_of_all_sentences_leave_no_doubt(batch_of):
    rows, truth = predicted_rows(60, 5)
    batch, labels = batch_of(rows, truth, 1.1)
    overall = measure(batch, from_own_labels(batch, labels)).overall
    assert [interval.value for interval in overall.shares] == pytest.approx(true_shares(truth))
    assert max(interval.high - interval.low for interval in overall.shares) < 1e-6


def test_facts_of_other_articles_correct_a_batch_without_labels(batch_of):
    rows, truth = predicted_rows(150, 10, seed=1)
    batch, _ = batch_of(rows, truth)
    others, their_truth = predicted_rows(100, 10, seed=2)
    coverage = measure(batch, from_held_out(facts_of(others, their_truth)), ["outlet", "month"], SIDES)
    assert coverage.labelled.kind == "held-out"
    for interval, share in zip(coverage.overall.shares, true_shares(truth), strict=True):
        assert interval.low <= share <= interval.high


def test_sides_come_in_the_order_that_is_given(batch_of):
    rows, truth = predicted_rows(100, 5)
    batch, labels = batch_of(rows, truth, 0.5)
    one, two = (measure(batch, from_own_labels(batch, labels), (), sides) for sides in (SIDES, SIDES[::-1]))
    assert one.overall.side.value == pytest.approx(1 - two.overall.side.value)
    assert one.overall.balance.low == pytest.approx(-two.overall.balance.high)


@pytest.mark.parametrize("sides", [(), ("neutral",), LABEL_NAMES])
def test_without_two_sides_there_is_no_balance(batch_of, sides):
    rows, truth = predicted_rows(100, 5)
    batch, labels = batch_of(rows, truth, 0.5)
    coverage = measure(batch, from_own_labels(batch, labels), ["outlet"], sides)
    assert (coverage.sides, coverage.overall.side, coverage.overall.balance) == ((), None, None)
    assert len(coverage.overall.shares) == 3


@pytest.mark.parametrize("share", [0.0, 0.02])
def test_too_few_labels_give_counts_and_no_share(batch_of, share):
    rows, truth = predicted_rows(100, 5)
    batch, labels = batch_of(rows, truth, share)
    coverage = measure(batch, from_own_labels(batch, labels), ["outlet"], SIDES)
    assert coverage.labelled is None
    assert (coverage.overall.shares, coverage.overall.side) == ((), None)
    assert sum(coverage.overall.counts) == 500
    assert [group.shares for group in coverage.tables[0].groups] == [(), (), ()]


def test_a_group_of_few_articles_gets_no_estimate(batch_of):
    rows, truth = predicted_rows(100, 5)
    few = [row | {"outlet": "The Last Page"} if row["article_id"] in ("a0", "a1") else row for row in rows]
    batch, labels = batch_of(few, truth, 0.5)
    groups = {
        group.name: group
        for group in measure(batch, from_own_labels(batch, labels), ["outlet"], SIDES).tables[0].groups
    }
    assert groups["The Last Page"].articles < FEWEST_ARTICLES
    assert groups["The Last Page"].side is None
    assert groups["Noodle Post"].side is not None


def test_a_batch_of_one_article_gets_no_estimate(batch_of):
    rows, truth = predicted_rows(1, 5)
    others, their_truth = predicted_rows(100, 10)
    batch, _ = batch_of(rows, truth)
    overall = measure(batch, from_held_out(facts_of(others, their_truth)), ["month", "outlet"], SIDES).overall
    assert (overall.articles, overall.shares, sum(overall.counts)) == (1, (), 5)


def test_months_come_in_order_with_their_gaps_and_what_has_no_date_last(batch_of):
    rows, truth = predicted_rows(100, 5)
    undated = [row | {"date": ""} if row["article_id"] == "a3" else row for row in rows]
    batch, labels = batch_of(undated, truth, 0.5)
    names = [group.name for group in measure(batch, from_own_labels(batch, labels), ["month"]).tables[0].groups]
    assert names[:4] == ["2017-01", "2017-02", "2017-03", "2017-04"]
    assert names[-1] == ""
    assert names[:-1] == sorted(names[:-1])


def test_shares_of_groups_add_up_to_all_sentences(batch_of):
    rows, truth = predicted_rows(100, 5)
    batch, labels = batch_of(rows, truth, 0.5)
    coverage = measure(batch, from_own_labels(batch, labels), ["outlet", "month", "year"])
    for table in coverage.tables:
        assert sum(group.sentences for group in table.groups) == coverage.overall.sentences
        counts = np.array([group.counts for group in table.groups if not group.is_gap]).sum(0)
        assert counts.tolist() == list(coverage.overall.counts)
