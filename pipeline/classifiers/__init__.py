"""Classifiers: one protocol, one file per family, each imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from pipeline.config import Candidate
from pipeline.data.dataset import Example
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback


@dataclass
class State:
    """All that a fitted classifier needs to run again: plain values, arrays and files as bytes."""

    values: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)


class Classifier(Protocol):
    """What training, evaluation and prediction ask of every kind."""

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Learn from examples."""

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return scores, shape (n, len(label_names)); their softmax is a probability before calibration."""

    def state(self) -> State:
        """Return what was learned."""

    def restore(self, state: State) -> None:
        """Become the classifier whose state this is."""


KINDS = {
    "majority": "rules:Majority",
    "keywords": "rules:Keywords",
    "tfidf": "linear:Tfidf",
    "embedding": "linear:Embedding",
    "hybrid": "linear:Hybrid",
    "pretrained": "pretrained:Pretrained",
    "adapted": "pretrained:Adapted",
    "finetune": "finetune:Finetune",
    "contrastive": "contrastive:Contrastive",
    "distil": "distil:Distil",
    "ensemble": "ensemble:Ensemble",
}


def create(candidate: Candidate, random_state: int = 0) -> Classifier:
    """Build an unfitted classifier; InputError names an unknown kind or option, and what there is."""
    from pydantic import ValidationError

    where = f"candidate {candidate.name!r}"
    if candidate.kind not in KINDS:
        raise InputError(where, f"unknown kind {candidate.kind!r}", expected=f"one of {', '.join(KINDS)}")
    module, name = KINDS[candidate.kind].split(":")
    kind = getattr(import_module(f"pipeline.classifiers.{module}"), name)
    try:
        return kind(**{"random_state": random_state} | candidate.options)
    except ValidationError as error:
        first = error.errors()[0]
        options = ", ".join(option for option in kind.__dataclass_fields__ if option != "random_state")
        raise InputError(
            where, f"option `{first['loc'][0]}`: {first['msg']}", expected=f"options of {candidate.kind}: {options}"
        ) from None


def index_labels(examples: Sequence[Example], label_names: Sequence[str]) -> np.ndarray:
    """Return the label indices of examples, shape (n,)."""
    positions = {name: position for position, name in enumerate(label_names)}
    return np.array([positions[example.label] for example in examples], dtype=np.int64)
