"""What is measured: formulas, and METRICS, the list that every table, page, card and run goes through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.scoring.bootstrap import Bootstrap, Interval, percentiles
from pipeline.scoring.predictions import Predictions

BINS = 10  # of the reliability curve and its error


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

    Given `labels`, over these alone: over favor and against it is TweetEval's stance score (Barbieri et al., 2020).
    """
    scores = f1(matrix)[..., slice(None) if labels is None else list(labels)]
    return _ratio(np.nansum(scores, -1), np.sum(~np.isnan(scores), -1))


def accuracy(matrix: np.ndarray) -> np.ndarray:
    """Return the share of rows that is right, shape (...)."""
    return _ratio(np.trace(matrix, axis1=-2, axis2=-1), matrix.sum((-2, -1)))


def matthews(matrix: np.ndarray) -> np.ndarray:
    """Return the Matthews correlation (Gorodkin, 2004), shape (...); 0 where one label is given to all."""
    true, predicted = np.asarray(matrix.sum(-1), float), np.asarray(matrix.sum(-2), float)
    rows, hits = true.sum(-1), np.trace(matrix, axis1=-2, axis2=-1)
    spread = (rows**2 - (true**2).sum(-1)) * (rows**2 - (predicted**2).sum(-1))
    return _ratio(hits * rows - (true * predicted).sum(-1), np.sqrt(spread))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def share_of_means(means: np.ndarray) -> np.ndarray:
    """Return the first of two means over the second, shape (..., 2) -> (...); NaN where that is 0."""
    return np.where(means[..., 1] > 0, _ratio(means[..., 0], means[..., 1]), np.nan)


