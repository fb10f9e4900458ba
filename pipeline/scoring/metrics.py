"""Scores as pure functions of `y_true` and predictions, each with a bootstrap interval over articles.

Macro-F1 depends on the data through the confusion matrix alone, and that is a sum over articles:
a bootstrap resample is a weighted sum of small matrices, so a thousand of them take milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# Fewer articles than this say too little about the spread between articles.
FEWEST_GROUPS = 10


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % bootstrap interval, and what was resampled."""

    value: float
    low: float
    high: float
    unit: str = "articles"

    def __str__(self) -> str:
        """Write three decimals: `0.702 [0.671, 0.731]`."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def confusion(y_true: np.ndarray, y_pred: np.ndarray, size: int) -> np.ndarray:
    """Count rows by true (first axis) and predicted label; shape (size, size)."""
    return np.bincount(np.asarray(y_true) * size + y_pred, minlength=size * size).reshape(size, size)


def precision(matrix: np.ndarray) -> np.ndarray:
    """Return precision per label, shape (..., size); 0 where a label was never predicted."""
    return _ratio(np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(-2))


def recall(matrix: np.ndarray) -> np.ndarray:
    """Return recall per label, shape (..., size); 0 where a label never occurs."""
    return _ratio(np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(-1))


def f1(matrix: np.ndarray) -> np.ndarray:
    """Return F1 per label, shape (..., size); NaN where a label is neither present nor predicted."""
    both = matrix.sum(-1) + matrix.sum(-2)
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    return np.where(both > 0, _ratio(2 * hits, both), np.nan)


def macro_f1(matrix: np.ndarray, labels: Sequence[int] | None = None) -> np.ndarray:
    """Return the mean F1 over the labels that are present or predicted, shape (...).

    Given `labels`, over these alone, while all count as mistakes: over favor and against, with the rows of
    all targets in one matrix, it is the stance score of TweetEval (Barbieri et al., 2020).
    """
    scores = f1(matrix)
    scores = scores if labels is None else scores[..., list(labels)]
    return _ratio(np.nansum(scores, -1), np.sum(~np.isnan(scores), -1))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def resampling(groups: Sequence[str], resamples: int, random_state: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Draw a bootstrap over groups; over rows where there are fewer than ten groups.

    Returns:
        codes of the rows, shape (n,); how often each code is drawn, shape (resamples, codes); the unit.

    """
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    unit = "articles"
    if len(names) < FEWEST_GROUPS:
        codes, unit = np.arange(len(groups)), "sentences"
    size = int(codes.max()) + 1
    rng = np.random.default_rng(random_state)
    return codes, rng.multinomial(size, np.full(size, 1 / size), size=resamples), unit


def interval(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    groups: Sequence[str],
    size: int,
    *,
    statistic: Callable[[np.ndarray], np.ndarray] = macro_f1,
    resamples: int = 1000,
    random_state: int = 0,
) -> Interval:
    """Return a statistic of the confusion matrix with its 95 % interval.

    Args:
        y_true: label indices, shape (n,).
        y_pred: label indices, shape (n,).
        groups: the article of each row, length n.
        size: number of labels.
        statistic: maps matrices of shape (..., size, size) to values of shape (...).
        resamples: bootstrap resamples.
        random_state: fixes the resamples.

    """
    codes, weights, unit = resampling(groups, resamples, random_state)
    draws = statistic(np.tensordot(weights, _matrices(y_true, y_pred, codes, size), axes=1))
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(statistic(confusion(y_true, y_pred, size))), float(low), float(high), unit)


def paired_difference(
    y_true: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    groups: Sequence[str],
    size: int,
    *,
    statistic: Callable[[np.ndarray], np.ndarray] = macro_f1,
    resamples: int = 1000,
    random_state: int = 0,
) -> Interval:
    """Return macro-F1 (or another statistic) of `second` minus that of `first` on the same rows, with its interval.

    Paired bootstrap (Efron and Tibshirani, 1993): both are scored on the same resampled articles.
    """
    codes, weights, unit = resampling(groups, resamples, random_state)
    scores = [
        statistic(np.tensordot(weights, _matrices(y_true, y_pred, codes, size), axes=1)) for y_pred in (first, second)
    ]
    low, high = np.quantile(scores[1] - scores[0], [0.025, 0.975])
    values = [float(statistic(confusion(y_true, y_pred, size))) for y_pred in (first, second)]
    return Interval(values[1] - values[0], float(low), float(high), unit)


