"""From probabilities to labels: the likeliest one, or the one that macro-F1 is best served by.

Who gives the likeliest label is right as often as can be, and seldom gives a rare one; macro-F1 counts every
label the same. Constants that are added to log-probabilities before the best is taken move that balance (Lipton et
al., 2014, "Optimal Thresholding of Classifiers to Maximize F1 Measure", here for several labels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.scoring.metrics import confusion, macro_f1

STEPS = (1.0, 0.5, 0.25, 0.1)  # of log-probability, coarse to fine
LARGEST = 3.0
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
    """Find the offsets that maximize macro-F1; none unless they gain on rows that they were not fitted on.

    Args:
        y_true: label indices of held-out rows, shape (n,).
        probabilities: calibrated, shape (n, k).
        folds: the fold that each row belongs to, shape (n,).
        labels: macro-F1 is the mean over these; None: over all.

    Returns:
        The rule, and an honest label index for each row, shape (n,): by a rule that was fitted on the other folds.

    """
    likeliest = DecisionRule().decide(probabilities)
    held_out = likeliest.copy()
    for fold in np.unique(folds):
        inside = folds != fold
        rule = _maximize(y_true[inside], probabilities[inside], labels)
        held_out[~inside] = rule.decide(probabilities[~inside])
    if _score(y_true, held_out, probabilities, labels) <= _score(y_true, likeliest, probabilities, labels):
        return DecisionRule(), likeliest
    return _maximize(y_true, probabilities, labels), held_out


def _maximize(y_true: np.ndarray, probabilities: np.ndarray, labels: Sequence[int] | None) -> DecisionRule:
    """Move one label's offset at a time, by smaller and smaller steps, as long as macro-F1 rises (Hooke and Jeeves)."""
    best = DecisionRule((0.0,) * probabilities.shape[1])
    top = _score(y_true, best.decide(probabilities), probabilities, labels)
    for step in STEPS:
        rising = True
        while rising:
            rising = False
            for label, move in ((label, move) for label in range(len(best.offsets)) for move in (step, -step)):
                offsets = list(best.offsets)
                offsets[label] = round(offsets[label] + move, 2)
                rule = DecisionRule(tuple(offsets))
                score = _score(y_true, rule.decide(probabilities), probabilities, labels)
                if score > top and abs(offsets[label]) <= LARGEST:
                    best, top, rising = rule, score, True
    return best


def _score(y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray, labels: Sequence[int] | None) -> float:
    return float(macro_f1(confusion(y_true, y_pred, probabilities.shape[1]), labels))
