"""What a batch says as a folder that people open: one HTML page that begins with the answer, and its tables as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipeline.coverage.actors import UNKNOWN as UNKNOWN_ACTOR
from pipeline.coverage.drift import EXPECTED_ERROR
from pipeline.coverage.events import Event
from pipeline.coverage.holders import Holders
from pipeline.coverage.measure import FEWEST_ARTICLES, USEFUL_WIDTH, Coverage, Group, Table
from pipeline.coverage.periods import PERIODS, first_days
from pipeline.coverage.quotes import CONFIDENT, DIVIDED, RANDOM, Quote
from pipeline.coverage.rows import Batch
from pipeline.data.files import write_whole
from pipeline.data.formats.columns import shield_formula
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
from pipeline.reporting.timeline import Period, draw_timeline
from pipeline.scoring.abstention import UNCERTAIN
from pipeline.scoring.bootstrap import Interval

TEMPLATE = "coverage_page.html.jinja"
PAGE = "index.html"
MOST_LINES = 40  # of a table whose groups are no periods; all of them stand in the CSV
LONGEST_NAME = 60
MOST_NAMES = 3  # that stand beside an actor
WIDTHS = {"on-full": 824.0, "on-middle": 540.0, "on-narrow": NARROW}  # of the chart over time
HEADINGS = {"outlet": "By outlet", "target": "By target"} | dict.fromkeys(PERIODS, "Over time")


def write_page(coverage: Coverage, batch: Batch, source: Source, folder: Path) -> Path:
    """Write the page and a CSV for each table, each of them whole, and return the page."""
    tables = {"overall": to_rows("batch", [coverage.overall], coverage)}
    tables |= {table.dimension: to_rows(table.dimension, table.groups, coverage) for table in coverage.tables}
    if batch.holders:
        tables["actors"] = [{"actor": title, **counts} for title, counts in batch.holders.table()]
    files = {PAGE: render(coverage, batch, source)}
    files |= {f"{name}.csv": _to_csv(rows, name) for name, rows in tables.items()}
    for name, content in files.items():
        with write_whole(folder / name) as partial:
            # A spreadsheet takes a file without a mark for one in its own old encoding.
            encoding = "utf-8-sig" if name.endswith(".csv") else "utf-8"
            partial.write_text(content, encoding=encoding, errors="replace", newline="")
    return folder / PAGE


def render(coverage: Coverage, batch: Batch, source: Source) -> str:
    """Return the page; every text that comes from outside is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    place = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    place.filters |= {"percent": percent, "span": span, "shorten": shorten}
    return place.get_template(TEMPLATE).render(
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
        fewest=FEWEST_ARTICLES,
        width=USEFUL_WIDTH,
    )


def shorten(name: str, most: int = LONGEST_NAME) -> str:
    """Cut a long name: it stands whole in the CSV."""
    return name if len(name) <= most else name[: most - 1] + "…"


@dataclass(frozen=True)
class _Actor:
    """An actor, the sentences in which it holds a position, and who speaks for it most often."""

    title: str
    counts: dict[str, int]  # of each side
    names: str

    @property
    def total(self) -> int:
        """Sentences of both sides."""
        return sum(self.counts.values())


def _actors(holders: Holders) -> list[_Actor]:
    names: dict[str, list[str]] = {}
    known = ((actor, name, count) for (actor, name), count in holders.names.most_common() if actor != UNKNOWN_ACTOR)
    for actor, name, count in known:
        names.setdefault(holders.title(actor), []).append(f"{shorten(name)}\N{NO-BREAK SPACE}{count:,}")
    return [_Actor(title, counts, ", ".join(names.get(title, [])[:MOST_NAMES])) for title, counts in holders.table()]


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
        bars = [] if in_time else [(name, group) for name, group in named[:most] if group.side]
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


def to_rows(dimension: str, groups: Sequence[Group], coverage: Coverage) -> list[dict[str, object]]:
    """Return a table as rows; what is not known is an empty cell."""
    return [_row(dimension, group, coverage) for group in groups]


def _to_csv(rows: Sequence[dict[str, object]], first: str = "") -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else [first], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


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