def _matrices(y_true: np.ndarray, y_pred: np.ndarray, codes: np.ndarray, size: int) -> np.ndarray:
    matrices = np.zeros((int(codes.max()) + 1, size, size))
    np.add.at(matrices, (codes, y_true, y_pred), 1)
    return matrices


def log_loss(y_true: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean negative log-probability of the true label."""
    chosen = probabilities[np.arange(len(y_true)), y_true]
    return float(-np.log(np.clip(chosen, 1e-12, None)).mean())


def ratio(
    part: np.ndarray, whole: np.ndarray, groups: Sequence[str], *, resamples: int = 1000, random_state: int = 0
) -> Interval:
    """Return sum(part) / sum(whole) over rows, each of shape (n,), with its 95 % interval; 0 of 0 is 0."""
    codes, weights, unit = resampling(groups, resamples, random_state)
    draws = _ratio(weights @ np.bincount(codes, part), weights @ np.bincount(codes, whole))
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(_ratio(np.sum(part), np.sum(whole))), float(low), float(high), unit)


def brier(y_true: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean squared distance between probabilities and the true label (Brier, 1950); 0 to 2."""
    return float(_squares(y_true, probabilities).mean())


def brier_interval(y_true: np.ndarray, probabilities: np.ndarray, groups: Sequence[str]) -> Interval:
    """Return the Brier score with its 95 % interval."""
    return ratio(_squares(y_true, probabilities), np.ones(len(y_true)), groups)


def _squares(y_true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    return ((probabilities - np.eye(probabilities.shape[1])[y_true]) ** 2).sum(1)


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, in bins that hold equally many rows; arrays of shape (bins,)."""

    confidence: np.ndarray
    accuracy: np.ndarray
    rows: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean gap, weighted by rows (Naeini et al., 2015)."""
        return float(np.average(np.abs(self.confidence - self.accuracy), weights=self.rows))


def reliability(y_true: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> Reliability:
    """Compare confidence with accuracy in bins of equal mass."""
    confidence, hit = probabilities.max(1), probabilities.argmax(1) == y_true
    parts = _bins(confidence, bins)
    return Reliability(
        np.array([confidence[part].mean() for part in parts]),
        np.array([hit[part].mean() for part in parts]),
        np.array([len(part) for part in parts]),
    )


def _bins(confidence: np.ndarray, bins: int) -> list[np.ndarray]:
    """Return the rows of each bin; none is empty."""
    return [part for part in np.array_split(np.argsort(confidence, kind="stable"), bins) if len(part)]


def ece_interval(
    y_true: np.ndarray,
    probabilities: np.ndarray,
    groups: Sequence[str],
    bins: int = 10,
    *,
    resamples: int = 1000,
    random_state: int = 0,
) -> Interval:
    """Return the expected calibration error with an interval that holds the true one 95 % of the time or more.

    Noise alone gives a perfectly calibrated model an error above 0, and each resample adds it once more. So the
    lower end takes off what noise could give (resampled gaps about their mean; the triangle inequality), and the
    upper end is as far above the value as the resamples spread above their own mean. Bins stay as they are.
    """
    confidence, hit = probabilities.max(1), probabilities.argmax(1) == y_true
    codes, weights, unit = resampling(groups, resamples, random_state)
    gaps = np.zeros((weights.shape[1], bins))
    for number, part in enumerate(_bins(confidence, bins)):
        gaps[:, number] = np.bincount(codes[part], confidence[part] - hit[part], minlength=len(gaps))
    rows = np.bincount(codes)
    drawn, mean = weights @ gaps / (weights @ rows)[:, None], gaps.sum(0) / rows.sum()
    value, draws = float(np.abs(mean).sum()), np.abs(drawn).sum(1)
    noise = float(np.quantile(np.abs(drawn - mean).sum(1), 0.975))
    return Interval(value, max(0.0, value - noise), value + float(np.quantile(draws, 0.975) - draws.mean()), unit)
