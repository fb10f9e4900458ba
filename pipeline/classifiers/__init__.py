"""Classifiers: one protocol, one file per family, each imported only when it is asked for.

To add one: a file with a class that inherits from `Classifier`, a pydantic dataclass of its options, and a line in
`KINDS`. What is particular about a kind stands on its class; nothing outside asks for a kind by its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipeline.config import Candidate
from pipeline.data.examples import Example
from pipeline.errors import InputError, describe_invalid
from pipeline.progress import ProgressCallback

if TYPE_CHECKING:
    from pipeline.classifiers.cascade import FirstStage, SecondStage
    from pipeline.scoring.abstention import Abstention
    from pipeline.scoring.decision import DecisionRule

T = TypeVar("T")
STRICT = ConfigDict(extra="forbid")  # of the options of every kind


@dataclass
class State:
    """All that a fitted classifier needs to run again: plain values, arrays and files as bytes."""

    values: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def value(self, name: str, kind: type[T]) -> T:
        """Return a value; pydantic's ValidationError unless it is of a kind such as `list[str]`."""
        return TypeAdapter(kind).validate_python(self.values[name])

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Return a linear layer: coefficients, shape (labels, d), and intercepts, shape (labels,)."""
        coefficients, intercepts = self.arrays["coefficients"], self.arrays["intercepts"]
        if coefficients.ndim != 2 or intercepts.shape != coefficients.shape[:1]:
            raise ValueError(f"coefficients of shape {coefficients.shape}, intercepts of shape {intercepts.shape}")
        return coefficients, intercepts


class Classifier(Protocol):
    """What training, evaluation and prediction ask of every kind: four methods, and what is particular about it."""

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Learn from examples."""

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return scores, shape (n, len(label_names)); their softmax is a probability before calibration."""

    def state(self) -> State:
        """Return what was learned."""

    def restore(self, state: State) -> None:
        """Become the classifier whose state this is."""

    # Whether it is built of fitted candidates, its `parts`, in place of being fitted on examples.
    combines: ClassVar[bool] = False
    # Whether it was chosen on real text, and is taken as it is where there is too little of that to choose by.
    chosen_on_real_text: ClassVar[bool] = False
    # Whether it is the simple one that what others gain is measured against.
    reference: ClassVar[bool] = False
    # Whether it goes on from a model that has learned from all other text, and learns from the user's own labels alone.
    learns_from_own_labels: ClassVar[bool] = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The earlier candidates that it is built of or learns from, by name."""
        return ()

    @property
    def encoder(self) -> str:
        """The pretrained encoder that is in it; empty where there is none."""
        return ""

    @property
    def knows_invented_text(self) -> bool:
        """Whether it begins with what has learned from all invented train text: its scores there mean nothing."""
        return False

    @property
    def modules(self) -> set[str]:
        """The modules that its scores come from, by name."""
        return {type(self).__module__}

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that `fit` reads beside the examples."""
        return ()

    def own_abstention(self) -> Abstention | None:
        """Return when to say `uncertain` where there is too little real text to find out; None if it does not know."""
        return None

    def own_decision(self, label_names: Sequence[str]) -> DecisionRule | None:
        """Return how it decides between these labels if its scores are calibrated already; None if they are not."""
        return None

    def score_held_out(self) -> tuple[Sequence[Example], np.ndarray] | None:
        """Return n real sentences that it cannot have learned from, and its scores, shape (n, k); None: none ship."""
        return None

    def first_stage(self, label_names: Sequence[str]) -> FirstStage | None:
        """Return what may answer before it, for it alone and in the order of these labels; None where nothing may."""
        return None

    def second_stage(self) -> SecondStage | None:
        """Return a smaller model, fitted or restored with it, that may answer after that; None where there is none."""
        return None


KINDS = {
    "majority": "rules:Majority",
    "keywords": "rules:Keywords",
    "naive_bayes": "linear:NaiveBayes",
    "tfidf": "linear:Tfidf",
    "embedding": "embedding:Embedding",
    "hybrid": "embedding:Hybrid",
    "pretrained": "pretrained:Pretrained",
    "adapted": "pretrained:Adapted",
    "finetune": "finetune:Finetune",
    "contrastive": "contrastive:Contrastive",
    "distil": "distil:Distil",
    "ensemble": "ensemble:Ensemble",
}


def create(candidate: Candidate, random_state: int = 0) -> Classifier:
    """Build an unfitted classifier; InputError names an unknown kind or option, and what there is."""
    where = f"candidate {candidate.name!r}"
    if candidate.kind not in KINDS:
        raise InputError(where, f"unknown kind {candidate.kind!r}", expected=f"one of {', '.join(KINDS)}")
    module, name = KINDS[candidate.kind].split(":")
    kind = getattr(import_module(f"pipeline.classifiers.{module}"), name)
    try:
        return kind(**{"random_state": random_state} | candidate.options)
    except ValidationError as error:
        options = ", ".join(option.name for option in fields(kind) if option.name != "random_state")
        expected = f"options of {candidate.kind}: {options}"
        raise InputError(where, f"option {describe_invalid(error)}", expected=expected) from None


def index_labels(examples: Sequence[Example], label_names: Sequence[str]) -> np.ndarray:
    """Return the label indices of examples, shape (n,)."""
    positions = {name: position for position, name in enumerate(label_names)}
    return np.array([positions[example.label] for example in examples], dtype=np.int64)
