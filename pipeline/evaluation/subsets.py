"""Scores on the subsets of rows that people ask about: all of them, real text, each source, whole articles."""

from __future__ import annotations

from collections.abc import Sequence
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


def score_sources(name: str, rows: ScoredRows, metrics: Sequence[Metric]) -> list[Subset]:
    """Score all rows of a labelled file, and those of each source where there are several."""
    origins = sorted({row.origin for row in rows.examples})
    parts = [score_subset(origin, rows.of_origins([origin]), metrics, nested=True) for origin in origins]
    return [score_subset(name, rows, metrics), *(parts if len(parts) > 1 else [])]


def score_kinds_of_text(
    rows: ScoredRows, whole_articles: ScoredRows, invented: Sequence[str], metrics: Sequence[Metric]
) -> list[Subset]:
    """Score the test part, its invented and its real text where there are both, and whole articles if there are any."""
    kinds = {"authored (invented text)": rows.of_origins(invented), "real text": rows.of_other_origins(invented)}
    subsets = [score_subset("test part", rows, metrics)]
    if all(part.examples for part in kinds.values()):
        subsets += [score_subset(name, part, metrics, nested=True) for name, part in kinds.items()]
    if whole_articles.examples:
        subsets.append(score_subset("whole articles, all sentences", whole_articles, metrics))
    return subsets


def score_with_out_of_fold(
    rows: ScoredRows, train: Sequence[Example], bundle: Bundle, invented: Sequence[str], metrics: Sequence[Metric]
) -> list[Subset]:
    """Score the real text of rows together with that of the train part, by predictions from out of its folds."""
    real, stored = rows.of_other_origins(invented), bundle.manifest.out_of_fold
    folded = [row for row in train if row.id in stored and row.origin not in invented]
    if not real.examples or not folded:
        return []
    probabilities = np.array([stored[row.id] for row in folded])
    groups = np.array([row.article_id for row in folded])
    y_true = index_labels(folded, bundle.label_names)
    out_of_fold = Predictions(y_true, bundle.decide(probabilities), probabilities, groups)
    scores = score(pool(real.predictions, out_of_fold), metrics)
    return [Subset("real text, test and out of fold", scores, {})]
