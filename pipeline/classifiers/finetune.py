"""A pretrained encoder trained end to end. Imports torch."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic.dataclasses import dataclass

from pipeline.classifiers import Report, State, index_labels
from pipeline.classifiers.checkpoint import DEFAULT, DOMAIN, domain_head, load_checkpoint, run, to_onnx
from pipeline.classifiers.network import Recipe, SentenceClassifier, train_network
from pipeline.classifiers.onnx import OnnxModel, Precision
from pipeline.classifiers.rules import STRICT
from pipeline.dataset import Example
from pipeline.metrics import confusion, macro_f1


@dataclass(config=STRICT)
class Finetune:
    """Fine-tune a checkpoint: on a GPU when there is one, in bfloat16 where the processor has it."""

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
    random_state: int = 0

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], report: Report) -> None:
        """Train; the same inputs and random_state on the same machine give the same weights."""
        torch.manual_seed(self.random_state)
        self._tokenizer, encoder = load_checkpoint(self.checkpoint)
        self._model = SentenceClassifier(encoder, len(label_names), self.dropout)
        if self.checkpoint == DOMAIN:
            head = domain_head()
            order = [head.label_names.index(name) for name in label_names]
            self._model.head.weight.data = torch.tensor(head.coefficients[order], dtype=torch.float32)
            self._model.head.bias.data = torch.tensor(head.intercepts[order], dtype=torch.float32)
        if self.freeze_words:
            encoder.get_input_embeddings().weight.requires_grad_(False)
        inside, held_out = self._divide(examples)
        y = index_labels(inside, label_names)
        counts = np.bincount(y, minlength=len(label_names)).clip(1)
        best: dict[str, Any] = {"score": -1.0, "worse": 0, "weights": None}

        def after_epoch() -> bool:
            """Keep the weights of the epoch that does best on the held-out articles; stop when none is better."""
            texts, truth = [e.text for e in held_out], index_labels(held_out, label_names)
            predicted = run(self._model, self._tokenizer, texts, self.max_length).argmax(1)
            score = float(macro_f1(confusion(truth, predicted, len(label_names))))
            if score > best["score"]:
                best.update(score=score, worse=0, weights=copy.deepcopy(self._model.state_dict()))
            else:
                best["worse"] += 1
            return bool(best["worse"] >= self.patience)

        names = Recipe.__dataclass_fields__
        self._model = train_network(
            self._model,
            self._tokenizer,
            [example.text for example in inside],
            y,
            Recipe(**{name: getattr(self, name) for name in names}),
            report,
            class_weights=(counts.sum() / (len(counts) * counts)) ** self.balance,
            after_epoch=after_epoch if held_out else None,
        )
        if best["weights"] is not None:
            self._model.load_state_dict(best["weights"])

    def _divide(self, examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
        groups = sorted({example.group for example in examples})
        random.Random(self.random_state).shuffle(groups)
        held_out = set(groups[: round(self.validation_share * len(groups))])
        return [e for e in examples if e.group not in held_out], [e for e in examples if e.group in held_out]

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return logits, shape (n, k)."""
        exported: OnnxModel | None = getattr(self, "_onnx", None)
        if exported is not None:
            return exported.run(texts)
        return run(self._model, self._tokenizer, texts, self.max_length)

    def state(self) -> State:
        """Return the trained model in its exported form."""
        exported: OnnxModel | None = getattr(self, "_onnx", None)
        if exported is not None:
            return State(blobs=exported.blobs)
        return State(blobs=to_onnx(self._model, self._tokenizer, self.max_length, self.precision))

    def restore(self, state: State) -> None:
        """Take over an exported model."""
        self._onnx = OnnxModel(state.blobs)
