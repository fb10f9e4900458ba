"""From probabilities to labels: the likeliest one, or the one that macro-F1 is best served by.

Who gives the likeliest label seldom gives a rare one, and macro-F1 counts every label the same. Constants that are
added to log-probabilities move that balance (Lipton et al., 2014, "Optimal Thresholding of Classifiers to Maximize
F1 Measure", here for several labels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

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
    """Move one label's offset at a time, by smaller and smaller steps, as long as macro-F1 rises (Hooke and Jeeves)."""
    size = probabilities.shape[1]
    best = DecisionRule((0.0,) * size)
    top = _score(y_true, best.decide(probabilities), size, labels)
    for step in STEPS:
        rising = True
        while rising:
            rising = False
            for label, move in product(range(size), (step, -step)):
                offsets = list(best.offsets)
                offsets[label] = round(offsets[label] + move, 2)
                rule = DecisionRule(tuple(offsets))
                score = _score(y_true, rule.decide(probabilities), size, labels)
                if score > top and abs(offsets[label]) <= LARGEST:
                    best, top, rising = rule, score, True
    return best


def _score(y_true: np.ndarray, y_pred: np.ndarray, size: int, labels: Sequence[int] | None) -> float:
    return float(macro_f1(confusion(y_true, y_pred, size), labels))
