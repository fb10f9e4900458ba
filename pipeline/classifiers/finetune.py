"""A pretrained encoder trained end to end. Its exported form runs without torch, which only training imports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.classifiers import STRICT, State, index_labels
from pipeline.classifiers.encoders import DEFAULT, OverCheckpoint
from pipeline.classifiers.onnx import OnnxModel, Precision
from pipeline.data.examples import Example
from pipeline.progress import ProgressCallback


@dataclass(config=STRICT)
class Finetune(OverCheckpoint):
    """Fine-tune a checkpoint: on a GPU when there is one, in bfloat16 where that is faster."""

    checkpoint: str = DEFAULT
    epochs: int = 4
    learning_rate: float = 7e-5
    head_rate: float = 1e-3
    batch_size: int = 32
    max_length: int = 128
    precision: Precision = "int8"  # of the exported form
    weight_decay: float = 0.01
    warmup: float = 0.1
    dropout: float = 0.1
    balance: float = 0.5  # class weights: 0 none, 1 inverse to frequency
    validation_share: float = 0.1  # of the articles, for early stopping; 0 trains all epochs
    patience: int = 2
    freeze_words: bool = True  # word embeddings stay: half the optimizer's work on small encoders
    rank: Annotated[int, Field(ge=0)] = (
        0  # of low-rank adapters that are trained in place of all weights; 0: all weights
    )
    blocks: Annotated[int, Field(ge=0)] = 0  # the upper ones that have such adapters, with `rank`; 0: all
    restarts: Annotated[int, Field(ge=1)] = 1  # networks of other random states, averaged: as many times the cost
    random_state: int = 0

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Train; the same inputs and random_state on the same machine give the same weights."""
        from pipeline.classifiers.finetuning import finetune

        self._trained = finetune(self, examples, index_labels(examples, label_names), label_names, on_progress)

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return logits, shape (n, k)."""
        return self._onnx.run(texts) if self._onnx else self._trained.run(texts)

    def state(self) -> State:
        """Return the trained model in its exported form."""
        return State(blobs=self._onnx.blobs if self._onnx else self._trained.export(self.precision))

    def restore(self, state: State) -> None:
        """Take over an exported model."""
        self._onnx = OnnxModel(state.blobs)
