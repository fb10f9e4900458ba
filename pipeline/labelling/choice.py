"""Which sentences to label next: pure functions of probabilities, shape (n, k)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.data.annotations import RANDOM


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Score by how spread the probabilities are, shape (n,), in nats."""
    from scipy.special import entr

    return entr(probabilities).sum(1)


def margin(probabilities: np.ndarray) -> np.ndarray:
    """Score by how close the two likeliest labels are, shape (n,), 0 to 1."""
    ranked = np.sort(probabilities, axis=1)
    return 1 - (ranked[:, -1] - ranked[:, -2])


def least_confidence(probabilities: np.ndarray) -> np.ndarray:
    """Score by how unlikely the likeliest label is, shape (n,), 0 to 1."""
    return 1 - probabilities.max(1)


STRATEGIES = {"margin": margin, "entropy": entropy, "least_confidence": least_confidence}
DEFAULT = "margin"


@dataclass(frozen=True)
class Plan:
    """How a batch is put together."""

    number: int = 100
    strategy: str = DEFAULT
    random_share: float = 0.1  # drawn blindly, so that shares and scores can be estimated
    random_state: int = 0


def choose(probabilities: np.ndarray, plan: Plan) -> dict[int, str]:
    """Choose rows: position -> how it was chosen (`random`, or the strategy's name).

    The random share is drawn from all rows before the model has its say, so it is unbiased; then
    come the rows with the highest scores; all n where fewer than `plan.number` are there.
    Settles (2009), "Active Learning Literature Survey".
    """
    rows = len(probabilities)
    number = min(plan.number, rows)
    blind = number if plan.strategy == RANDOM else round(number * plan.random_share)
    drawn = np.random.default_rng(plan.random_state).choice(rows, blind, replace=False)
    chosen = dict.fromkeys(drawn.tolist(), RANDOM)
    if blind < number:
        rest = np.setdiff1d(np.arange(rows), drawn)
        order = np.argsort(-STRATEGIES[plan.strategy](probabilities[rest]), kind="stable")
        chosen |= dict.fromkeys(rest[order[: number - blind]].tolist(), plan.strategy)
    return chosen
