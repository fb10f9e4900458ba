"""Intervals by a bootstrap over articles (Efron and Tibshirani, 1993).

Every score is a function of sums over rows, so a resample is a weighted sum of what each article adds.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    @property
    def points(self) -> str:
        """Write a gain in points: `+1.2 points (95 % interval -0.3 to +2.7)`."""
        value, low, high = (100 * number for number in (self.value, self.low, self.high))
        return f"{value:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})"


class Bootstrap:
    """All articles, then resamples of them; of rows where there are fewer than ten articles."""

    def __init__(self, groups: Sequence[str] | np.ndarray, resamples: int = 1000, random_state: int = 0) -> None:
        """Draw the resamples of rows whose articles are these, length n."""
        names, self._codes = np.unique(np.asarray(groups), return_inverse=True)  # codes of shape (n,)
        self.unit = "articles"
        if len(names) < FEWEST_GROUPS:
            self.unit, self._codes = "sentences", np.arange(len(groups))
        size = int(self._codes.max()) + 1
        drawn = np.random.default_rng(random_state).multinomial(size, np.full(size, 1 / size), size=resamples)
        # How often each article is drawn, shape (1 + resamples, articles).
        self._weights = np.vstack([np.ones(size), drawn])

    def matrices(self, y_true: np.ndarray, y_pred: np.ndarray, size: int) -> np.ndarray:
        """Return the confusion matrix of all rows, then that of each resample, shape (1 + resamples, size, size)."""
        added = np.zeros((self._weights.shape[1], size, size))
        np.add.at(added, (self._codes, y_true, y_pred), 1)
        return np.tensordot(self._weights, added, axes=1)

    def means(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of rows' values, shape (n, ...), then that in each resample, shape (1 + resamples, ...)."""
        added = np.zeros((self._weights.shape[1], *values.shape[1:]))
        np.add.at(added, self._codes, values)
        rows = self._weights @ np.bincount(self._codes)
        return (np.tensordot(self._weights, added, axes=1).T / rows).T


def percentiles(draws: np.ndarray) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a statistic's draws, shape (resamples,), those apart that have none."""
    known = draws[~np.isnan(draws)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return float(low), float(high)
