"""Pictures of a model's scores; each function returns a figure and draws nothing on a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.scoring import metrics
from pipeline.scoring.abstention import RiskCoverage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#2f6690", "#d1603d", "#9aa5b1"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def draw_confusion(matrix: np.ndarray, label_names: Sequence[str], title: str) -> Figure:
    """Draw counts, shaded by the share of the true label."""
    figure = _figure(4.6, 4.2)
    axes = figure.add_subplot()
    shares = matrix / matrix.sum(1, keepdims=True).clip(1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(label_names))
    axes.set_xticks(ticks, label_names, rotation=20, ha="right")
    axes.set_yticks(ticks, label_names)
    axes.set(xlabel="predicted", ylabel="labelled", title=title)
    for row in ticks:
        for column in ticks:
            colour = "white" if shares[row, column] > 0.5 else "black"
            words = f"{int(matrix[row, column])}\n{shares[row, column]:.0%}"
            axes.text(column, row, words, ha="center", va="center", color=colour)
    return figure


def draw_reliability(found: metrics.Reliability, title: str) -> Figure:
    """Draw accuracy against confidence; on the diagonal a model is as sure as it is right."""
    figure = _figure(4.6, 4.2)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    axes.plot(found.confidence, found.accuracy, marker="o", color=BLUE)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share that is right")
    axes.set_title(f"{title}\nexpected calibration error {found.ece:.3f}")
    return figure


def draw_coverage(found: RiskCoverage, title: str) -> Figure:
    """Draw the error on the surest rows against the share of rows that is answered (risk and coverage)."""
    figure = _figure(4.6, 4.2)
    axes = figure.add_subplot()
    axes.plot(found.share, 1 - found.accuracy, color=BLUE)
    axes.set(xlim=(0, 1), ylim=(0, None), xlabel="share that is answered", ylabel="of these, wrong")
    axes.set_title(f"{title}\narea under the curve {found.aurc:.3f}")
    return figure


def draw_classes(matrix: np.ndarray, label_names: Sequence[str], title: str) -> Figure:
    """Draw precision, recall and F1 per label as bars."""
    figure = _figure(5.6, 3.6)
    axes = figure.add_subplot()
    places = np.arange(len(label_names))
    bars = [("precision", metrics.precision(matrix), GREY), ("recall", metrics.recall(matrix), ORANGE)]
    for offset, (name, values, colour) in enumerate([*bars, ("F1", np.nan_to_num(metrics.f1(matrix)), BLUE)]):
        drawn = axes.bar(places + (offset - 1) * 0.27, values, 0.25, label=name, color=colour)
        axes.bar_label(drawn, fmt="%.2f", fontsize=7)
    axes.set_xticks(places, [f"{name}\n({int(n)})" for name, n in zip(label_names, matrix.sum(1), strict=True)])
    axes.set(ylim=(0, 1.08), title=title)
    axes.legend(ncols=3, fontsize=8, loc="lower right")
    return figure
