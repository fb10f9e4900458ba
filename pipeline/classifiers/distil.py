"""Several teachers taught into one small encoder (Hinton et al., 2015)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.classifiers import STRICT, create, index_labels
from pipeline.classifiers.ensemble import blend
from pipeline.classifiers.finetune import Finetune
from pipeline.classifiers.folds import assign_folds, fit_and_score
from pipeline.config import Candidate
from pipeline.data.examples import Example
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback, step_of
from pipeline.scoring.calibration import fit_calibration, softmax


@dataclass(config=STRICT)
class Distil(Finetune):
    """Fine-tune a checkpoint on labels mixed with what teachers think: an ensemble at the cost of one.

    The config names the teacher, an earlier candidate; `with_teachers` puts its definition, or its members', in here.
    """

    teacher: str = ""
    teachers: tuple[Candidate, ...] = ()
    teacher_folds: Annotated[int, Field(ge=2)] = 3  # fits of each teacher; at most as many as a label has articles
    label_share: Annotated[float, Field(ge=0, le=1)] = 0.5  # of a label beside the teachers' probabilities
    unlabelled: tuple[Path, ...] = ()  # articles whose sentences the teachers alone label

    @property
    def parts(self) -> tuple[str, ...]:
        """The teacher, until its definition is here."""
        return () if self.teachers else (self.teacher,)

    @property
    def knows_invented_text(self) -> bool:
        """Whether it does, or has heard of it from a teacher."""
        return super().knows_invented_text or any(create(teacher).knows_invented_text for teacher in self.teachers)

    @property
    def modules(self) -> set[str]:
        """Its own and its teachers'."""
        return super().modules.union(*(create(teacher).modules for teacher in self.teachers))

    @property
    def files(self) -> tuple[Path, ...]:
        """Its own, its teachers', and the sentences that nobody has labelled."""
        theirs = [file for teacher in self.teachers for file in create(teacher).files]
        return (*super().files, *theirs, *self.unlabelled)

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Fit the teachers, then the student on labels and the teachers' probabilities."""
        from pipeline.classifiers.finetuning import finetune

        # Through no teacher may the label of a held-out row reach the student. Scores from the comparison of
        # candidates will not do: all but one of those fits have learned from the rows that this student is scored on.
        # So teachers are fitted anew, on nothing but these examples.
        unlabelled = [text for path in self.unlabelled for text in read_sentences(path)]
        soft, others = self.soften_labels(
            examples, unlabelled, label_names, lambda share, words: on_progress(0.8 * share, words)
        )
        step = step_of(on_progress, 4, 5, "student, ")
        self._trained = finetune(self, examples, soft, label_names, step, (unlabelled, others))

    def soften_labels(
        self,
        examples: Sequence[Example],
        unlabelled: Sequence[str],
        label_names: Sequence[str],
        on_progress: ProgressCallback,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what the student learns: labels mixed with what teachers think, and that alone for unlabelled texts.

        An example's probabilities, shape (n, k), come from fits without its article: a teacher that has learned its
        label would only repeat it. Several teachers are calibrated and weighted as an ensemble is, on those same
        scores. Those of m unlabelled texts, shape (m, k), come from the mean log-probability over all fits.
        """
        y_true, folds = index_labels(examples, label_names), self._divide(examples)
        count = int(folds.max()) + 1
        held_out, others = [], []
        for position, teacher in enumerate(self.teachers):
            scores, of_others = np.empty((len(examples), len(label_names))), []
            for fold in range(count):
                inside = list(compress(examples, folds != fold))
                outside = [example.input for example in compress(examples, folds == fold)]
                prefix = f"teacher {teacher.name}, fit {fold + 1} of {count}: "
                step = step_of(on_progress, position * count + fold, len(self.teachers) * count, prefix)
                texts = [*outside, *unlabelled]
                fit = fit_and_score(teacher, inside, texts, label_names, self.random_state, None, step)
                scores[folds == fold] = fit.scores[: len(outside)]
                of_others.append(fit.scores[len(outside) :])
            calibration = fit_calibration(scores, y_true, folds)
            held_out.append(calibration.log_probabilities(scores))
            others.append(np.mean([calibration.log_probabilities(part) for part in of_others], axis=0))
        weights = blend(held_out, y_true)
        of_examples, of_unlabelled = (softmax(np.tensordot(weights, logs, axes=1)) for logs in (held_out, others))
        labels = np.eye(len(label_names))[y_true]
        return self.label_share * labels + (1 - self.label_share) * of_examples, of_unlabelled

    def _divide(self, examples: Sequence[Example]) -> np.ndarray:
        """Return the fold of each example, whole articles together, shape (n,); InputError if there are too few."""
        articles = Counter(label for label, _ in {(example.label, example.group) for example in examples})
        rarest, fewest = min(articles.items(), key=lambda item: item[1])
        if fewest < 2:
            what = f"{rarest!r} has examples in one article"
            raise InputError("a student's teachers", what, expected="two or more", then="label more")
        labels, groups = [example.label for example in examples], [example.group for example in examples]
        return assign_folds(labels, groups, min(self.teacher_folds, fewest), self.random_state)


def read_sentences(path: Path) -> list[str]:
    """Read the sentences that `cut_unlabelled` has cut from unlabelled articles."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
