"""What a batch says in sentences that an analyst reads once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.coverage.drift import OTHER_WORDS
from pipeline.coverage.measure import FEWEST_ARTICLES, FEWEST_LABELLED, Coverage, Table
from pipeline.coverage.periods import PERIODS, SPEAKER, Event
from pipeline.coverage.rows import Batch
from pipeline.scoring.abstention import UNCERTAIN
from pipeline.scoring.bootstrap import Interval

MOST_REASONS = 8  # that are named one by one
UNKNOWN = {"outlet": "no outlet", "target": "no target", SPEAKER: "nobody known"} | dict.fromkeys(PERIODS, "no date")


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
    where = count(overall.articles, "article")
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
    groups = [group for table in coverage.tables if table.dimension in ("outlet", "target") for group in table.groups]
    shown = [(group.name, group.side) for group in groups if group.name and group.is_useful and group.side]
    parts = []
    above = [(side.low - 0.5, name) for name, side in shown]
    below = [(0.5 - side.high, name) for name, side in shown]
    for side, far in zip(coverage.sides, (above, below), strict=False):
        if clear := [name for distance, name in sorted(far, reverse=True) if distance > 0][:2]:
            parts.append(f"{' and '.join(clear)} lean{'s' * (len(clear) == 1)} to {side.removeprefix('pro-')}")
    if parts:
        return f"{', '.join(parts)}."
    return "No outlet is shown to lean to a side." if len(shown) > 1 else ""


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
    parts += [count(outlets, "outlet")] if outlets else []
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
        shown = f", as far as {count(few, 'article')} can show" if few < FEWEST_LABELLED[0] else ""
        return f"{light}: the model says the same of this batch as of {drift.there}, and is as sure{shown}."
    if labelled and labelled.kind == "own":
        then = "If your labelled sentences had been drawn at random, that would be rare: the shares above are in doubt"
    else:
        then = "So the correction may not hold: label some sentences of this batch, drawn at random, to be sure"
    return f"{light}: the batch differs from {drift.there}: {'; '.join(parts)}. {then}."


def count(number: int, noun: str) -> str:
    """Write a number of things: `1 article`, `1,200 rows`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def left_out(coverage: Coverage, batch: Batch, source: Source) -> Iterator[tuple[str, str]]:
    """Yield what does not count, or counts only in the totals: how many, and why."""
    if batch.off_topic:
        where = count(len(batch.off_topic), "article")
        yield count(batch.off_topic.total(), "sentence"), f"off topic, in {where}: in no number here"
    for why, number in batch.rejects.most_common():
        yield count(number, "row"), f"{why}: in no number here"
    reasons = sorted(source.rejected.items(), key=lambda entry: -entry[1])
    for why, articles in reasons[:MOST_REASONS]:
        yield count(articles, "article"), f"{why}: no rows were made of {'them' if articles != 1 else 'it'}"
    if rest := sum(articles for _, articles in reasons[MOST_REASONS:]):
        yield count(rest, "article"), "for other reasons: no rows were made of them"
    for table in coverage.tables:
        yield from _without_speaker(coverage, table) if table.dimension == SPEAKER else _ungrouped(coverage, table)
    if uncertain := coverage.overall.counts[-1]:
        yield count(uncertain, "sentence"), f"labelled {UNCERTAIN}: their probabilities count, their label does not"


def _ungrouped(coverage: Coverage, table: Table) -> Iterator[tuple[str, str]]:
    """Yield how many articles count in the totals alone."""
    few = [group.articles for group in table.groups if group.name and 0 < group.articles < FEWEST_ARTICLES]
    if few and coverage.labelled:
        kind = count(len(few), table.dimension)
        yield count(sum(few), "article"), f"of {kind} with fewer than {FEWEST_ARTICLES}: in the totals alone"
    for group in table.groups:
        if not group.name:
            yield count(group.articles, "article"), f"with {UNKNOWN[table.dimension]}: in the totals alone"


def _without_speaker(coverage: Coverage, table: Table) -> Iterator[tuple[str, str]]:
    """Yield how many sentences stand under no speaker, or under one who gets no estimate."""
    if silent := coverage.overall.sentences - sum(group.sentences for group in table.groups):
        yield count(silent, "sentence"), "that take no side, as the model labels them: under no speaker"
    for group in table.groups:
        if not group.name:
            yield count(group.sentences, "sentence"), f"that take a side, of {UNKNOWN[SPEAKER]}: under no speaker"
        elif group.articles < FEWEST_ARTICLES and coverage.labelled:
            few = f"of {group.name}, in fewer than {FEWEST_ARTICLES} articles: without an estimate"
            yield count(group.sentences, "sentence"), few
