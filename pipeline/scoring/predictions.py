"""What a model says of some rows, beside the truth: every score is a function of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Predictions:
    """Rows with their labels and what a model says of them; arrays over n rows and k labels."""

    y_true: np.ndarray  # label indices, shape (n,)
    y_pred: np.ndarray  # as the model decides, which is not always the likeliest, shape (n,)
    probabilities: np.ndarray  # calibrated, shape (n, k)
    groups: np.ndarray  # the article of each row, shape (n,)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.y_true)

    def take(self, rows: np.ndarray | Sequence[int]) -> Predictions:
        """Return some of the rows, by position or by a mask of shape (n,)."""
        return Predictions(self.y_true[rows], self.y_pred[rows], self.probabilities[rows], self.groups[rows])

    @property
    def label_count(self) -> int:
        """The number of labels, k."""
        return int(self.probabilities.shape[1])

    @property
    def confidence(self) -> np.ndarray:
        """The probability of the label that was given, shape (n,)."""
        return self.probabilities[np.arange(len(self)), self.y_pred]

    @property
    def hits(self) -> np.ndarray:
        """Whether the label that was given is right, shape (n,)."""
        return self.y_pred == self.y_true


def likeliest(y_true: np.ndarray, probabilities: np.ndarray, groups: Sequence[str] | np.ndarray) -> Predictions:
    """Return predictions that give each row its likeliest label."""
    return Predictions(y_true, probabilities.argmax(1), probabilities, np.asarray(groups))
