"""The teachers of a student: who they are, and what they think of its examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.classifiers import create, index_labels
from pipeline.classifiers.ensemble import blend
from pipeline.classifiers.folds import assign_folds, fit_and_score
from pipeline.config import Candidate
from pipeline.data.examples import Example
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback, step_of
from pipeline.scoring.calibration import fit_calibration, softmax


def with_teachers(candidate: Candidate, candidates: Sequence[Candidate]) -> Candidate:
    """Return a student with its teacher's definition, or that of a teaching ensemble's members, in its options."""
    student = create(candidate)
    if student.combines or not student.parts:
        return candidate
    known = {other.name: other for other in candidates}

    def definitions(name: str) -> list[Candidate]:
        teacher = create(known[name])
        if not teacher.combines:
            return [with_teachers(known[name], candidates)]
        return [single for member in teacher.parts for single in definitions(member)]

    teachers = [teacher for name in student.parts for teacher in definitions(name)]
    return candidate.model_copy(update={"options": candidate.options | {"teachers": teachers}})


def soften_labels(
    teachers: Sequence[Candidate],
    examples: Sequence[Example],
    unlabelled: Sequence[str],
    label_names: Sequence[str],
    on_progress: ProgressCallback,
    *,
    label_share: float,
    folds: int,
    random_state: int,
    cache: Path | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what a student learns (Hinton et al., 2015): labels mixed with what teachers think, and that alone.

    An example's probabilities come from fits without its article: a teacher that has learned its label would
    only repeat it. Several teachers are calibrated and weighted as an ensemble is, on those same scores.

    Args:
        teachers: each is fitted once for each fold.
        examples: n labelled texts.
        unlabelled: m texts.
        label_names: in the order of the probabilities.
        on_progress: called as the teachers go on.
        label_share: of a label beside the teachers' probabilities.
        folds: how many, at most as many as the rarest label has articles.
        random_state: of folds and fits.
        cache: where the teachers' scores are remembered, None: nowhere.

    Returns:
        Probabilities of the examples, shape (n, k), and of the unlabelled texts, shape (m, k): the latter from
        the mean log-probability over all fits.

    """
    y, numbers = index_labels(examples, label_names), _divide(examples, folds, random_state)
    count = int(numbers.max()) + 1
    held_out, others = [], []
    for position, teacher in enumerate(teachers):
        scores, of_others = np.empty((len(examples), len(label_names))), []
        for fold in range(count):
            inside = [example for example, number in zip(examples, numbers, strict=True) if number != fold]
            outside = [example.input for example, number in zip(examples, numbers, strict=True) if number == fold]
            prefix = f"teacher {teacher.name}, fit {fold + 1} of {count}: "
            step = step_of(on_progress, position * count + fold, len(teachers) * count, prefix)
            fit = fit_and_score(teacher, inside, [*outside, *unlabelled], label_names, random_state, cache, step)
            scores[numbers == fold] = fit.scores[: len(outside)]
            of_others.append(fit.scores[len(outside) :])
        calibration = fit_calibration(scores, y, numbers)
        held_out.append(np.log(np.clip(calibration.apply(scores), 1e-9, None)))
        others.append(np.mean([np.log(np.clip(calibration.apply(part), 1e-9, None)) for part in of_others], axis=0))
    weights = blend(held_out, y)
    of_examples, of_unlabelled = (softmax(np.tensordot(weights, logs, axes=1)) for logs in (held_out, others))
    return label_share * np.eye(len(label_names))[y] + (1 - label_share) * of_examples, of_unlabelled


def _divide(examples: Sequence[Example], folds: int, random_state: int) -> np.ndarray:
    """Return the fold of each example, whole articles together, shape (n,); InputError if there are too few."""
    articles = Counter(label for label, _ in {(example.label, example.group) for example in examples})
    rarest = min(articles, key=lambda label: articles[label])
    if articles[rarest] < 2:
        raise InputError(
            "a student's teachers", f"{rarest!r} has examples in one article", expected="two or more", then="label more"
        )
    labels, groups = [example.label for example in examples], [example.group for example in examples]
    return assign_folds(labels, groups, min(folds, articles[rarest]), random_state)
