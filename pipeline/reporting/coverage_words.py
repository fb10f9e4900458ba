"""What a batch says in sentences that an analyst reads once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.coverage.drift import UNSURE
from pipeline.coverage.measure import FEWEST_ARTICLES, FEWEST_LABELLED, Coverage
from pipeline.coverage.periods import PERIODS
from pipeline.coverage.rows import Batch
from pipeline.scoring.abstention import UNCERTAIN
from pipeline.scoring.bootstrap import Interval

UNKNOWN = {"outlet": "no outlet", "target": "no target"} | dict.fromkeys(PERIODS, "no date")


@dataclass(frozen=True)
class Source:
    """Where a batch comes from, in words, and what of it could not be used."""

    rows: str
    model: str
    asked_labels: int = 0  # labelled sentences that the person gave
    rejected_articles: int = 0  # that prediction could not read


def percent(value: float) -> str:
    """Write a share as people read it: two digits, or one decimal below 10 %."""
    return f"{100 * value:.1f} %" if 0 < value < 0.0995 else f"{100 * value:.0f} %"


def span(interval: Interval) -> str:
    """Write both ends of an interval of shares: `47 to 61 %`."""
    low, high = percent(interval.low), percent(interval.high)
    return f"{low.removesuffix(' %')} to {high}"


def answer(coverage: Coverage) -> str:
    """Say in one sentence what the batch argues for, and how sure that is."""
    overall, sides = coverage.overall, coverage.sides
    where = f"{overall.articles:,} article{'s' * (overall.articles != 1)}"
    if not overall.shares:
        return _count(coverage, where)
    if not sides:
        best = max(range(len(coverage.label_names)), key=lambda position: overall.shares[position].value)
        return f"Of all sentences in these {where}, {span(overall.shares[best])} are {coverage.label_names[best]}."
    if overall.side is None or not overall.is_useful:
        return f"These {where} do not say which side prevails: too few of their sentences take one."
    first, second = sides
    taken = f"Of the sentences that take a side in these {where}, {span(overall.side)} are {first}"
    if overall.side.low > 0.5:
        return f"{taken}: more than are {second}."
    if overall.side.high < 0.5:
        return f"{taken}: fewer than are {second}."
    return f"{taken}, the others {second}: neither side is shown to prevail."


def _count(coverage: Coverage, where: str) -> str:
    """Say why there is no estimate, and what the model says."""
    overall, names = coverage.overall, (*coverage.label_names, UNCERTAIN)
    few = f"it takes {FEWEST_ARTICLES} articles"
    why = few if coverage.labelled else "no labelled sentences correct the model"
    counts = [f"{n:,} {name}" for name, n in zip(names, overall.counts, strict=True) if n or name != UNCERTAIN]
    said = f"the model calls {', '.join(counts)} of {overall.sentences:,} sentences"
    return f"No estimate, because {why}: in {where} {said}."


def leaning(coverage: Coverage) -> str:
    """Name the outlets that are shown to lean to a side, the clearest two of each."""
    groups = [group for table in coverage.tables if table.dimension not in PERIODS for group in table.groups]
    shown = [(group.name, group.side) for group in groups if group.name and group.is_useful and group.side]
    parts = []
    for side, far in zip(coverage.sides, _how_far(shown), strict=False):
        if clear := [name for distance, name in sorted(far, reverse=True) if distance > 0]:
            parts.append(f"{' and '.join(clear[:2])} to {side}")
    return f"Shown to lean: {', '.join(parts)}." if parts else ""


def _how_far(shown: list[tuple[str, Interval]]) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
    """Return how far each interval lies above the middle, and how far below."""
    return [(side.low - 0.5, name) for name, side in shown], [(0.5 - side.high, name) for name, side in shown]


def about(coverage: Coverage, batch: Batch) -> str:
    """Say how much there is, from how many outlets and of what time."""
    dates = sorted(filter(None, batch.dates))
    outlets = len(set(filter(None, batch.outlets)))
    parts = [f"{coverage.overall.sentences:,} sentences of {coverage.overall.articles:,} articles"]
    parts += [f"{outlets:,} outlet{'s' * (outlets != 1)}"] if outlets else []
    parts += [f"{dates[0][:7]} to {dates[-1][:7]}"] if dates else []
    return ", ".join(parts)


def counted(coverage: Coverage, source: Source) -> str:
    """Say what the correction was fitted to, and what that assumes."""
    labelled = coverage.labelled
    asked = (
        f"Of your {source.asked_labels:,} sentences labelled at random too few stand in this batch to correct it "
        f"({FEWEST_LABELLED[1]} in {FEWEST_LABELLED[0]} articles are needed). "
        if source.asked_labels and (labelled is None or labelled.kind != "own")
        else ""
    )
    if labelled is None:
        return (
            f"{asked}Nothing corrects the model here, so there are no shares, only what it says: counts of its labels "
            "can be wrong by a third. Label sentences drawn at random (`stance label suggest`) and give them: --labels."
        )
    size = f"{labelled.sentences:,} labelled sentences of {len(labelled.labels):,} articles"
    if labelled.kind == "own":
        return f"The model is corrected by {size} of this batch, drawn at random, whose own labels count as they are."
    return (
        f"{asked}The model is corrected by {size} that ship with it, held out from its training. This assumes that "
        "the articles here are like those: the model may err more, or otherwise, on other outlets, years or topics. "
        "Labels of your own, drawn at random from this batch, need no such assumption."
    )


def alike(coverage: Coverage) -> str:
    """Say whether the batch is like the labelled articles, as far as the model's probabilities show."""
    drift, labelled = coverage.drift, coverage.labelled
    if drift is None or labelled is None:
        return ""
    real = [difference for difference in drift.differences if difference.is_real]
    if not real:
        return "Alike: the model says the same of this batch as of the labelled articles, and is as sure."
    named = ", ".join(
        f"{'unsure' if d.name == UNSURE else d.name} {percent(d.here)} here, {percent(d.there)} there" for d in real
    )
    if labelled.kind == "own":
        then = "so they can hardly be drawn from it at random, and the shares above are in doubt"
    else:
        then = "so the correction may not hold: label some sentences of this batch, drawn at random, to be sure"
    return f"{drift.light.capitalize()}: the batch differs from the labelled articles ({named}), {then}."


def left_out(coverage: Coverage, batch: Batch, source: Source) -> Iterator[str]:
    """Say what does not count, and what counts only in the totals."""
    for why, rows in batch.rejects.most_common():
        yield f"{rows:,} row{'s' * (rows != 1)}: {why}"
    if source.rejected_articles:
        yield f"{source.rejected_articles:,} articles that could not be read when the rows were made"
    for table in coverage.tables:
        for group in table.groups:
            if not group.name:
                words = UNKNOWN[table.dimension]
                yield f"{group.articles:,} articles with {words} are in the totals and in no {table.dimension}"
    if coverage.overall.counts[-1]:
        unsure = f"{coverage.overall.counts[-1]:,} sentences labelled {UNCERTAIN}"
        yield f"{unsure}: their probabilities count, their label does not"
