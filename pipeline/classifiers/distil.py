"""Several teachers taught into one small encoder (Hinton et al., 2015)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.classifiers import STRICT, create
from pipeline.classifiers.finetune import Finetune
from pipeline.classifiers.teachers import soften_labels
from pipeline.config import Candidate
from pipeline.data.examples import Example
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
        # No label of a held-out row may reach the student, not through its teachers either. So the
        # teachers' scores from the comparison of candidates will not do: all but one of those fits
        # have learned from the rows that this student will be scored on. Teachers are fitted here
        # anew, on nothing but the examples that `fit` is given.
        unlabelled = [text for path in self.unlabelled for text in read_sentences(path)]
        targets, others = soften_labels(
            self.teachers,
            examples,
            unlabelled,
            label_names,
            lambda share, words: on_progress(0.8 * share, words),
            label_share=self.label_share,
            folds=self.teacher_folds,
            random_state=self.random_state,
        )
        self._learn(
            examples,
            targets,
            label_names,
            lambda share, words: on_progress(0.8 + 0.2 * share, f"student, {words}"),
            more=(unlabelled, others),
        )


def read_sentences(path: Path) -> list[str]:
    """Read the sentences that `cut_unlabelled` has cut from unlabelled articles."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
