"""Scores on the subsets of rows that people ask about: all of them, real text, each source, whole articles."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.bundle import Bundle
from pipeline.classifiers import index_labels
from pipeline.data.dataset import Example
from pipeline.evaluation.rows import ScoredRows
from pipeline.scoring.metrics import Metric
from pipeline.scoring.predictions import Predictions, pool
from pipeline.scoring.scores import Scores, score


@dataclass(frozen=True)
class Subset:
    """Scores on some rows: the model's, and the baselines' on the same rows, by their labels alone."""

    name: str
    scores: Scores
    baselines: dict[str, Scores]
    nested: bool = False  # its rows are among those of the subset above it


def score_subset(name: str, rows: ScoredRows, metrics: Sequence[Metric], *, nested: bool = False) -> Subset:
    """Score the model and the baselines on rows."""
    about_labels = [metric for metric in metrics if metric.about_labels]
    baselines = {name: score(predictions, about_labels) for name, predictions in rows.baselines.items()}
    return Subset(name, score(rows.predictions, metrics), baselines, nested)


def score_parts(
    name: str, rows: ScoredRows, origins_of: Mapping[str, Collection[str]], metrics: Sequence[Metric]
) -> list[Subset]:
    """Score all rows, and those of each part, which is named by its origins, where there are several."""
    parts = {part: rows.of_origins(origins) for part, origins in origins_of.items()}
    nested = [score_subset(part, own, metrics, nested=True) for part, own in parts.items() if own.examples]
    return [score_subset(name, rows, metrics), *(nested if len(nested) > 1 else [])]


def score_with_out_of_fold(
    real: ScoredRows, train: Sequence[Example], bundle: Bundle, metrics: Sequence[Metric]
) -> list[Subset]:
    """Score rows together with those of the train part that the model has predictions for from out of its folds."""
    stored = bundle.manifest.out_of_fold
    folded = [row for row in train if row.key in stored]
    if not real.examples or not folded:
        return []
    probabilities, groups = np.array([stored[row.key] for row in folded]), np.array([row.group for row in folded])
    y_true = index_labels(folded, bundle.label_names)
    out_of_fold = Predictions(y_true, bundle.decide(probabilities), probabilities, groups)
    scores = score(pool(real.predictions, out_of_fold), metrics)
    return [Subset("real text, test and out of fold", scores, {})]
