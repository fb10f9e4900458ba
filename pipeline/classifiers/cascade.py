"""What answers before the full model where that is sure to say the same.

A first stage, since sentences that are plainly of the commonest label need no encoder.

A linear model over word pieces and pairs of them, distilled from the full model's own probabilities
(Hinton et al., 2015). It answers only below a threshold that no held-out sentence reaches to which the
full model gives another label. After it a smaller model may be asked: it answers where it is confident, and has a share
in what the full model says of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from pipeline.classifiers.pieces import PieceModel, fit_pieces, restore_pieces
from pipeline.scoring.calibration import Calibration, softmax
from pipeline.scoring.metrics import confusion, macro_f1

if TYPE_CHECKING:
    from pipeline.classifiers import Classifier


@dataclass(frozen=True)
class FirstStage(PieceModel):
    """Probabilities for the sentences it is sure of; its scores are log-odds of any but the commonest label."""

    threshold: float
    rest: tuple[float, ...]  # the probability that is not the commonest label's, shared out; that label's is 0

    def answer(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return which texts it is sure of, shape (n,), and their probabilities, shape (those, k)."""
        scores = self.scores(texts)
        sure = scores < self.threshold
        other = 1 / (1 + np.exp(-scores[sure]))[:, None]
        rest = np.array(self.rest)
        return sure, other * rest + (1 - other) * (rest == 0)

    def to_dict(self) -> dict[str, Any]:
        """Return all but the weights and the tokenizer, which is the classifier's."""
        names = ("step", "intercept", "threshold", "rest")
        return {name: getattr(self, name) for name in names}


class SecondValues(BaseModel):
    """A second stage without its model."""

    least: Annotated[float, Field(ge=0, le=1)]
    share: Annotated[float, Field(ge=0, le=1)]
    own: tuple[Calibration, Calibration]
    calibration: Calibration


@dataclass(frozen=True)
class SecondStage:
    """A smaller model of the same labels, which answers where it is confident and is heard where it is not."""

    classifier: Classifier  # its scores are calibrated logits
    least: float  # the confidence from which on it answers
    share: float = 0.0  # of its raw probabilities in the mean with the full model's
    own: tuple[Calibration, Calibration] = (Calibration(),) * 2  # that are in its scores and in the full model's
    calibration: Calibration = Calibration()  # of the logarithm of that mean

    def answer(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return which texts it is sure of, shape (n,), and their probabilities, shape (those, k)."""
        probabilities = softmax(self.classifier.decision_function(texts))
        sure = probabilities.max(1) >= self.least
        return sure, probabilities[sure]

    def mix(self, texts: Sequence[str], scores: np.ndarray) -> np.ndarray:
        """Return what both models say as calibrated logits; `scores` are the full model's, shape (n, k)."""
        own = (self.classifier.decision_function(texts), scores)
        small, full = (calibration.undo(logits) for calibration, logits in zip(self.own, own, strict=True))
        return self.calibration.log_probabilities(mix_logs(small, full, self.share))

    def to_dict(self) -> dict[str, Any]:
        """Return all but the model."""
        own = [calibration.to_dict() for calibration in self.own]
        return {"least": self.least, "share": self.share, "own": own, "calibration": self.calibration.to_dict()}


def mix_logs(small: np.ndarray, full: np.ndarray, share: float) -> np.ndarray:
    """Return the logarithm of the mean of two models' probabilities, from their logits, shape (n, k)."""
    return np.log(share * softmax(small) + (1 - share) * softmax(full))


def restore(values: dict[str, Any], weights: np.ndarray, tokenizer: bytes) -> FirstStage:
    """Build from what `to_dict` stored, the weights, and a tokenizer's file; ValueError if they do not fit together."""
    pieces = restore_pieces(values, weights, tokenizer)
    return FirstStage(**vars(pieces), threshold=float(values["threshold"]), rest=tuple(map(float, values["rest"])))


def fit(tokenizer: bytes, texts: Sequence[str], probabilities: np.ndarray, strength: float = 0.7) -> FirstStage:
    """Learn the full model's log-odds of the commonest label; the threshold is still to be chosen.

    Args:
        tokenizer: the full model's, as a file.
        texts: n texts.
        probabilities: what the full model gives them, shape (n, k).
        strength: of the pull of weights to zero.

    """
    common = int(np.bincount(probabilities.argmax(1)).argmax())
    other = np.clip(1 - probabilities[:, common], 1e-4, 1 - 1e-4)
    pieces = fit_pieces(tokenizer, texts, np.log(other / (1 - other)), strength)
    rest = np.delete(probabilities, common, axis=1).mean(0)
    shares = tuple(np.insert(rest / rest.sum(), common, 0.0).tolist())
    return FirstStage(**vars(pieces), threshold=-np.inf, rest=shares)


def choose_threshold(scores: np.ndarray, others: np.ndarray) -> float:
    """Return the lowest score of a held-out text to which the full model gives another label than the commonest.

    On those texts, then, both stages together say exactly what the full model says.

    Args:
        scores: of the held-out texts, shape (n,).
        others: whether the full model gives another label, shape (n,).

    """
    # Above 0, the commonest label would not be the likelier one.
    return min(float(scores[others].min() if others.any() else scores.min()), 0.0)


def choose_confidence(
    y_true: np.ndarray,
    small: np.ndarray,
    full: np.ndarray,
    decide: Callable[[np.ndarray], np.ndarray],
    most_lost: float = 0.005,
) -> float:
    """Return the confidence from which on a smaller model may answer in place of the full one.

    From there on, macro-F1 and the recall of each label fall by no more than `most_lost`.

    Args:
        y_true: label indices of held-out rows, shape (n,).
        small: the smaller model's probabilities, shape (n, k).
        full: the full model's.
        decide: from probabilities to label indices.
        most_lost: in shares of 1.

    """

    def scores(probabilities: np.ndarray) -> np.ndarray:
        matrix = confusion(y_true, decide(probabilities), full.shape[1])
        return np.append(matrix.diagonal() / matrix.sum(1).clip(1), macro_f1(matrix))

    lowest = scores(full) - most_lost
    confidence, chosen = small.max(1), 1.0
    for least in np.arange(99, 49, -1) / 100:
        if (scores(np.where((confidence >= least)[:, None], small, full)) < lowest).any():
            break
        chosen = float(least)
    return chosen