def log_losses(y_true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the negative log-probability of each row's true label, shape (n,)."""
    chosen = probabilities[np.arange(len(y_true)), y_true]
    return np.asarray(-np.log(np.clip(chosen, 1e-12, None)))


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, in bins that hold equally many rows; arrays of shape (bins,)."""

    confidence: np.ndarray
    accuracy: np.ndarray
    rows: np.ndarray


def reliability_curve(predictions: Predictions, bins: int = BINS) -> Reliability:
    """Compare confidence with accuracy in bins of equal mass."""
    parts = [predictions.take(rows) for rows in _bins(predictions.confidence, bins)]
    return Reliability(
        np.array([part.confidence.mean() for part in parts]),
        np.array([part.hits.mean() for part in parts]),
        np.array([len(part) for part in parts]),
    )


def _bins(confidence: np.ndarray, bins: int) -> list[np.ndarray]:
    """Return the rows of each bin; none is empty."""
    return [part for part in np.array_split(np.argsort(confidence, kind="stable"), bins) if len(part)]


def _gaps(predictions: Predictions) -> np.ndarray:
    """Return how much more confident each row is than right, in the column of its bin; shape (n, bins)."""
    gaps = np.zeros((len(predictions), BINS))
    for number, part in enumerate(_bins(predictions.confidence, BINS)):
        gaps[part, number] = predictions.confidence[part] - predictions.hits[part]
    return gaps


def _total_gap(means: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(means).sum(-1))


def _above_noise(means: np.ndarray) -> tuple[float, float]:
    """Return an interval of the calibration error that holds the true one 95 % of the time or more.

    Noise alone gives an error above 0, and each resample adds it once more. So the lower end takes off what noise could
    give (resampled gaps about their mean; the triangle inequality), and the upper end is as far above the value as the
    resamples spread above their own mean.
    """
    value, draws = float(_total_gap(means[0])), _total_gap(means[1:])
    noise = float(np.quantile(_total_gap(means[1:] - means[0]), 0.975))
    return max(0.0, value - noise), value + float(np.quantile(draws, 0.975) - draws.mean())


@dataclass(frozen=True)
class Metric:
    """One number that says how good predictions are.

    It is a statistic of confusion matrices, shape (..., k, k) -> (...), or of the means over rows, shape
    (..., m) -> (...), of what `of_rows` returns, shape (n, m); without a statistic the mean itself.
    """

    key: str  # in files and MLflow
    title: str  # at the head of a column
    meaning: str  # for readers: half a sentence
    statistic: Callable[[np.ndarray], np.ndarray] = np.asarray
    of_rows: Callable[[Predictions], np.ndarray] | None = None
    higher_is_better: bool = True
    reads_probabilities: bool = True  # where it is of rows
    # The ends of the interval from what `resample` returns; None: percentiles.
    bounds: Callable[[np.ndarray], tuple[float, float]] | None = None

    @property
    def about_labels(self) -> bool:
        """Whether it looks at no probability."""
        return self.of_rows is None or not self.reads_probabilities

    def resample(self, rows: Predictions, bootstrap: Bootstrap) -> np.ndarray:
        """Return what the statistic is taken of, for all rows and for each resample, shape (1 + resamples, ...)."""
        if self.of_rows is None:
            return bootstrap.matrices(rows.y_true, rows.y_pred, rows.label_count)
        return bootstrap.means(np.asarray(self.of_rows(rows), float))

    def value(self, rows: Predictions) -> float:
        """Return its value on rows; NaN where it has none."""
        return float(self.statistic(self.resample(rows, Bootstrap(rows.groups, 0)))[0])

    def measure(self, rows: Predictions, bootstrap: Bootstrap) -> Interval:
        """Return its value with the 95 % interval, by resamples that several metrics may share."""
        drawn = self.resample(rows, bootstrap)
        values = self.statistic(drawn)
        ends = self.bounds(drawn) if self.bounds else percentiles(values[1:])
        return Interval(float(values[0]), *ends, bootstrap.unit)


MACRO_F1 = Metric("macro_f1", "macro-F1", "the mean over labels of F1, from 0 to 1", macro_f1)
# In the order of columns; the first is the one that models are compared by.
METRICS: tuple[Metric, ...] = (
    MACRO_F1,
    Metric("accuracy", "accuracy", "the share of rows that is right", accuracy),
    Metric("mcc", "MCC", "Matthews correlation of labels and predictions, from -1 to 1; 0 is chance", matthews),
    Metric(
        "log_loss",
        "log-loss",
        "the mean negative logarithm of the true label's probability; 0 is best",
        of_rows=lambda rows: log_losses(rows.y_true, rows.probabilities),
        higher_is_better=False,
    ),
    Metric(
        "brier",
        "Brier score",
        "the mean squared distance of probabilities from the truth, from 0 to 2 (Brier, 1950)",
        of_rows=lambda rows: ((rows.probabilities - np.eye(rows.label_count)[rows.y_true]) ** 2).sum(1),
        higher_is_better=False,
    ),
    Metric(
        "ece",
        "ECE",
        "expected calibration error: the mean gap between confidence and accuracy (Naeini et al., 2015)",
        _total_gap,
        of_rows=_gaps,
        higher_is_better=False,
        bounds=_above_noise,
    ),
)


def _wholly_right(rows: Predictions) -> np.ndarray:
    """Return each row's part in the number of groups that are wholly right, and of all groups; shape (n, 2)."""
    _, codes, sizes = np.unique(rows.groups, return_inverse=True, return_counts=True)
    right = np.bincount(codes, rows.hits) == sizes
    return np.stack([right[codes], np.ones(len(rows))], axis=1) / sizes[codes, None]


GROUPS_RIGHT = Metric(
    "groups_right",
    "wholly right",
    "the share of groups of which every sentence is right",
    share_of_means,
    of_rows=_wholly_right,
    reads_probabilities=False,
)


def metrics_for(label_names: Sequence[str], positive: Sequence[str] = ()) -> tuple[Metric, ...]:
    """Return all metrics of a model, with the F1 of its positive labels, as stance detection has it, if it has any."""
    if not positive:
        return METRICS
    labels, meaning = [label_names.index(name) for name in positive], f"the mean F1 of {' and '.join(positive)} alone"
    own = Metric("positive_f1", "positive F1", meaning, partial(macro_f1, labels=labels))
    return (METRICS[0], own, *METRICS[1:])


def find_metric(key: str, label_names: Sequence[str], positive: Sequence[str] = ()) -> Metric:
    """Return a metric of these by its key."""
    return next(metric for metric in metrics_for(label_names, positive) if metric.key == key)


def measure(metric: Metric, predictions: Predictions, *, resamples: int = 1000, random_state: int = 0) -> Interval:
    """Return a metric with its 95 % interval by a bootstrap over articles; `random_state` fixes the resamples."""
    return metric.measure(predictions, Bootstrap(predictions.groups, resamples, random_state))


def difference(
    metric: Metric, before: Predictions, after: Predictions, *, resamples: int = 1000, random_state: int = 0
) -> Interval:
    """Return what a metric is more for the second model on the same rows, paired: on the same resampled articles."""
    bootstrap = Bootstrap(before.groups, resamples, random_state)
    first, second = (metric.statistic(metric.resample(rows, bootstrap)) for rows in (before, after))
    gains = second - first
    return Interval(float(gains[0]), *percentiles(gains[1:]), bootstrap.unit)
