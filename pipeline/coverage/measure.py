"""What a batch says: shares of labels and of the two sides, overall and by group, with what stands behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.coverage.actors import UNKNOWN
from pipeline.coverage.drift import Drift, Traits, compare
from pipeline.coverage.held_out import HeldOut
from pipeline.coverage.periods import PERIODS, SPEAKER, fill_gaps, name_period
from pipeline.coverage.rows import Batch, Span, Totals
from pipeline.coverage.shares import Shares, Sums, add_up, estimate, fit_correction
from pipeline.scoring.bootstrap import Interval

# Fewer articles than this say too little of a group: it gets no estimate.
FEWEST_ARTICLES = 5
# An interval that covers half of all that could be is shown in grey: it says next to nothing.
USEFUL_WIDTH = 0.5
OFF_TOPIC, BELOW, FIRST_STAGE = "off topic", "below the threshold", "answered by the first stage"
# Labelled articles and sentences that a correction needs (benchmarks/coverage.py shows what fewer do).
FEWEST_LABELLED = (40, 100)


@dataclass(frozen=True)
class Labelled:
    """Labelled sentences, added up by article; n articles."""

    kind: str  # "own": drawn from this batch; "held-out": of other articles
    sums: Sums
    labels: np.ndarray  # shape (n, k)
    keys: Mapping[str, Sequence[str]]  # what they are grouped by, such as their outlets
    positions: np.ndarray  # of the articles in the batch, shape (n,); -1 where they are others
    sided: Labelled | None = None  # those alone that the model says take a side, by article and speaker

    @property
    def sentences(self) -> int:
        """Labelled sentences."""
        return int(self.sums.sentences.sum())

    @property
    def enough(self) -> bool:
        """Whether a correction can be fitted to them."""
        return len(self.labels) >= FEWEST_LABELLED[0] and self.sentences >= FEWEST_LABELLED[1]


def describe_batch(batch: Batch, name: str = "this batch") -> Traits:
    """Return what the model makes of a batch."""
    rows, off = batch.rows, batch.off_topic.total()
    shares = {OFF_TOPIC: off / (rows + off)}
    if batch.threshold is not None:
        shares |= {BELOW: batch.below / rows}
    if batch.stages:
        shares |= {FIRST_STAGE: batch.stages["first"] / rows}
    return Traits(name, batch.totals.finish()[0], batch.sample.words(), shares)


def describe_held_out(facts: HeldOut, threshold: float | None) -> Traits:
    """Return what the model makes of the articles that ship with it."""
    sums = Sums.of(facts.probabilities, facts.article, len(facts.ids))
    confidence = facts.probabilities.max(1)
    shares = {} if threshold is None else {BELOW: float((confidence < threshold).mean())}
    return Traits("the labelled articles that ship with the model", sums, facts.words, shares)


def from_own_labels(batch: Batch, labels: Mapping[Span, str]) -> Labelled:
    """Gather the labelled sentences that stand in the batch."""
    kept = [(found, batch.label_names.index(labels[span])) for span, found in batch.spans.items() if span in labels]
    probabilities = np.array([found.probabilities for found, _ in kept]).reshape(-1, len(batch.label_names))
    known = probabilities, np.array([label for _, label in kept], np.int64)
    articles = np.array([found.article for found, _ in kept], np.int64)
    speeches = np.array([found.speech for found, _ in kept], np.int64)
    return _gather("own", articles, *known, batch.keys, _gather("own", speeches, *known, {SPEAKER: _speakers(batch)}))


def from_held_out(facts: HeldOut, sides: Sequence[str] = (), least: float = 0.0) -> Labelled:
    """Add up the held-out facts of a pretrained model; what takes no side is less sure than `least` or has no such."""
    n, known = len(facts.ids), (facts.probabilities, facts.label)
    keys = {"outlet": facts.outlets, "date": facts.dates, "target": [""] * n, SPEAKER: [""] * n}
    best = np.isin(facts.probabilities.argmax(1), [facts.label_names.index(side) for side in sides])
    sided = np.where(best & (facts.probabilities.max(1) >= least), facts.article, -1)
    return _gather("held-out", facts.article, *known, keys, _gather("held-out", sided, *known, keys))


def _gather(
    kind: str,
    codes: np.ndarray,
    probabilities: np.ndarray,
    labels: np.ndarray,
    keys: Mapping[str, Sequence[str]],
    sided: Labelled | None = None,
) -> Labelled:
    """Add up labelled sentences by what they belong to, positions in the keys; what has the code -1 is left out."""
    inside = codes >= 0
    ids, own = np.unique(codes[inside], return_inverse=True)
    sums = Sums.of(probabilities[inside], own, len(ids))
    truth = add_up(np.eye(probabilities.shape[1])[labels[inside]], own, len(ids))
    theirs = {name: [values[i] for i in ids] for name, values in keys.items()}
    return Labelled(kind, sums, truth, theirs, ids if kind == "own" else np.full(len(ids), -1), sided)


def _speakers(batch: Batch) -> list[str]:
    """Return whom each speech of the batch is of, empty where that is not known."""
    title = batch.holders.title if batch.holders else str
    return ["" if actor == UNKNOWN else title(actor) for _, actor in batch.speeches.codes]


@dataclass(frozen=True)
class Group:
    """Some articles of the batch: an outlet, a month, or all; values in the order of the labels."""

    name: str  # empty: what the articles do not say
    articles: int = 0
    sentences: int = 0
    counts: tuple[int, ...] = ()  # labels as predicted, `uncertain` last
    means: tuple[float, ...] = ()  # of the probabilities
    shares: tuple[Interval, ...] = ()  # corrected; none where there is no correction or too few articles
    side: Interval | None = None  # of the first side among sentences that take one

    @property
    def is_gap(self) -> bool:
        """Whether it stands for a time without articles."""
        return self.articles == 0

    @property
    def is_useful(self) -> bool:
        """Whether the interval of its side says something."""
        return self.side is not None and self.side.high - self.side.low <= USEFUL_WIDTH

    @property
    def balance(self) -> Interval | None:
        """The first side minus the second, over both: -1 to 1."""
        side = self.side
        return side and Interval(2 * side.value - 1, 2 * side.low - 1, 2 * side.high - 1)


@dataclass(frozen=True)
class Table:
    """All groups of one kind: periods in order with their gaps, outlets by their sentences."""

    dimension: str
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Coverage:
    """What a batch says, and what its correction was fitted to."""

    label_names: tuple[str, ...]
    sides: tuple[str, ...]  # two labels, or none
    overall: Group
    tables: tuple[Table, ...]
    labelled: Labelled | None
    drift: Drift | None = None  # between the batch and other articles


def measure(
    batch: Batch,
    labelled: Labelled | None,
    dimensions: Sequence[str] = (),
    sides: Sequence[str] = (),
    others: Traits | None = None,
) -> Coverage:
    """Estimate shares overall and by each dimension.

    Args:
        batch: what was predicted.
        labelled: what the correction is fitted to; None, or too few, leaves the shares uncorrected.
        dimensions: of `periods.DIMENSIONS`.
        sides: the two labels that are weighed against each other; none unless there are two.
        others: what the batch is compared with.

    """
    usable = labelled if labelled is not None and labelled.enough else None
    pair = tuple(sides) if len(sides) == 2 else ()
    overall = _groups(
        batch, batch.totals, ["all"] * len(batch.ids), usable, ["all"] * len(usable.labels if usable else ()), pair
    )[0]
    tables = []
    for dimension in dimensions:
        if dimension == SPEAKER:
            sided = usable.sided if usable and usable.sided and usable.sided.enough else None
            theirs = sided.keys[SPEAKER] if sided else []
            groups = _groups(batch, batch.speeches, _speakers(batch), sided, theirs, pair)
        else:
            theirs = _keys(usable.keys, dimension) if usable else []
            groups = _groups(batch, batch.totals, _keys(batch.keys, dimension), usable, theirs, pair)
        tables.append(Table(dimension, tuple(_in_order({group.name: group for group in groups}, dimension))))
    drift = compare(describe_batch(batch), others, batch.label_names) if others else None
    return Coverage(batch.label_names, pair, overall, tuple(tables), usable, drift)


def _keys(keys: Mapping[str, Sequence[str]], dimension: str) -> list[str]:
    """Return the group of each article, empty where it is not known."""
    return [name_period(day, dimension) for day in keys["date"]] if dimension in PERIODS else list(keys[dimension])


def _in_order(groups: dict[str, Group], dimension: str) -> list[Group]:
    unknown = [groups[""]] if "" in groups else []
    known = {name: group for name, group in groups.items() if name}
    if dimension in PERIODS:
        return [known.get(name) or Group(name) for name in fill_gaps(list(known), dimension)] + unknown
    return sorted(known.values(), key=lambda group: (-group.sentences, group.name)) + unknown


def _groups(
    batch: Batch,
    totals: Totals,
    keys: Sequence[str],
    labelled: Labelled | None,
    others: Sequence[str],
    sides: tuple[str, ...],
) -> list[Group]:
    """Return the groups of what a batch adds up, which has these keys; what is labelled has the others."""
    names, codes = np.unique([*keys, *others], return_inverse=True)
    own, theirs = codes[: len(keys)], codes[len(keys) :]
    sums, counts = totals.finish()
    sums, counts = sums.by(own, len(names)), add_up(counts, own, len(names))
    articles = np.bincount(own, minlength=len(names))
    # What the labelled articles do not say is no group of its own.
    theirs = np.where([bool(key) for key in others], theirs, -1)
    intervals = _intervals(_estimate(sums, labelled, own, theirs), batch, sides) if labelled else []
    return [
        Group(
            str(names[i]),
            int(articles[i]),
            int(sums.sentences[i]),
            tuple(counts[i].astype(int).tolist()),
            tuple((sums.probabilities[i] / sums.sentences[i]).tolist()),
            **(intervals[i] if intervals and articles[i] >= FEWEST_ARTICLES else {}),
        )
        for i in np.flatnonzero(articles).tolist()
    ]


def _estimate(sums: Sums, labelled: Labelled, own: np.ndarray, theirs: np.ndarray) -> Shares:
    """Estimate the shares of groups, given the codes of the batch's articles and of the labelled ones."""
    size = len(sums.sentences)
    correction = fit_correction(labelled.sums, labelled.labels, theirs, size)
    # Labelled sentences of the batch are known; what is estimated is the rest.
    inside = labelled.positions >= 0
    codes = own[labelled.positions[inside]]
    known = add_up(labelled.labels[inside], codes, size)
    articles = np.bincount(own, minlength=size)
    return estimate(correction, sums - labelled.sums[inside].by(codes, size), known, articles)


def _intervals(shares: Shares, batch: Batch, sides: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return each group's `shares` and `side`."""
    low, high = shares.intervals()
    ends = np.stack([shares.values, low, high], -1).tolist()
    found: list[dict[str, Any]] = [{"shares": tuple(Interval(v, a, b) for v, a, b in group)} for group in ends]
    if sides:
        first, second = (batch.label_names.index(name) for name in sides)
        for group, (value, a, b) in zip(found, np.stack(shares.side(first, second), -1).tolist(), strict=True):
            group["side"] = Interval(value, a, b) if np.isfinite(value) else None
    return found
