"""What a batch says in sentences that an analyst reads once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.coverage.drift import OTHER_WORDS
from pipeline.coverage.events import Event
from pipeline.coverage.measure import FEWEST_ARTICLES, FEWEST_LABELLED, Coverage
from pipeline.coverage.periods import PERIODS
from pipeline.coverage.rows import Batch
from pipeline.scoring.abstention import UNCERTAIN
from pipeline.scoring.bootstrap import Interval

MOST_REASONS = 8  # that are named one by one
UNKNOWN = {"outlet": "no outlet", "target": "no target"} | dict.fromkeys(PERIODS, "no date")


@dataclass(frozen=True)
class Source:
    """Where a batch comes from, in words, and what of it could not be used."""

    rows: str
    model: str
    asked_labels: int = 0  # labelled sentences that the person gave
    rejected: Mapping[str, int] = field(default_factory=dict)  # why prediction read no rows from it -> articles
    events: Sequence[Event] = field(default_factory=tuple)
    foreign: bool = False  # the rows are of another model


def percent(value: float) -> str:
    """Write a share as people read it: two digits, or one decimal below 10 %."""
    return f"{100 * value:.1f} %" if 0 < value < 0.0995 else f"{100 * value:.0f} %"


def span(interval: Interval) -> str:
    """Write both ends of an interval of shares: `47 to 61 %`."""
    low, high = percent(interval.low), percent(interval.high)
    return f"{low.removesuffix(' %')} to {high}"


def argue(side: str) -> str:
    """Say what a sentence of a side does: `argue for noodles` where the label is `pro-noodles`, else `are` it."""
    return f"argue for {side[4:]}" if side.startswith("pro-") else f"are {side}"


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
    first, second = map(argue, sides)
    second = second.removeprefix("argue ")
    taken = f"Of the sentences that take a side in these {where}, {span(overall.side)} {first}"
    if overall.side.low > 0.5:
        return f"{taken}: more than {second}."
    if overall.side.high < 0.5:
        return f"{taken}: fewer than {second}."
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
        if clear := [name for distance, name in sorted(far, reverse=True) if distance > 0][:2]:
            parts.append(f"{' and '.join(clear)} lean{'s' * (len(clear) == 1)} to {side.removeprefix('pro-')}")
    if parts:
        return f"{', '.join(parts)}."
    return "No outlet is shown to lean to a side." if len(shown) > 1 else ""


def _how_far(shown: list[tuple[str, Interval]]) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
    """Return how far each interval lies above the middle, and how far below."""
    return [(side.low - 0.5, name) for name, side in shown], [(0.5 - side.high, name) for name, side in shown]


def speaking(batch: Batch) -> str:
    """Say who holds the positions that sentences take: the three actors that do so most often."""
    table = list(batch.holders.table()) if batch.holders else []
    total = sum(sum(counts.values()) for _, counts in table)
    said = [f"{title} ({percent(sum(counts.values()) / total)})" for title, counts in table[:3] if total]
    return f"Who takes these positions: {', '.join(said)}." if said else ""


def about(coverage: Coverage, batch: Batch) -> str:
    """Say how much there is, from how many outlets and of what time."""
    dates = sorted(filter(None, batch.dates))
    outlets = len(set(filter(None, batch.outlets)))
    parts = [f"{coverage.overall.sentences:,} sentences"]
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
        if source.foreign:
            asked += (
                f"The rows do not say what {source.model} says of the same sentences: they were made by another model, "
                "or changed, so what ships with it cannot serve. "
            )
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
    """Say whether the batch is like other articles, as far as probabilities and words show."""
    drift, labelled = coverage.drift, coverage.labelled
    if drift is None:
        return "Not measured: there is nothing to compare with. An earlier batch can serve: --reference ROWS."
    light = drift.light.capitalize()
    parts = [f"{d.name} {percent(d.here)} here, {percent(d.there)} there" for d in drift.differences if d.is_real]
    if drift.auc and drift.auc.low > OTHER_WORDS:
        parts.append(f"its words tell {percent(drift.auc.value)} of pairs of articles apart")
    if not parts:
        few = coverage.overall.articles
        shown = f", as far as {few:,} article{'s' * (few != 1)} can show" if few < FEWEST_LABELLED[0] else ""
        return f"{light}: the model says the same of this batch as of {drift.there}, and is as sure{shown}."
    if labelled and labelled.kind == "own":
        then = "If your labelled sentences had been drawn at random, that would be rare: the shares above are in doubt"
    else:
        then = "So the correction may not hold: label some sentences of this batch, drawn at random, to be sure"
    return f"{light}: the batch differs from {drift.there}: {'; '.join(parts)}. {then}."


def left_out(coverage: Coverage, batch: Batch, source: Source) -> Iterator[tuple[str, str]]:
    """Yield what does not count, or counts only in the totals: how many, and why."""
    if batch.off_topic:
        rows, articles = batch.off_topic.total(), len(batch.off_topic)
        yield f"{rows:,} sentences", f"off topic, in {articles:,} article{'s' * (articles != 1)}: in no number here"
    for why, rows in batch.rejects.most_common():
        yield f"{rows:,} row{'s' * (rows != 1)}", f"{why}: in no number here"
    for number, (why, articles) in enumerate(sorted(source.rejected.items(), key=lambda entry: -entry[1])):
        if number == MOST_REASONS:
            rest = sum(sorted(source.rejected.values(), reverse=True)[MOST_REASONS:])
            yield f"{rest:,} articles", "for other reasons: no rows were made of them"
            break
        yield (
            f"{articles:,} article{'s' * (articles != 1)}",
            f"{why}: no rows were made of {'them' if articles != 1 else 'it'}",
        )
    for table in coverage.tables:
        few = [group for group in table.groups if group.name and 0 < group.articles < FEWEST_ARTICLES]
        if few and coverage.labelled:
            articles = sum(group.articles for group in few)
            words = f"of {len(few):,} {table.dimension}s with fewer than {FEWEST_ARTICLES}: in the totals alone"
            yield f"{articles:,} articles", words
        for group in table.groups:
            if not group.name:
                yield f"{group.articles:,} articles", f"with {UNKNOWN[table.dimension]}: in the totals alone"
    if coverage.overall.counts[-1]:
        yield (
            f"{coverage.overall.counts[-1]:,} sentences",
            f"labelled {UNCERTAIN}: their probabilities count, their label does not",
        )
