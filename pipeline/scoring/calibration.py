"""From a classifier's scores to probabilities that mean what they say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from pipeline.scoring.metrics import log_losses


@dataclass(frozen=True)
class Calibration:
    """`softmax(scores / temperature + bias)`: temperature scaling (Guo et al., 2017), with a bias where that helps."""

    temperature: Annotated[float, Field(gt=0)] = 1.0
    bias: tuple[float, ...] = ()

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Return probabilities, shape (n, k), rows adding up to 1."""
        return softmax(np.asarray(scores, float) / self.temperature + np.array(self.bias or 0.0))

    def log_probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return the logarithms of the probabilities, finite ones, shape (n, k)."""
        return np.log(np.clip(self.apply(scores), 1e-9, None))

    def undo(self, logits: np.ndarray) -> np.ndarray:
        """Return the scores of which these are the calibrated logits, shape (n, k)."""
        return (logits - np.array(self.bias or 0.0)) * self.temperature

    def to_dict(self) -> dict[str, Any]:
        """Return what the manifest stores."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Calibration:
        """Build from what the manifest stores."""
        return cls(stored["temperature"], tuple(stored["bias"]))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax of each row, shape (n, k)."""
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    return exponents / exponents.sum(1, keepdims=True)


def fit_calibration(scores: np.ndarray, y_true: np.ndarray, folds: np.ndarray) -> Calibration:
    """Fit a temperature, and a bias per label if that lowers the log-loss of folds by fits on the others.

    Scores are out of fold, shape (n, k); `y_true` holds label indices and `folds` the fold of each row, shape (n,).
    """
    losses = []
    for biased in (False, True):
        held_out = np.empty_like(scores, dtype=float)
        for fold in np.unique(folds):
            inside = folds != fold
            held_out[~inside] = _fit(scores[inside], y_true[inside], biased).apply(scores[~inside])
        losses.append(log_losses(y_true, held_out).mean())
    return _fit(scores, y_true, biased=losses[1] < losses[0])


def _fit(scores: np.ndarray, y_true: np.ndarray, biased: bool) -> Calibration:
    from scipy.optimize import minimize

    size = scores.shape[1]

    def build(values: np.ndarray) -> Calibration:
        # The last label's bias is 0: adding the same to all labels changes nothing.
        bias = (*map(float, values[1:]), 0.0) if biased else ()
        return Calibration(float(np.exp(values[0])), bias)

    first = np.zeros(size if biased else 1)
    first[0] = np.log(float(np.std(scores)) or 1.0)

    # As if each label had been seen once more (Laplace): n rows that are all right show no more than n / (n + k).
    targets = (np.eye(size)[y_true] * len(scores) + 1) / (len(scores) + size)

    def loss(values: np.ndarray) -> float:
        probabilities = np.clip(build(values).apply(scores), 1e-12, None)
        return float(-(targets * np.log(probabilities)).sum(1).mean())

    return build(minimize(loss, first, method="L-BFGS-B").x)
