"""When to answer and when to say `uncertain`: what is right among the surest rows, and the threshold for a wish."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

UNCERTAIN = "uncertain"
# Of the rows, surest first: where the accuracy is told.
SHARES = (0.5, 0.8, 1.0)
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Coverage:
    """What remains right when only the surest rows are answered; arrays run from few rows to all."""

    share: np.ndarray  # of the rows that is answered
    accuracy: np.ndarray  # on these
    confidence: np.ndarray  # of the least sure of them

    def above(self, confidence: float) -> tuple[float, float]:
        """Return the share of rows at least this sure, and the accuracy on them."""
        last = int(np.searchsorted(-self.confidence, -confidence, side="right")) - 1
        return (float(self.share[last]), float(self.accuracy[last])) if last >= 0 else (0.0, float("nan"))

    def at(self, share: float) -> float:
        """Return the accuracy on this share of the rows, the surest."""
        return float(self.accuracy[int(np.searchsorted(self.share, min(share, 1.0) - 1e-9))])

    @property
    def aurc(self) -> float:
        """Area under the risk-coverage curve: the mean error over all shares (Geifman et al., 2019); 0 is best."""
        return float(np.mean(1 - self.accuracy))


def measure_coverage(y_true: np.ndarray, probabilities: np.ndarray) -> Coverage:
    """Order rows from surest to least sure and score each beginning (El-Yaniv and Wiener, 2010)."""
    confidence = probabilities.max(1)
    order = np.argsort(-confidence, kind="stable")
    answered = np.arange(1, len(order) + 1)
    hits = (probabilities.argmax(1) == y_true)[order].cumsum()
    return Coverage(answered / len(order), hits / answered, confidence[order])


@dataclass(frozen=True)
class Abstention:
    """The confidence below which a model says `uncertain`, and what that was found on."""

    precision: Share  # wished: the share of the answered rows that is right
    rows: Annotated[int, Field(ge=0)]  # held out from training
    confidence: Share | None = None  # None: the wish was not shown to be reached
    coverage: Share = 0.0  # the share of those rows that is answered

    def __str__(self) -> str:
        """Say it in plain words."""
        if self.confidence is None:
            return f"no threshold is shown to reach a precision of {self.precision:g} on {self.rows:,} held-out rows"
        return (
            f"from {self.confidence:.1%} confidence on, at least {self.precision:.0%} of the answers are right "
            f"(95 % bound on {self.rows:,} held-out rows, {self.coverage:.0%} of them answered)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what the manifest stores."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Abstention:
        """Build from what the manifest stores."""
        return cls(**stored)


def find_threshold(y_true: np.ndarray, probabilities: np.ndarray, precision: float) -> Abstention:
    """Find the smallest confidence from which on the wished precision is shown to be reached.

    Shown means: the one-sided 95 % lower bound of Clopper and Pearson (1934) for the share that is right among
    the rows at least this sure is no smaller than the wish. The plain share would break its promise on new rows
    half of the time; and a few rows that happen to be all right show nothing (a wish of 0.9 takes 29 of them).

    Args:
        y_true: label indices of held-out rows, shape (n,).
        probabilities: calibrated, shape (n, k).
        precision: the wish, between 0 and 1.

    """
    from scipy.stats import beta

    found = measure_coverage(y_true, probabilities)
    answered = np.arange(1, len(y_true) + 1)
    hits = np.rint(found.accuracy * answered)
    low = np.where(hits > 0, beta.ppf(0.05, np.maximum(hits, 1), answered - hits + 1), 0.0)
    # Rows of equal confidence are answered together or not at all.
    whole = np.append(found.confidence[1:] < found.confidence[:-1], True)[: len(low)]
    reached = np.flatnonzero((low >= precision) & whole)
    if not len(reached):
        return Abstention(precision, len(y_true))
    last = reached[-1]
    return Abstention(precision, len(y_true), float(found.confidence[last]), float(found.share[last]))
