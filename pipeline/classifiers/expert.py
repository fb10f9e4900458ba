"""A second model of the same size for the texts that the first one reads worst, and what tells these from others.

A small encoder cannot hold both: each way of teaching it plain short sentences cost it news (EXPERIMENTS.md). So
these go to an expert of their own, and news hardly meets it (cf. the mixtures of Jacobs et al., 1991; here the gate
is fixed, and each text has one reader).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from pipeline.classifiers.encoders import LinearOverFrozen
from pipeline.classifiers.pieces import PieceModel, fit_pieces, restore_pieces

STRENGTH = 0.7  # of the pull of the router's weights to zero
MOST_NEWS = 0.01  # the share of held-out news that may go to the expert


class Routing(BaseModel):
    """A router without its weights."""

    step: float
    intercept: float
    threshold: float


@dataclass(frozen=True)
class Router(PieceModel):
    """Tells texts that are for the expert: those whose score lies above the threshold."""

    threshold: float

    def takes(self, texts: Sequence[str]) -> np.ndarray:
        """Return which texts are the expert's, shape (n,)."""
        return self.scores(texts) > self.threshold

    def to_dict(self) -> dict[str, float]:
        """Return all but the weights and the tokenizer, which is the expert's."""
        return {name: getattr(self, name) for name in Routing.model_fields}


@dataclass(frozen=True)
class Expert:
    """A model of the same labels that reads some texts in the place of another."""

    router: Router
    classifier: LinearOverFrozen  # its scores are calibrated logits

    def read(self, texts: Sequence[str], others: Callable[[Sequence[str]], np.ndarray]) -> np.ndarray:
        """Return calibrated logits, shape (n, k): its own for its texts, for the rest what `others` says of them."""
        takes = self.router.takes(texts)
        if not takes.any():
            return others(texts)
        mine = self.classifier.decision_function([text for text, taken in zip(texts, takes, strict=True) if taken])
        scores = np.empty((len(texts), mine.shape[1]))
        scores[takes] = mine
        if not takes.all():
            scores[~takes] = others([text for text, taken in zip(texts, takes, strict=True) if not taken])
        return scores


def fit_router(tokenizer: bytes, mine: Sequence[str], news: Sequence[str], held_out: Sequence[str]) -> Router:
    """Learn to tell texts like `mine` from `news`, so that of held-out news `MOST_NEWS` at most are taken."""
    targets = np.repeat([1.0, -1.0], [len(mine), len(news)])
    pieces = fit_pieces(tokenizer, [*mine, *news], targets, STRENGTH)
    threshold = float(np.quantile(pieces.scores(held_out), 1 - MOST_NEWS, method="higher"))
    return Router(**vars(pieces), threshold=threshold)


def restore_router(values: dict[str, Any], weights: np.ndarray, tokenizer: bytes) -> Router:
    """Build from what `to_dict` stored, the weights, and a tokenizer's file; ValueError if they do not fit together."""
    return Router(**vars(restore_pieces(values, weights, tokenizer)), threshold=float(values["threshold"]))
