"""What a batch says as a folder that people open: one HTML page that begins with the answer, and its tables as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from pipeline.coverage.measure import FEWEST_ARTICLES, USEFUL_WIDTH, Coverage, Group, Table
from pipeline.coverage.periods import PERIODS
from pipeline.coverage.rows import Batch
from pipeline.data.files import write_whole
from pipeline.data.formats.delimited import shield_formula
from pipeline.reporting import charts
from pipeline.reporting.charts import Mark
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
)
from pipeline.scoring.abstention import UNCERTAIN
from pipeline.scoring.bootstrap import Interval

TEMPLATE = "coverage_page.html.jinja"
PAGE = "index.html"
MOST_LINES = 40  # of a chart or table whose groups are no periods; all of them stand in the CSV
LONGEST_NAME = 34
HEADINGS = {"outlet": "By outlet", "target": "By target"} | dict.fromkeys(PERIODS, "Over time")


def write_page(coverage: Coverage, batch: Batch, source: Source, folder: Path) -> Path:
    """Write the page and a CSV for each table, each of them whole, and return the page."""
    files = {PAGE: render(coverage, batch, source), "overall.csv": _csv("batch", [coverage.overall], coverage)}
    files |= {f"{table.dimension}.csv": _csv(table.dimension, table.groups, coverage) for table in coverage.tables}
    for name, content in files.items():
        with write_whole(folder / name) as partial:
            # A spreadsheet takes a file without a mark for one in its own old encoding.
            encoding = "utf-8-sig" if name.endswith(".csv") else "utf-8"
            partial.write_text(content, encoding=encoding, newline="")
    return folder / PAGE


def render(coverage: Coverage, batch: Batch, source: Source) -> str:
    """Return the page; every text that comes from outside is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    place = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    place.filters |= {"percent": percent, "span": span}
    return place.get_template(TEMPLATE).render(
        coverage=coverage,
        source=source,
        title=answer(coverage),
        leaning=leaning(coverage),
        about=about(coverage, batch),
        counted=counted(coverage, source),
        alike=alike(coverage),
        left_out=list(left_out(coverage, batch, source)),
        first_reject=batch.first_reject,
        sections=[_Section.of(table, coverage) for table in coverage.tables],
        uncertain=UNCERTAIN,
        fewest=FEWEST_ARTICLES,
        width=USEFUL_WIDTH,
    )


@dataclass(frozen=True)
class _Section:
    """A table with its chart."""

    heading: str
    dimension: str
    groups: list[tuple[str, Group]]  # with the name to show
    hidden: int
    chart: str

    @classmethod
    def of(cls, table: Table, coverage: Coverage) -> _Section:
        from markupsafe import Markup

        most = len(table.groups) if table.dimension in PERIODS else MOST_LINES
        named = [(group.name or UNKNOWN[table.dimension], group) for group in table.groups]
        marks = [_mark(name, group) for name, group in named[:most]]
        chart = ""
        if coverage.sides and coverage.labelled and marks:
            title = f"Share of {coverage.sides[0]} among sentences that take a side, by {table.dimension}"
            chart = Markup(charts.draw_intervals(marks, title, 0.5))  # noqa: S704 - drawn by us, its words escaped
        return cls(HEADINGS[table.dimension], table.dimension, named[:most], len(named) - len(named[:most]), chart)


def _mark(name: str, group: Group) -> Mark:
    short = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
    if group.is_gap:
        return Mark(short, note="no articles")
    if group.side is None:
        few = group.articles < FEWEST_ARTICLES
        return Mark(short, note=f"{group.articles} articles: too few" if few else "no sentence takes a side")
    return Mark(short, group.side, f"{group.articles:,}", "own" if group.is_useful else "baseline")


def _csv(dimension: str, groups: list[Group] | tuple[Group, ...], coverage: Coverage) -> str:
    text = io.StringIO(newline="")
    rows = [_row(dimension, group, coverage) for group in groups]
    writer = csv.DictWriter(text, list(rows[0]) if rows else [dimension], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(dimension: str, group: Group, coverage: Coverage) -> dict[str, object]:
    """Return a line of a CSV; what is not known is an empty cell."""
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
