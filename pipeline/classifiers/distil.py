"""Several teachers taught into one small encoder (Hinton et al., 2015). Imports torch through `finetune`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.classifiers import index_labels
from pipeline.classifiers.finetune import Finetune
from pipeline.classifiers.rules import STRICT
from pipeline.classifiers.teachers import cross_fit
from pipeline.config import Candidate
from pipeline.data.dataset import Example
from pipeline.progress import ProgressCallback


@dataclass(config=STRICT)
class Distil(Finetune):
    """Fine-tune a checkpoint on labels mixed with what teachers think: an ensemble at the cost of one.

    The config names the teacher, an earlier candidate; `with_teachers` puts the definition of it, or
    of its members, into `teachers`. They are fitted `teacher_folds` times on each set of examples.
    """

    teacher: str = ""
    teachers: tuple[Candidate, ...] = ()
    teacher_folds: Annotated[int, Field(ge=2)] = 3
    label_share: Annotated[float, Field(ge=0, le=1)] = 0.5  # of a label beside the teachers' probabilities
    unlabelled: tuple[Path, ...] = ()  # articles whose sentences the teachers alone label

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Fit the teachers, then the student on labels and the teachers' probabilities."""
        # No label of a held-out row may reach the student, not through its teachers either. So the
        # teachers' scores from the comparison of candidates will not do: all but one of those fits
        # have learned from the rows that this student will be scored on. Teachers are fitted here
        # anew, on nothing but the examples that `fit` is given. And an example's probabilities come
        # from a fit without its article: a teacher that has learned its label would only repeat it.
        more = [text for path in self.unlabelled for text in read_sentences(path)]
        probabilities, others = cross_fit(
            *(self.teachers, examples, more, label_names, self.teacher_folds, self.random_state),
            lambda share, words: on_progress(0.8 * share, words),
        )
        labels = np.eye(len(label_names))[index_labels(examples, label_names)]
        targets = self.label_share * labels + (1 - self.label_share) * probabilities
        self._learn(
            *(examples, targets, label_names),
            lambda share, words: on_progress(0.8 + 0.2 * share, f"student, {words}"),
            more=(more, others),
        )


def read_sentences(path: Path) -> list[str]:
    """Read the sentences that `cut_unlabelled` has cut from unlabelled articles."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
