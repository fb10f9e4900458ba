"""What every trial runs over: the rows and folds that training compares candidates on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.config import Candidate, Config
from pipeline.data.examples import Example
from pipeline.progress import ProgressCallback
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.metrics import MACRO_F1, difference
from pipeline.training.results import CandidateResult, cross_validate
from pipeline.training.rows import ALWAYS, has_enough_real_text, is_real


@dataclass(frozen=True)
class Course:
    """Rows and folds."""

    config: Config
    rows: Sequence[Example]
    folds: np.ndarray  # shape (n,)

    @property
    def real(self) -> np.ndarray:
        """Which of the rows that are scored in some fold are real text, shape (n,)."""
        return is_real(self.rows, self.config)[self.folds != ALWAYS]

    @property
    def enough_real_text(self) -> bool:
        """Whether trials are compared on real text alone, as candidates are in training."""
        return has_enough_real_text(self.real, self.config)

    @property
    def count(self) -> int:
        """How many folds there are."""
        return int(self.folds.max()) + 1

    def run(self, candidate: Candidate, on_progress: ProgressCallback) -> Iterator[CandidateResult]:
        """Yield what is known after each fold; the last is what training finds."""
        for number in range(self.count):
            folds = np.where(self.folds <= number, self.folds, ALWAYS)
            part = (number + 1) / self.count  # folds that ran before come from the cache
            on_step = lambda share, words, part=part: on_progress(part * share, words)  # noqa: E731
            yield cross_validate(candidate, self.rows, folds, self.config, on_step)

    def selection_mask(self, result: CandidateResult) -> np.ndarray:
        """Return the rows to choose by, shape (n,)."""
        return result.real if self.enough_real_text else np.ones_like(result.real)

    def score(self, result: CandidateResult) -> Interval | None:
        """Return macro-F1 on the rows to choose by, None where the first folds hold none."""
        return result.macro_f1(self.selection_mask(result), self.config.selection.resamples)

    def gain(self, before: CandidateResult, after: CandidateResult) -> Interval:
        """Return how much more the second scores on the same rows."""
        rows = self.selection_mask(before)
        pair = before.predictions(rows), after.predictions(rows)
        return difference(MACRO_F1, *pair, resamples=self.config.selection.resamples)
