"""All metrics of a model on some rows, as one thing that every table, page, card and run goes through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.scoring import metrics
from pipeline.scoring.bootstrap import Bootstrap, Interval
from pipeline.scoring.metrics import METRICS, Metric
from pipeline.scoring.predictions import Predictions


@dataclass(frozen=True)
class LabelScores:
    """Precision, recall and F1 of one label, and the rows that have it."""

    name: str
    precision: float
    recall: float
    f1: float
    rows: int


@dataclass(frozen=True)
class Scores:
    """Each metric with its interval, and the confusion matrix behind them."""

    metrics: tuple[Metric, ...]
    intervals: dict[str, Interval]  # by a metric's key; one that has no value on these rows has none
    matrix: np.ndarray  # rows by true and predicted label, shape (k, k)
    articles: int

    def __iter__(self) -> Iterator[tuple[Metric, Interval]]:
        """Yield each metric that has a value, with it."""
        return ((metric, self.intervals[metric.key]) for metric in self.metrics if metric.key in self.intervals)

    def __getitem__(self, key: str) -> Interval:
        """Return a metric's value and interval by its key."""
        return self.intervals[key]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.matrix.sum())

    @property
    def few_articles(self) -> bool:
        """Whether intervals are over sentences, and too narrow for other articles."""
        return any(interval.unit != "articles" for interval in self.intervals.values())

    def by_label(self, label_names: Sequence[str]) -> list[LabelScores]:
        """Return the scores of each label; the F1 of a label that is nowhere is 0."""
        columns = metrics.precision(self.matrix), metrics.recall(self.matrix), np.nan_to_num(metrics.f1(self.matrix))
        rows = zip(label_names, *(column.tolist() for column in columns), self.matrix.sum(1).tolist(), strict=True)
        return [LabelScores(name, precision, recall, f1, int(n)) for name, precision, recall, f1, n in rows]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: counts, each metric with its interval, the confusion matrix."""
        values = {metric.key: asdict(interval) for metric, interval in self}
        return {"rows": self.rows, "articles": self.articles, **values, "confusion": self.matrix.tolist()}


def score(
    predictions: Predictions, chosen: Sequence[Metric] = METRICS, *, resamples: int = 1000, random_state: int = 0
) -> Scores:
    """Measure each metric with its 95 % interval, all on the same resampled articles."""
    bootstrap = Bootstrap(predictions.groups, resamples, random_state)
    intervals = {metric.key: metric.measure(predictions, bootstrap) for metric in chosen}
    return Scores(
        metrics=tuple(chosen),
        intervals={key: interval for key, interval in intervals.items() if not np.isnan(interval.value)},
        matrix=metrics.confusion(predictions.y_true, predictions.y_pred, predictions.label_count),
        articles=len(np.unique(predictions.groups)),
    )
