"""Which sentences to label next: pure functions of probabilities, shape (n, k)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.data.annotations import RANDOM
from pipeline.errors import InputError

# Clusters are sought among this many times as many sentences as are wanted.
DEPTH = 3


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Score by how spread the probabilities are, shape (n,)."""
    clipped = np.clip(probabilities, 1e-12, 1)
    return -(clipped * np.log(clipped)).sum(1)


def margin(probabilities: np.ndarray) -> np.ndarray:
    """Score by how close the two likeliest labels are, shape (n,)."""
    ranked = np.sort(probabilities, axis=1)
    return 1 - (ranked[:, -1] - ranked[:, -2])


def least_confidence(probabilities: np.ndarray) -> np.ndarray:
    """Score by how unlikely the likeliest label is, shape (n,)."""
    return 1 - probabilities.max(1)


STRATEGIES = {"margin": margin, "entropy": entropy, "least_confidence": least_confidence}
DEFAULT = "margin"


@dataclass(frozen=True)
class Plan:
    """How a batch is put together."""

    number: int = 100
    strategy: str = DEFAULT
    random_share: float = 0.1  # drawn blindly, so that shares and scores can be estimated
    by_label: bool = False  # the same number of each predicted label, as far as there are such
    random_state: int = 0

    def __post_init__(self) -> None:
        """Check what a user may have typed."""
        if self.strategy not in (*STRATEGIES, RANDOM):
            names = ", ".join((*STRATEGIES, RANDOM))
            raise InputError("--strategy", f"unknown strategy {self.strategy!r}", expected=names)
        if self.number < 1:
            raise InputError("--number", f"{self.number} sentences", expected="at least 1")
        if not 0 <= self.random_share <= 1:
            raise InputError("--random-share", str(self.random_share), expected="a share from 0 to 1")


# Vectors of some rows, shape (len(rows), d), dense or sparse; alike rows lie close.
Vectorize = Callable[[np.ndarray], Any]


def choose(probabilities: np.ndarray, plan: Plan, vectorize: Vectorize | None = None) -> dict[int, str]:
    """Choose rows: position -> how it was chosen ("random", or the strategy's name).

    The random share is drawn from all rows before the model has its say, so it is unbiased.

    Args:
        probabilities: of each sentence that could be labelled, shape (n, k).
        plan: what is wanted.
        vectorize: spreads the choice over clusters of alike rows; None takes the highest scores.

    """
    rows, size = probabilities.shape
    number = min(plan.number, rows)
    rng = np.random.default_rng(plan.random_state)
    blind = number if plan.strategy == RANDOM else round(number * plan.random_share)
    drawn = rng.choice(rows, blind, replace=False)
    chosen = dict.fromkeys(sorted(drawn.tolist()), RANDOM)
    if blind == number:
        return chosen
    rest = np.setdiff1d(np.arange(rows), drawn)
    scores = STRATEGIES[plan.strategy](probabilities)
    predicted = probabilities.argmax(1) if plan.by_label else np.zeros(rows, dtype=np.int64)
    groups = [rest[predicted[rest] == label] for label in range(size)]
    for members, quota in zip(groups, quotas([len(group) for group in groups], number - blind), strict=True):
        order = members[np.argsort(-scores[members], kind="stable")]
        if vectorize and 1 < quota < len(order):
            order = _spread(order[: DEPTH * quota], quota, vectorize, plan.random_state)
        chosen |= dict.fromkeys(order[:quota].tolist(), plan.strategy)
    return chosen


def quotas(available: Sequence[int], number: int) -> list[int]:
    """Divide a number evenly; what one group cannot give, the others do."""
    given = [0] * len(available)
    while number and (open_groups := [i for i, n in enumerate(available) if given[i] < n]):
        each, left = divmod(number, len(open_groups))
        for position, i in enumerate(open_groups):
            more = min(each + (position < left), available[i] - given[i])
            given[i] += more
            number -= more
    return given


def _spread(order: np.ndarray, number: int, vectorize: Vectorize, random_state: int) -> np.ndarray:
    """Return the best row of each of `number` clusters; the order is best first and stays so."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Fewer distinct rows than clusters: then there are fewer clusters, filled up below.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = KMeans(number, n_init=1, random_state=random_state).fit_predict(vectorize(order))
    first = np.sort(np.unique(clusters, return_index=True)[1])
    others = np.setdiff1d(np.arange(len(order)), first)
    return order[np.concatenate([first, others])]
