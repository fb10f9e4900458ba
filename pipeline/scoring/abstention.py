"""When to answer and when to say `uncertain`: what is right among the most confident rows, and the threshold."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from pipeline.scoring.metrics import Metric, share_of_means
from pipeline.scoring.predictions import Predictions

UNCERTAIN = "uncertain"
# Of the rows, the most confident first: where reports give the accuracy.
SHARES = (0.5, 0.8, 1.0)
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class RiskCoverage:
    """What is right when only the most confident rows are answered; arrays run from few rows to all, shape (n,)."""

    share: np.ndarray  # of the rows that is answered
    accuracy: np.ndarray  # on these
    confidence: np.ndarray  # of the least confident of them

    def above(self, confidence: float) -> tuple[float, float]:
        """Return the share of rows at least this confident, and the accuracy on them (NaN where there is none)."""
        last = int(np.searchsorted(-self.confidence, -confidence, side="right")) - 1
        return (float(self.share[last]), float(self.accuracy[last])) if last >= 0 else (0.0, float("nan"))

    def at(self, share: float) -> float:
        """Return the accuracy on this share of the rows, the most confident."""
        return float(self.accuracy[int(np.searchsorted(self.share, min(share, 1.0) - 1e-9))])

    @property
    def aurc(self) -> float:
        """Area under the risk-coverage curve: the mean error over all shares (Geifman et al., 2019); 0 is best."""
        return float(np.mean(1 - self.accuracy))


def risk_coverage(predictions: Predictions) -> RiskCoverage:
    """Order rows from most to least confident and score each beginning (El-Yaniv and Wiener, 2010)."""
    order = np.argsort(-predictions.confidence, kind="stable")
    answered = np.arange(1, len(order) + 1)
    hits = predictions.hits[order].cumsum()
    return RiskCoverage(answered / len(order), hits / answered, predictions.confidence[order])


def threshold_metrics(confidence: float) -> tuple[Metric, ...]:
    """Return the metrics of a threshold: what share of rows is answered, and what share of the answers is right."""

    def answered(rows: Predictions) -> np.ndarray:
        return np.asarray(rows.confidence >= confidence)

    def right_and_answered(rows: Predictions) -> np.ndarray:
        return np.stack([answered(rows) & rows.hits, answered(rows)], axis=-1)

    meaning, meaning_right = "the share of rows that `--abstain` leaves a label", "the share of these that is right"
    return (
        Metric("answered", "answered", meaning, of_rows=answered),
        Metric("answered_right", "right if answered", meaning_right, share_of_means, right_and_answered),
    )


@dataclass(frozen=True)
class Abstention:
    """The confidence below which a model says `uncertain`, and the rows that it was chosen on."""

    target_precision: Share  # the share of the answered rows that shall be right
    rows: Annotated[int, Field(ge=0)]  # held out from training
    confidence: Share | None = None  # None: no threshold was shown to reach the target
    coverage: Share = 0.0  # the share of those rows that is answered

    def __str__(self) -> str:
        """Say it in plain words."""
        rows = f"{self.rows:,} held-out rows"
        if self.confidence is None:
            return f"no threshold is shown to reach a precision of {self.target_precision:g} on {rows}"
        return (
            f"threshold {self.confidence:.2f}: precision at least {self.target_precision:g} "
            f"(95 % lower bound on {rows}), answers {self.coverage:.0%} of sentences"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what the manifest stores."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Abstention:
        """Build from what the manifest stores."""
        return cls(**stored)


def find_threshold(predictions: Predictions, target_precision: float) -> Abstention:
    """Find the smallest confidence from which on held-out rows show that the target precision is reached.

    Shown means: the one-sided 95 % lower bound of Clopper and Pearson (1934) for the share that is right among
    the rows at least this confident is no smaller than the target. The plain share would break its promise on new
    rows half of the time; and a few rows that happen to be all right show nothing (a target of 0.9 takes 29 of them).
    """
    from scipy.stats import beta

    curve, rows = risk_coverage(predictions), len(predictions)
    answered = np.arange(1, rows + 1)
    hits = np.rint(curve.accuracy * answered)
    bound = np.where(hits > 0, beta.ppf(0.05, np.maximum(hits, 1), answered - hits + 1), 0.0)
    # Rows of equal confidence are answered together or not at all.
    whole = np.append(curve.confidence[1:] < curve.confidence[:-1], True)[: len(bound)]
    reached = np.flatnonzero((bound >= target_precision) & whole)
    if not len(reached):
        return Abstention(target_precision, rows)
    last = reached[-1]
    return Abstention(target_precision, rows, float(curve.confidence[last]), float(curve.share[last]))
