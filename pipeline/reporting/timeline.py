"""The chart over time: a share with its band, a block for each period, nothing where there are no articles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from itertools import pairwise

from pipeline.reporting.charts import draw_line, draw_svg, draw_text
from pipeline.scoring.bootstrap import Interval

BARS = 34.0  # height of the counts below


@dataclass(frozen=True)
class Period:
    """Some days, from `begin` on and before `end`."""

    name: str
    begin: date
    end: date
    articles: int
    interval: Interval | None = None
    is_useful: bool = True


@dataclass(frozen=True)
class Axis:
    """Days across, a share up."""

    begin: int
    end: int
    left: float
    right: float
    top: float
    bottom: float

    def x(self, day: date) -> float:
        """Return the place of a day."""
        return self.left + (day.toordinal() - self.begin) / max(self.end - self.begin, 1) * (self.right - self.left)

    def y(self, share: float) -> float:
        """Return the place of a share."""
        return self.bottom - share * (self.bottom - self.top)


def draw_timeline(
    periods: Sequence[Period], events: Sequence[tuple[date, str]], sides: Sequence[str], title: str, width: float
) -> str:
    """Draw the share of the first side in each period; events are marked with their numbers.

    Args:
        periods: in order; what is between them are gaps.
        events: day and title.
        sides: what stands above and below the middle.
        title: what the chart shows.
        width: in pixels; text is as large in a narrow chart.

    """
    levels = _levels([day.toordinal() for day, _ in events], periods, width)
    top = 28.0 + 19 * (max(levels, default=-1) + 1)
    begin, end = periods[0].begin.toordinal(), periods[-1].end.toordinal()
    axis = Axis(begin, end, 46.0, width - 8, top, top + 0.2 * width + 110)
    body = _grid(axis) + _ticks(axis, width)
    for number, ((day, _), level) in enumerate(zip(events, levels, strict=True), 1):
        x, y = axis.x(day), top - 16 - 19 * level
        body.append(draw_line(x, y + 8, x, axis.bottom, "event"))
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8.5" class="event"/>')
        body.append(draw_text(x, y + 4, str(number), "number", "middle"))
    body += _blocks(axis, periods) + _counts(axis, periods)
    for side, y in zip(sides, (axis.y(1) + 16, axis.y(0) - 8), strict=True):
        body.append(draw_text(axis.left + 4, y, f"all {side}", "small halo"))
    words = [f"{period.name}: {period.interval or 'no estimate'}, {period.articles} articles" for period in periods]
    return draw_svg(width, axis.bottom + BARS + 44, title, "; ".join(words), body)


def _levels(days: Sequence[int], periods: Sequence[Period], width: float) -> list[int]:
    """Return how high the number of each event stands, so that none covers another."""
    day = max(periods[-1].end.toordinal() - periods[0].begin.toordinal(), 1) / (width - 54)
    levels: list[int] = []
    last: dict[int, int] = {}
    for when in days:
        level = next(i for i in range(len(days)) if i not in last or (when - last[i]) / day > 20)
        last[level] = when
        levels.append(level)
    return levels


def _grid(axis: Axis) -> list[str]:
    body = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        kind = "reference" if share == 0.5 else "grid"
        body.append(draw_line(axis.left, axis.y(share), axis.right, axis.y(share), kind))
        body.append(draw_text(axis.left - 8, axis.y(share) + 4, f"{share:.0%}", "tick", "end"))
    return body


def _ticks(axis: Axis, width: float) -> list[str]:
    """Write years, or months where there are few of them, as many as there is room for."""
    first, last = date.fromordinal(axis.begin), date.fromordinal(axis.end)
    months = [date(year, month, 1) for year in range(first.year, last.year + 1) for month in range(1, 13)]
    inside = [day for day in months if first <= day <= last]
    years = [day for day in inside if day.month == 1]
    days = years if len(years) > 2 else inside or [first]
    room = int(width // 70)
    days = days[:: -(-len(days) // room)]
    y = axis.bottom + BARS + 36
    body = []
    for day in days:
        words = str(day.year) if len(years) > 2 else day.isoformat()[: 7 if inside else 10]
        body += [
            draw_line(axis.x(day), axis.bottom, axis.x(day), y - 16, "grid"),
            draw_text(axis.x(day) + 4, y, words, "tick"),
        ]
    return body


def _blocks(axis: Axis, periods: Sequence[Period]) -> list[str]:
    body, points = [], []
    for period in periods:
        if period.interval is None:
            continue
        kind = "own" if period.is_useful else "baseline"
        x, wide = axis.x(period.begin), axis.x(period.end) - axis.x(period.begin)
        low, high, value = (
            axis.y(share) for share in (period.interval.low, period.interval.high, period.interval.value)
        )
        place = f'x="{x + 0.5:.1f}" y="{high:.1f}" width="{max(wide - 1, 2):.1f}" height="{low - high:.1f}"'
        words = f"{period.name}: {period.interval}, {period.articles} articles"
        body.append(f'<rect {place} rx="2" class="band {kind}"><title>{escape(words)}</title></rect>')
        points.append((x + wide / 2, value, kind, period))
    for one, two in pairwise(points):
        if one[3].end == two[3].begin:
            body.append(draw_line(one[0], one[1], two[0], two[1], "join"))
    body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="dot {kind}"/>' for x, y, kind, _ in points]
    return body


def _counts(axis: Axis, periods: Sequence[Period]) -> list[str]:
    """Draw how many articles each period has."""
    most, base = max(period.articles for period in periods), axis.bottom + BARS + 18
    body = [draw_line(axis.left, base, axis.right, base, "grid"), draw_text(axis.left - 8, base, "0", "tick", "end")]
    body.append(draw_text(axis.left - 8, base - BARS + 8, f"{most:,}", "tick", "end"))
    body.append(draw_text(axis.left + 6, base - BARS - 2, "articles", "small"))
    for period in periods:
        x, wide = axis.x(period.begin), axis.x(period.end) - axis.x(period.begin)
        tall = max(BARS * period.articles / most, 1.5)
        place = f'x="{x + 0.5:.1f}" y="{base - tall:.1f}" width="{max(wide - 1, 2):.1f}" height="{tall:.1f}"'
        body.append(f'<rect {place} class="count"/>')
    return body
