"""Scores on the kinds of rows that people ask about: real documents first, then whole articles, then invented text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from pipeline.bundle import Bundle
from pipeline.config import Config
from pipeline.evaluation.rows import ScoredRows
from pipeline.scoring.abstention import threshold_metrics
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.metrics import MACRO_F1, Metric, difference, metrics_for
from pipeline.scoring.predictions import Predictions
from pipeline.scoring.scores import Scores, score


@dataclass(frozen=True)
class Subset:
    """Rows of one kind, what the model and the baselines say of them, and how good that is."""

    name: str
    predictions: Predictions
    baselines: dict[str, Predictions]
    metrics: tuple[Metric, ...]
    real: bool = False  # and not invented, nor somebody's file
    measured: bool = False  # when the model was made: the text is not here
    nested: bool = False  # its rows are among those of a subset above it

    @classmethod
    def of(cls, name: str, rows: ScoredRows, metrics: tuple[Metric, ...], **known: bool) -> Subset:
        """Take the predictions of rows."""
        return cls(name, rows.predictions, rows.baselines, metrics, **known)

    def __str__(self) -> str:
        """Count what is in it: `1,086 sentences of 349 real documents`."""
        articles = self.name if self.real else f"articles ({self.name})"
        return f"{self.scores.rows:,} sentences of {self.scores.articles:,} {articles}"

    @cached_property
    def scores(self) -> Scores:
        """All scores of the model."""
        return score(self.predictions, self.metrics)

    @cached_property
    def baseline_scores(self) -> dict[str, Scores]:
        """The scores of the baselines, by their labels alone."""
        about_labels = [metric for metric in self.metrics if metric.about_labels]
        return {name: score(predictions, about_labels) for name, predictions in self.baselines.items()}

    @property
    def best_baseline(self) -> str:
        """The baseline with the highest macro-F1."""
        return max(self.baselines, key=lambda name: MACRO_F1.value(self.baselines[name]))

    @cached_property
    def gain(self) -> Interval:
        """What macro-F1 is more than that of the best baseline, paired."""
        return difference(MACRO_F1, self.baselines[self.best_baseline], self.predictions)


def metrics_of(bundle: Bundle) -> tuple[Metric, ...]:
    """Return all metrics of a model, with those of its threshold where it has one."""
    metrics, threshold = metrics_for(bundle.label_names, bundle.manifest.positive), bundle.abstention.confidence
    return metrics if threshold is None else (*metrics, *threshold_metrics(threshold))


def by_origin(rows: ScoredRows, metrics: tuple[Metric, ...]) -> list[Subset]:
    """Score the rows of each origin, where there are several."""
    origins = sorted({example.origin for example in rows.examples})
    parts = [Subset.of(name, rows.of_origins([name]), metrics, nested=True) for name in origins]
    return parts if len(parts) > 1 else []


def score_test_part(
    rows: ScoredRows, whole_articles: ScoredRows, measured: Iterable[Subset], bundle: Bundle, config: Config
) -> tuple[list[Subset], ScoredRows]:
    """Score real text, then invented text; return the rows to look into as well, the real ones where there are enough.

    Where there is too little real text here, what was measured of it is asked for, and comes first.
    """
    metrics, origins = metrics_of(bundle), {example.origin for example in rows.examples}
    fiction = sorted(origins.intersection(config.data.invented))
    real, invented = rows.of_origins(origins.difference(fiction)), rows.of_origins(fiction)
    is_here = not fiction or len(real.examples) >= config.selection.real_rows
    subsets = [] if is_here else list(measured)
    if real.examples:
        name = "real text that is here" if subsets else "real documents"
        subsets += [Subset.of(name, real, metrics, real=True), *(by_origin(real, metrics) if is_here else ())]
    if whole_articles.examples:
        subsets.append(Subset.of("whole articles", whole_articles, metrics, real=True))
    if fiction:
        subsets += [Subset.of("invented text", invented, metrics), *by_origin(invented, metrics)]
    return subsets, real if is_here else rows
