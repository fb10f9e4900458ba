"""From probabilities to labels: the likeliest one, or the one that macro-F1 is best served by.

Who gives the likeliest label seldom gives a rare one, and macro-F1 counts every label the same. Constants that are
added to log-probabilities move that balance (Lipton et al., 2014, "Optimal Thresholding of Classifiers to Maximize
F1 Measure"). They are a share of how rare each label is (Menon et al., 2021, "Long-Tail Learning via Logit
Adjustment"): one number is found for all labels, and labels that are about as rare as each other keep their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.scoring.metrics import confusion, macro_f1

SHARES = np.arange(-20, 31) / 20  # of the logarithm of how many times rarer than the commonest label one is
NEIGHBOURS = 3  # to each side of a share are averaged with it: no choice hangs on a row or two
LEAST = 1e-9  # of a probability


@dataclass(frozen=True)
class DecisionRule:
    """Give the label whose log-probability plus offset is highest; without offsets, the likeliest one."""

    offsets: tuple[float, ...] = ()

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Return label indices, shape (n,), of probabilities, shape (n, k)."""
        if not any(self.offsets):
            return np.asarray(probabilities.argmax(1))
        return np.asarray((np.log(np.clip(probabilities, LEAST, None)) + np.array(self.offsets)).argmax(1))


def fit_decision_rule(
    y_true: np.ndarray, probabilities: np.ndarray, folds: np.ndarray, labels: Sequence[int] | None = None
) -> tuple[DecisionRule, np.ndarray]:
    """Find the offsets that maximize macro-F1 over `labels` (None: all), if they gain on rows that did not fit them.

    Return the rule, and a label index for each row, shape (n,), by a rule that was fitted on the other folds. Rows are
    held out: `y_true` holds label indices, `folds` the fold of each, shape (n,), probabilities are of shape (n, k).
    """
    likeliest = DecisionRule().decide(probabilities)
    held_out = likeliest.copy()
    for fold in np.unique(folds):
        inside = folds != fold
        held_out[~inside] = _maximize(y_true[inside], probabilities[inside], labels).decide(probabilities[~inside])
    size = probabilities.shape[1]
    if _score(y_true, held_out, size, labels) <= _score(y_true, likeliest, size, labels):
        return DecisionRule(), likeliest
    return _maximize(y_true, probabilities, labels), held_out


def _maximize(y_true: np.ndarray, probabilities: np.ndarray, labels: Sequence[int] | None) -> DecisionRule:
    """Return the offsets of the share around which macro-F1 is highest."""
    size = probabilities.shape[1]
    counts = np.bincount(y_true, minlength=size).clip(1)
    rarity = np.log(counts.max() / counts)
    rules = [DecisionRule(tuple((share * rarity).round(2).tolist())) for share in SHARES]
    scores = [_score(y_true, rule.decide(probabilities), size, labels) for rule in rules]
    window = np.ones(2 * NEIGHBOURS + 1) / (2 * NEIGHBOURS + 1)
    around = np.convolve(np.pad(scores, NEIGHBOURS, mode="edge"), window, mode="valid")
    best = np.flatnonzero(around >= around.max() - 1e-12)
    return rules[min(best, key=lambda position: abs(SHARES[position]))]


def _score(y_true: np.ndarray, y_pred: np.ndarray, size: int, labels: Sequence[int] | None) -> float:
    return float(macro_f1(confusion(y_true, y_pred, size), labels))
