"""Existing labels in the order in which they deserve a second look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.config import Candidate, Config
from pipeline.data.articles import Article
from pipeline.data.dataset import Example, load_dataset
from pipeline.errors import InputError
from pipeline.labelling.project import read_project
from pipeline.labelling.rows import Contexts, codebook_version, make_row
from pipeline.progress import ProgressCallback
from pipeline.training.selection import check_classes, cross_validate, make_folds

ORDERS = ("confidence", "cleanlab")


def review(
    config: Config, candidate: Candidate, *, part: str, order: str, number: int, on_progress: ProgressCallback
) -> list[dict[str, Any]]:
    """Return labelled sentences, the least believable first, as rows of a batch.

    A model that has not seen an article says how likely its labels are. The order is where to look,
    never a verdict: most of what stands first is right.

    Args:
        config: says where seeds and labels are.
        candidate: the model to cross-validate.
        part: `train`, `test`, or `all`.
        order: `confidence` in the label, or `cleanlab`'s normalized margin (extra `review`).
        number: how many rows at most.
        on_progress: told how far it is.

    """
    if order not in ORDERS:
        raise InputError("--order", f"unknown order {order!r}", expected=", ".join(ORDERS))
    if part not in ("train", "test", "all"):
        raise InputError("--part", f"unknown part {part!r}", expected="train, test, all")
    dataset = load_dataset(config)
    # The test part's labels are only shown where they are asked for, but then by a model of all other articles.
    examples = [*dataset.part("train"), *(dataset.part("test") if part != "train" else [])]
    check_classes(examples, config)
    result = cross_validate(candidate, examples, make_folds(examples, (), config), config, on_progress)
    scores = _scores(result.y_true, result.probabilities, order)
    project = read_project(config)
    contexts, version = Contexts(project.articles), codebook_version(config.data.labels)
    rows: list[dict[str, Any]] = []
    for position in np.argsort(scores, kind="stable"):
        example = result.examples[position]
        if part not in ("all", example.split) or example.article_id not in project.articles:
            continue
        best = int(result.probabilities[position].argmax())
        row = _row(example, project.articles[example.article_id], contexts) | {"codebook": version}
        row |= {"guess": config.label_names[best], "confidence": round(float(result.probabilities[position, best]), 4)}
        rows.append(row)
        if len(rows) == number:
            break
    return rows


def _row(example: Example, article: Article, contexts: Contexts) -> dict[str, Any]:
    previous = contexts.previous(article.id, example.start)
    told = f"now: {example.label}" + (" (test part: a change needs a reason in `note`)" * (example.split == "test"))
    return make_row(article, example.start, example.end, previous=previous, votes=told)


def _scores(y_true: np.ndarray, probabilities: np.ndarray, order: str) -> np.ndarray:
    """Return how believable each label is, shape (n,); low is dubious."""
    if order == "confidence":
        found: np.ndarray = probabilities[np.arange(len(y_true)), y_true]
        return found
    try:
        from cleanlab.rank import get_label_quality_scores
    except ModuleNotFoundError:
        then = "install it with `pip install 'stance-pipeline[review]'`"
        raise InputError("--order cleanlab", "the package cleanlab is missing", then=then) from None
    return np.asarray(get_label_quality_scores(y_true, probabilities, method="normalized_margin"))


def find_candidate(config: Config, name: str) -> Candidate:
    """Return a candidate of the config by its name; `tfidf` can always be had."""
    named: Sequence[Candidate] = [candidate for candidate in config.candidates if candidate.name == name]
    if named:
        return named[0]
    if name == "tfidf":
        return Candidate(name="tfidf", kind="tfidf")
    names = ", ".join(dict.fromkeys(["tfidf", *(candidate.name for candidate in config.candidates)]))
    raise InputError("--candidate", f"no candidate {name!r}", expected=names)
