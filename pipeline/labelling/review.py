"""Existing labels in the order in which they deserve a second look."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.config import Candidate, Config
from pipeline.data.annotations import codebook_version
from pipeline.data.dataset import load_dataset
from pipeline.errors import InputError
from pipeline.labelling.project import read_project
from pipeline.labelling.rows import make_row, model_opinion
from pipeline.progress import ProgressCallback
from pipeline.training.results import cross_validate
from pipeline.training.rows import check_classes, make_folds


def review(
    config: Config, candidate: Candidate, *, part: str, order: str, number: int, on_progress: ProgressCallback
) -> list[dict[str, Any]]:
    """Return labelled sentences, the least believable first, as rows of a batch.

    A model that has not seen an article says how likely its labels are. The order is where to look,
    never a verdict: most of what stands first is right. InputError for too few rows.

    Args:
        config: says where seeds and labels are.
        candidate: the model to cross-validate.
        part: `train`, `test`, or `all`.
        order: `confidence` in the label, or `cleanlab`'s normalized margin (extra `review`).
        number: how many rows at most.
        on_progress: called with the share that is done.

    """
    dataset = load_dataset(config)
    # The test part's labels are only shown where they are asked for, but then by a model of all other articles.
    examples = [*dataset.part("train"), *(dataset.part("test") if part != "train" else [])]
    check_classes(examples, config)
    result = cross_validate(candidate, examples, make_folds(examples, (), config), config, on_progress)
    believed = result.probabilities
    scores = _scores(result.y_true, believed, order)
    articles, version = read_project(config).articles, codebook_version(config.data.labels)
    rows: list[dict[str, Any]] = []
    for position in np.argsort(scores, kind="stable"):
        example, probabilities = result.examples[position], believed[position]
        if part in ("all", example.split) and example.article_id in articles and len(rows) < number:
            row = make_row(articles[example.article_id], example.start, example.end, codebook=version)
            opinion = model_opinion(probabilities.argmax(), probabilities, config.label_names)
            now = f"now: {example.label}" + " (test part: a change needs a reason in `note`)" * (
                example.split == "test"
            )
            rows.append(row | {"votes": now} | opinion)
    return rows


def _scores(y_true: np.ndarray, probabilities: np.ndarray, order: str) -> np.ndarray:
    """Return how believable each label is, shape (n,); low is dubious."""
    if order == "confidence":
        return np.take_along_axis(probabilities, y_true[:, None], axis=1)[:, 0]
    from cleanlab.rank import get_label_quality_scores

    return np.asarray(get_label_quality_scores(y_true, probabilities, method="normalized_margin"))


def find_candidate(config: Config, name: str) -> Candidate:
    """Return a candidate of the config by its name; `tfidf` can always be had."""
    candidates = {"tfidf": Candidate(name="tfidf", kind="tfidf")}
    candidates |= {candidate.name: candidate for candidate in config.candidates}
    if name not in candidates:
        raise InputError("--candidate", f"no candidate {name!r}", expected=", ".join(candidates))
    return candidates[name]
