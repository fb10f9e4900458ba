"""Charts as SVG text: colours come from a style sheet, so they are light or dark with the page or the screen.

Every chart carries a title and a description for those who do not see it; all words are escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.scoring.abstention import RiskCoverage
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.metrics import Reliability
from pipeline.scoring.scores import LabelScores

WIDTH, NARROW = 680.0, 326.0  # in pixels: no text shrinks on a phone
WIDTHS = {"on-wide": WIDTH, "on-narrow": NARROW}
STYLE = Path(__file__).with_name("charts.css")


@dataclass(frozen=True)
class Mark:
    """A line of a dot chart: a value with its interval, or only words where there is none."""

    name: str
    interval: Interval | None = None
    note: str = ""
    kind: str = ""  # a class of the style sheet: "own", "weak", "baseline", "head"


def draw_svg(width: float, height: float, title: str, description: str, body: Sequence[str]) -> str:
    """Return a chart with its title and a description; the body is SVG."""
    words = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    return (
        f'<svg class="chart" role="img" aria-label="{escape(title)}" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}">{words}{"".join(body)}</svg>'
    )


def standalone(svg: str) -> str:
    """Return a chart as a file of its own, with its style sheet and its ground."""
    ground = '<rect width="100%" height="100%" class="ground"/>'
    style = f"<style>{STYLE.read_text(encoding='utf-8')}</style>"
    opening, _, rest = svg.partition(">")
    return opening.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"') + f">{style}{ground}{rest}\n"


def draw_text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Return words at a place, escaped."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def draw_line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def fit_screens(draw: Callable[..., str], *what: Any) -> str:
    """Return a chart twice, drawn in two widths, of which a page shows the one that its screen has room for."""
    return "".join(f'<div class="{kind}">{draw(*what, width=width)}</div>' for kind, width in WIDTHS.items())


@dataclass(frozen=True)
class _Lines:
    """A name, a track from `left` to `right` and words in each line; in a narrow chart the name stands above it."""

    width: float
    left: float
    right: float
    step: float
    top: float

    @classmethod
    def of(cls, width: float, left: float, right: float, step: float, top: float) -> _Lines:
        return cls(width, 7.0, width - 7.0, 42.0, top) if width < WIDTH else cls(width, left, width - right, step, top)

    @property
    def is_narrow(self) -> bool:
        return self.width < WIDTH

    def x(self, share: float) -> float:
        return self.left + share * (self.right - self.left)

    def y(self, number: int) -> float:
        """Return the height of a track."""
        return self.top + self.step * number + (30.0 if self.is_narrow else self.step / 2)

    def name(self, y: float, words: str) -> str:
        return (
            draw_text(0, y - 13, words, "name")
            if self.is_narrow
            else draw_text(self.left - 14, y + 4, words, "name", "end")
        )

    def words(self, y: float, words: str, kind: str = "tick", left: float = 0.0) -> str:
        return draw_text(self.width - left, y - 13 if self.is_narrow else y + 4, words, kind, "end")


def draw_intervals(marks: Sequence[Mark], title: str, reference: float | None = None, width: float = WIDTH) -> str:
    """Draw values from 0 to 1 as dots with whiskers, one line each; a dashed line marks the reference."""
    lines = _Lines.of(width, 236.0, 88.0, 26.0, 26.0)
    height = lines.top + lines.step * len(marks) + 6
    body = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x = lines.x(tick)
        body += [draw_line(x, lines.top - 6, x, height - 4, "grid"), draw_text(x, 13, f"{tick:g}", "tick", "middle")]
    if reference is not None:
        x = lines.x(reference)
        body.append(draw_line(x, lines.top - 6, x, height - 4, "reference"))
    description = []
    for number, mark in enumerate(marks):
        y = lines.y(number)
        if mark.kind == "head":
            body.append(draw_text(0, y + 5, mark.name, "group"))
            continue
        body.append(lines.name(y, mark.name))
        if mark.interval is None:
            body.append(draw_text(lines.left + 6, y + 4, mark.note, "tick halo"))
            continue
        low, high, value = (lines.x(v) for v in (mark.interval.low, mark.interval.high, mark.interval.value))
        body.append(draw_line(low, y, high, y, f"whisker {mark.kind}"))
        body.append(f'<circle cx="{value:.1f}" cy="{y:.1f}" r="5" class="dot {mark.kind}"/>')
        left = (46 if mark.note else 0) if lines.is_narrow else 48  # of the note
        body.append(lines.words(y, f"{mark.interval.value:.2f}", f"value {mark.kind}", left))
        body.append(lines.words(y, mark.note))
        description.append(f"{mark.name} {mark.interval}")
    return draw_svg(width, height, title, "; ".join(description), body)


def draw_label_scores(scores: Sequence[LabelScores], title: str) -> str:
    """Draw precision, recall and F1 of each label."""
    marks = []
    for label in scores:
        marks.append(Mark(f"{label.name} ({label.rows:,})", kind="head"))
        values = {"precision": label.precision, "recall": label.recall, "F1": label.f1}
        marks += [Mark(name, Interval(value, value, value), kind="own") for name, value in values.items()]
    return draw_intervals(marks, title)


def draw_confusion(matrix: np.ndarray, label_names: Sequence[str], title: str) -> str:
    """Draw counts in squares, shaded by the share of the true label."""
    left, top, cell = 104.0, 52.0, 90.0
    size = len(label_names)
    shares = matrix / matrix.sum(1, keepdims=True).clip(1)
    body = [draw_text(left + size * cell / 2, 14, "predicted", "tick", "middle")]
    body.append(draw_text(left - 12, 38, "labelled", "tick", "end"))
    body += [draw_text(left + (i + 0.5) * cell, 38, name, "small", "middle") for i, name in enumerate(label_names)]
    description = []
    for row, name in enumerate(label_names):
        y = top + row * cell
        body.append(draw_text(left - 12, y + cell / 2 + 4, name, "small", "end"))
        for column, other in enumerate(label_names):
            x, share = left + column * cell, float(shares[row, column])
            kind = "hit" if row == column else "miss"
            body.append(
                f'<rect x="{x + 2:.0f}" y="{y + 2:.0f}" width="{cell - 4:.0f}" height="{cell - 4:.0f}" rx="6" '
                f'class="cell {kind}" fill-opacity="{0.06 + 0.5 * share:.2f}"/>'
            )
            body.append(draw_text(x + cell / 2, y + cell / 2, str(int(matrix[row, column])), "count", "middle"))
            body.append(draw_text(x + cell / 2, y + cell / 2 + 18, f"{share:.0%}", "small", "middle"))
            description.append(f"{int(matrix[row, column])} labelled {name} are predicted {other}")
    return draw_svg(left + size * cell + 4, top + size * cell + 4, title, "; ".join(description), body)


@dataclass(frozen=True)
class _Plane:
    """A square plot, 0 to 1 across and `y0` to 1 up."""

    side: float = 250.0
    left: float = 52.0
    top: float = 12.0
    y0: float = 0.0

    def x(self, value: float) -> float:
        return self.left + value * self.side

    def y(self, value: float) -> float:
        return self.top + (1 - (value - self.y0) / (1 - self.y0)) * self.side

    def axes(self, across: str, up: str) -> list[str]:
        body = []
        for x in (0, 0.25, 0.5, 0.75, 1):
            body += [draw_line(self.x(x), self.top, self.x(x), self.top + self.side, "grid")]
            body += [draw_text(self.x(x), self.top + self.side + 16, f"{x:.0%}", "tick", "middle")]
        for y in np.linspace(self.y0, 1, 6 if self.y0 else 5).tolist():
            body += [draw_line(self.left, self.y(y), self.left + self.side, self.y(y), "grid")]
            body += [draw_text(self.left - 7, self.y(y) + 4, f"{y:.0%}", "tick", "end")]
        body.append(draw_text(self.left + self.side / 2, self.top + self.side + 36, across, "small", "middle"))
        middle = self.top + self.side / 2
        return [*body, f'<g transform="rotate(-90 9 {middle:.0f})">{draw_text(9, middle, up, "small", "middle")}</g>']

    @property
    def size(self) -> tuple[float, float]:
        return self.left + self.side + 22, self.top + self.side + 44


def draw_reliability(curve: Reliability, title: str) -> str:
    """Draw the share that is right against confidence; the dots lie on the diagonal if confidence is honest."""
    plane = _Plane()
    body = plane.axes("how confident the model is", "how often it is right")
    body.append(draw_line(plane.x(0), plane.y(0), plane.x(1), plane.y(1), "reference"))
    points = list(zip(curve.confidence.tolist(), curve.accuracy.tolist(), strict=True))
    body.append(
        f'<polyline points="{" ".join(f"{plane.x(x):.1f},{plane.y(y):.1f}" for x, y in points)}" class="curve"/>'
    )
    body += [f'<circle cx="{plane.x(x):.1f}" cy="{plane.y(y):.1f}" r="4.5" class="dot own"/>' for x, y in points]
    description = "; ".join(f"{x:.0%} confident, {y:.0%} right" for x, y in points)
    return draw_svg(*plane.size, title, description, body)


def draw_risk_coverage(curve: RiskCoverage, title: str) -> str:
    """Draw the share that is right among the most confident rows, for each share of rows that is answered."""
    share, accuracy = curve.share, curve.accuracy
    # The first few rows are all right or not by chance; fifty points make a smooth line.
    first = int(np.searchsorted(share, 0.04))
    kept = np.unique(np.linspace(min(first, len(share) - 1), len(share) - 1, 50).astype(int))
    lowest = float(accuracy[kept].min())
    plane = _Plane(y0=0.5 if lowest >= 0.5 else 0.0)
    body = plane.axes("share of sentences that is answered", "of these, right")
    points = [(float(share[i]), float(accuracy[i])) for i in kept]
    line = " ".join(f"{plane.x(x):.1f},{plane.y(y):.1f}" for x, y in points)
    ground = f"{plane.x(points[-1][0]):.1f},{plane.y(plane.y0):.1f} {plane.x(points[0][0]):.1f},{plane.y(plane.y0):.1f}"
    body += [f'<polygon points="{line} {ground}" class="area"/>', f'<polyline points="{line}" class="curve"/>']
    some = points[:: max(1, len(points) // 8)]
    description = "; ".join(f"of the most confident {x:.0%}, {y:.0%} are right" for x, y in some)
    return draw_svg(*plane.size, title, description, body)


def draw_rates(rows: Sequence[tuple[str, int, int, int | None]], title: str, width: float = WIDTH) -> str:
    """Draw passed shares as bars; a tick marks how many the baseline passes.

    Args:
        rows: name, passed, all, passed by the baseline.
        title: what the chart shows.
        width: in pixels.

    """
    lines = _Lines.of(width, 326.0, 64.0, 24.0, 0.0)
    scale = lines.right - lines.left
    body, description = [], []
    for number, (name, passed, total, baseline) in enumerate(rows):
        y = lines.y(number)
        place = f'<rect x="{lines.left:.0f}" y="{y - 6:.0f}" height="12" rx="6"'
        body += [lines.name(y, name), f'{place} width="{scale:.0f}" class="track"/>']
        if passed:
            body.append(f'{place} width="{max(12.0, scale * passed / total):.0f}" class="bar"/>')
        if baseline is not None:
            x = lines.x(baseline / total)
            body.append(draw_line(x, y - 9, x, y + 9, "baseline"))
        body.append(lines.words(y, f"{passed} of {total}"))
        description.append(f"{name}: {passed} of {total}")
    return draw_svg(width, lines.step * len(rows) + 6, title, "; ".join(description), body)
