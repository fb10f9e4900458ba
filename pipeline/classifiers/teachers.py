"""The teachers of a student: who they are, and what they think of its examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.classifiers import create, index_labels
from pipeline.classifiers.ensemble import ENSEMBLE, blend
from pipeline.config import Candidate
from pipeline.data.dataset import Example
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback
from pipeline.scoring.calibration import fit_calibration, softmax

STUDENT = "distil"  # the kind that learns from another candidate, its `teacher`


def with_teachers(candidate: Candidate, candidates: Sequence[Candidate]) -> Candidate:
    """Return a student with its teacher's definition, or that of a teaching ensemble's members, in its options."""
    if candidate.kind != STUDENT:
        return candidate
    known = {other.name: other for other in candidates}

    def definitions(name: str) -> list[Candidate]:
        if known[name].kind != ENSEMBLE:
            return [with_teachers(known[name], candidates)]
        return [single for member in known[name].options["members"] for single in definitions(member)]

    return candidate.model_copy(
        update={"options": candidate.options | {"teachers": definitions(candidate.options["teacher"])}}
    )


def sources(candidate: Candidate) -> list[Candidate]:
    """Return a candidate and all whose definitions it has as teachers."""
    teachers = candidate.options.get("teachers", ())
    return [candidate, *(other for teacher in teachers for other in sources(teacher))]


def cross_fit(
    teachers: Sequence[Candidate],
    examples: Sequence[Example],
    unlabelled: Sequence[str],
    label_names: Sequence[str],
    folds: int,
    random_state: int,
    on_progress: ProgressCallback,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what teachers think of examples, each by fits without its article, and of other texts.

    Several teachers are calibrated and weighted as an ensemble is, on those same scores.

    Returns:
        Probabilities of the n examples, shape (n, k), and of the m unlabelled texts, shape (m, k): the
        latter from the mean log-probability over all fits.

    """
    y, numbers = index_labels(examples, label_names), divide(examples, folds, random_state)
    held_out, others = [], []
    for position, teacher in enumerate(teachers):
        scores, found = np.empty((len(examples), len(label_names))), []
        for fold in np.unique(numbers):
            begun = (position + fold / (numbers.max() + 1)) / len(teachers)
            on_progress(begun, f"teacher {teacher.name}, fit {fold + 1} of {numbers.max() + 1}")
            classifier = create(teacher, random_state)
            inside = [example for example, number in zip(examples, numbers, strict=True) if number != fold]
            classifier.fit(inside, label_names, lambda share, words: None)
            outside = [example.input for example, number in zip(examples, numbers, strict=True) if number == fold]
            both = classifier.decision_function([*outside, *unlabelled])
            scores[numbers == fold] = both[: len(outside)]
            found.append(both[len(outside) :])
        calibration = fit_calibration(scores, y, numbers)
        held_out.append(np.log(np.clip(calibration.apply(scores), 1e-9, None)))
        others.append(np.mean([np.log(np.clip(calibration.apply(part), 1e-9, None)) for part in found], axis=0))
    weights = blend(held_out, y)
    return softmax(np.tensordot(weights, held_out, axes=1)), softmax(np.tensordot(weights, others, axes=1))


def divide(examples: Sequence[Example], folds: int, random_state: int) -> np.ndarray:
    """Return the fold of each example, whole articles together, shape (n,); InputError if there are too few."""
    from sklearn.model_selection import StratifiedGroupKFold

    labels, groups = [example.label for example in examples], [example.group for example in examples]
    articles = {label: len({e.group for e in examples if e.label == label}) for label in labels}
    rarest = min(articles, key=lambda label: articles[label])
    if articles[rarest] < 2:
        raise InputError(
            "a student's teachers", f"{rarest!r} has examples in one article", expected="two or more", then="label more"
        )
    splitter = StratifiedGroupKFold(min(folds, articles[rarest]), shuffle=True, random_state=random_state)
    numbers = np.empty(len(examples), dtype=np.int64)
    for number, (_, held_out) in enumerate(splitter.split(labels, labels, groups)):
        numbers[held_out] = number
    return numbers
