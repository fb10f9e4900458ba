"""What a batch says as a folder that people open: one HTML page that begins with the answer, and its tables as CSV."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.coverage.actors import UNKNOWN as UNKNOWN_ACTOR
from pipeline.coverage.drift import EXPECTED_ERROR
from pipeline.coverage.holders import Holders
from pipeline.coverage.measure import FEWEST_ARTICLES, USEFUL_WIDTH, Coverage, Group, Table
from pipeline.coverage.periods import PERIODS, SPEAKER, Event, first_days
from pipeline.coverage.quotes import CONFIDENT, DIVIDED, RANDOM, Quote
from pipeline.coverage.rows import Batch
from pipeline.data.formats.columns import shield_formula
from pipeline.reporting import pages
from pipeline.reporting.charts import NARROW
from pipeline.reporting.coverage_words import (
    UNKNOWN,
    Source,
    about,
    alike,
    answer,
    counted,
    leaning,
    left_out,
    percent,
    span,
    speaking,
)
from pipeline.reporting.pages import to_csv
from pipeline.reporting.timeline import Period, draw_timeline
from pipeline.scoring.abstention import UNCERTAIN
from pipeline.scoring.bootstrap import Interval

if TYPE_CHECKING:
    from pipeline.bundle import Bundle

TEMPLATE = "coverage_page.html.jinja"
MOST_LINES = 40  # of a table whose groups are no periods; all of them stand in the CSV
LONGEST_NAME = 60
MOST_NAMES = 3  # that stand beside an actor
WIDTHS = {"on-full": 824.0, "on-middle": 540.0, "on-narrow": NARROW}  # of the chart over time
HEADINGS = {"outlet": "By outlet", "target": "By target", SPEAKER: "By speaker"} | dict.fromkeys(PERIODS, "Over time")


def write_page(coverage: Coverage, batch: Batch, source: Source, folder: Path) -> Path:
    """Write the page and a CSV for each table, each of them whole, and return the page."""
    tables = to_tables(coverage)
    if batch.holders:
        tables["actors"] = [{"actor": shield_formula(title), **counts} for title, counts in batch.holders.table()]
    # A spreadsheet takes a file without a mark for one in its own old encoding.
    files = {f"{name}.csv": f"\ufeff{to_csv(rows) or name}" for name, rows in tables.items()}
    return pages.write_files(folder, {pages.PAGE: render(coverage, batch, source), **files})


def log_page(
    coverage: Coverage, source: Source, page: Path, bundle: Bundle | None, *, seconds: float, **facts: Any
) -> str:
    """Log what a batch says as a run of its own, under the keys that trainings have, and return the run's id.

    Args:
        coverage: what it says.
        source: where it comes from.
        page: as it was written.
        bundle: the model, if one is at hand.
        seconds: that it took.
        facts: `experiment` and `tags` of the run.

    """
    from pipeline import tracking

    with tracking.run(f"coverage {page.parent.resolve().name}", **facts) as run:
        version = run.version(bundle.manifest.run_id) if bundle else ""
        kind = coverage.labelled.kind if coverage.labelled else "none"
        params = {"input": source.rows, "model": source.model, "model_version": version or "unknown"}
        run.params(params | {"model_digest": bundle.digest if bundle else "unknown", "labelled_by": kind})
        run.metrics(_numbers(coverage) | {"seconds": seconds})
        for name, rows in to_tables(coverage).items():
            run.table(rows, name)
        run.folder(page.parent, "page")
        run.note(f"**{answer(coverage)}**\n\n{counted(coverage, source)}")
        return run.id


def _numbers(coverage: Coverage) -> dict[str, float]:
    overall, drift = coverage.overall, coverage.drift
    values = {"articles": float(overall.articles), "rows": float(overall.sentences)}
    named: dict[str, Interval | None] = {"balance": overall.balance, "words_auc": drift.auc if drift else None}
    named |= {f"share_{name}": share for name, share in zip(coverage.label_names, overall.shares, strict=False)}
    for name, interval in named.items():
        if interval:
            values |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    if drift:
        values["expected_right"] = 1 - next(d.here for d in drift.differences if d.name == EXPECTED_ERROR)
        values |= {name.replace(" ", "_"): share for name, share, _ in drift.shares}
    return values


def render(coverage: Coverage, batch: Batch, source: Source) -> str:
    """Return the page; every text that comes from outside is escaped."""
    return pages.render(
        TEMPLATE,
        {"percent": percent, "span": span, "shorten": shorten},
        coverage=coverage,
        batch=batch,
        source=source,
        title=answer(coverage),
        leaning=leaning(coverage),
        speaking=speaking(batch),
        actors=_actors(batch.holders) if batch.holders else [],
        about=about(coverage, batch),
        counted=counted(coverage, source),
        alike=alike(coverage),
        left_out=list(left_out(coverage, batch, source)),
        sections=[_Section.of(table, coverage, source) for table in coverage.tables],
        said=_quotes(batch, coverage.sides),
        colours=dict(zip(coverage.sides, ("first", "second"), strict=False)),
        divided=DIVIDED,
        expected_error=EXPECTED_ERROR,
        lights={"alike": "", "somewhat unlike": "some", "unlike": "bad"},
        uncertain=UNCERTAIN,
        speaker=SPEAKER,
        fewest=FEWEST_ARTICLES,
        width=USEFUL_WIDTH,
    )


def shorten(name: str, most: int = LONGEST_NAME) -> str:
    """Cut a long name: it stands whole in the CSV."""
    return name if len(name) <= most else name[: most - 1] + "…"


def _actors(holders: Holders) -> list[dict[str, Any]]:
    """Return each actor with its sentences of each side, and who speaks for it most often."""
    names: dict[str, list[str]] = {}
    for (actor, name), count in holders.names.most_common():
        if actor != UNKNOWN_ACTOR:
            names.setdefault(holders.title(actor), []).append(f"{shorten(name)}\N{NO-BREAK SPACE}{count:,}")
    return [
        {"title": title, "counts": counts, "total": sum(counts.values()), "names": names.get(title, [])[:MOST_NAMES]}
        for title, counts in holders.table()
    ]


def _quotes(batch: Batch, sides: tuple[str, ...]) -> list[tuple[str, list[tuple[str, Quote]]]]:
    """Return headings, and under each its quotes with the kind that they are of."""
    found = []
    for side in sides:
        quotes = [(kind, quote) for kind in (CONFIDENT, RANDOM) for quote in batch.quotes.of(kind, side)]
        found.append((side, list({quote.text: (kind, quote) for kind, quote in reversed(quotes)}.values())[::-1]))
    found.append(("", [(DIVIDED, quote) for quote in batch.quotes.of(DIVIDED)]))
    return [(heading, quotes) for heading, quotes in found if quotes]


@dataclass(frozen=True)
class _Section:
    """A table with its chart: blocks over time, or a bar in each line."""

    heading: str
    dimension: str
    groups: list[tuple[str, Group]]  # with the name to show
    hidden: int
    estimated: list[tuple[str, Group]]  # those that a bar is drawn for, from one side to the other
    charts: dict[str, str]  # of several widths
    events: list[Event]

    @classmethod
    def of(cls, table: Table, coverage: Coverage, source: Source) -> _Section:
        in_time = table.dimension in PERIODS
        most = len(table.groups) if in_time else MOST_LINES
        named = [(group.name or UNKNOWN[table.dimension], group) for group in table.groups]
        # What is of nobody known stands under no speaker.
        shown = [] if in_time else [group for group in named[:most] if group[1].name or table.dimension != SPEAKER]
        bars = [(name, group) for name, group in shown if group.side]
        bars.sort(key=lambda entry: (not entry[1].is_useful, -entry[1].side.value if entry[1].side else 0))
        drawn, events = _draw_time(table, coverage, source) if in_time else ({}, [])
        heading = HEADINGS[table.dimension]
        return cls(heading, table.dimension, named[:most], len(named) - len(named[:most]), bars, drawn, events)


def _draw_time(table: Table, coverage: Coverage, source: Source) -> tuple[dict[str, str], list[Event]]:
    """Return the chart over time, wide and narrow, and the events in it; none without a single estimate."""
    from markupsafe import Markup

    periods = [
        Period(group.name, *first_days(group.name, table.dimension), group.articles, group.side, group.is_useful)
        for group in table.groups
        if group.name and not group.is_gap
    ]
    if not coverage.sides or not any(period.interval for period in periods):
        return {}, []
    begin, end = periods[0].begin, periods[-1].end
    dated = [(date.fromisoformat(f"{event.date}-15"[:10]), event) for event in source.events]
    inside = [(day, event) for day, event in dated if begin <= day < end]
    title = f"Share of {coverage.sides[0]} among sentences that take a side, by {table.dimension}"
    marks = [(day, event.title) for day, event in inside]
    drawn: dict[str, str] = {
        kind: Markup(draw_timeline(periods, marks, coverage.sides, title, width))  # noqa: S704 - its words are escaped
        for kind, width in WIDTHS.items()
    }
    return drawn, [event for _, event in inside]


def to_tables(coverage: Coverage) -> dict[str, list[dict[str, object]]]:
    """Return all tables as rows, by name; what is not known is an empty cell."""
    tables = {"overall": [_row("batch", coverage.overall, coverage)]}
    for table in coverage.tables:
        tables[table.dimension] = [_row(table.dimension, group, coverage) for group in table.groups]
    return tables


def _row(dimension: str, group: Group, coverage: Coverage) -> dict[str, object]:
    row: dict[str, object] = {
        dimension: shield_formula(group.name),
        "articles": group.articles,
        "sentences": group.sentences,
    }
    for position, name in enumerate((*coverage.label_names, UNCERTAIN)):
        row[f"labelled {name}"] = group.counts[position] if group.counts else ""
    for position, name in enumerate(coverage.label_names):
        row[f"mean probability {name}"] = f"{group.means[position]:.4f}" if group.means else ""
        row |= _cells(f"share {name}", group.shares[position] if group.shares else None)
    if coverage.sides:
        row |= _cells(f"share {coverage.sides[0]} of {' and '.join(coverage.sides)}", group.side)
        row |= _cells(f"balance {' minus '.join(coverage.sides)}", group.balance)
    return row


def _cells(name: str, interval: Interval | None) -> dict[str, object]:
    values = (interval.value, interval.low, interval.high) if interval else ("", "", "")
    cells = [f"{value:.4f}" if isinstance(value, float) else value for value in values]
    return dict(zip((name, f"{name} low", f"{name} high"), cells, strict=True))
