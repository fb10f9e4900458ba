"""A pretrained encoder trained end to end. Imports torch."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from itertools import compress
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.classifiers import STRICT, State, index_labels
from pipeline.classifiers.checkpoint import load_checkpoint
from pipeline.classifiers.encoders import DEFAULT, OverCheckpoint
from pipeline.classifiers.encoding import run, to_onnx
from pipeline.classifiers.network import Committee, SentenceClassifier, TrainingOptions, train_network
from pipeline.classifiers.onnx import OnnxModel, Precision
from pipeline.classifiers.pretrained_folder import find_folder, read_head
from pipeline.data.examples import Example
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback, step_of
from pipeline.scoring.metrics import confusion, macro_f1

LARGEST = 2 * 2**30  # bytes of an ONNX file


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
    restarts: Annotated[int, Field(ge=1)] = 1  # networks of other random states, averaged: as many times the cost
    random_state: int = 0

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Train; the same inputs and random_state on the same machine give the same weights."""
        self._learn(examples, index_labels(examples, label_names), label_names, on_progress)

    def _learn(
        self,
        examples: Sequence[Example],
        targets: np.ndarray,
        label_names: Sequence[str],
        on_progress: ProgressCallback,
        more: tuple[Sequence[str], np.ndarray] | None = None,
    ) -> None:
        """Train one network from each random start.

        Args:
            examples: n labelled texts; some articles among them may stop the training early.
            targets: label indices, shape (n,), or probabilities, shape (n, labels).
            label_names: in the order of the scores.
            on_progress: told how far it is.
            more: m texts without labels and their probabilities, shape (m, labels).

        """
        # Networks of neighbouring random states shall not be the same ones.
        further = np.random.SeedSequence(self.random_state).generate_state(self.restarts - 1)
        networks = []
        for number, random_state in enumerate([self.random_state, *map(int, further)]):
            prefix = f"network {number + 1} of {self.restarts}, " if self.restarts > 1 else ""
            step = step_of(on_progress, number, self.restarts, prefix)
            networks.append(self._train(examples, targets, label_names, random_state, step, more))
        self._model = networks[0] if self.restarts == 1 else Committee(networks)

    def _train(
        self,
        examples: Sequence[Example],
        targets: np.ndarray,
        label_names: Sequence[str],
        random_state: int,
        on_progress: ProgressCallback,
        more: tuple[Sequence[str], np.ndarray] | None,
    ) -> SentenceClassifier:
        torch.manual_seed(random_state)
        model = self._build(label_names)
        kept = self._kept(examples, random_state)
        inside, held_out = list(compress(examples, kept)), list(compress(examples, ~kept))
        texts, targets = [example.input for example in inside], targets[kept]
        counts = np.bincount(index_labels(inside, label_names), minlength=len(label_names)).clip(1)
        if more is not None:
            texts, targets = [*texts, *more[0]], np.concatenate([targets, more[1]])
        best = _BestEpoch(self, model, held_out, label_names)
        options = {name: getattr(self, name) for name in TrainingOptions.__dataclass_fields__}
        trained: SentenceClassifier = train_network(
            model,
            self._tokenizer,
            texts,
            targets,
            TrainingOptions(**options | {"random_state": random_state}),
            on_progress,
            class_weights=(counts.sum() / (len(counts) * counts)) ** self.balance,
            after_epoch=best.after_epoch if held_out else None,
        )
        if best.weights is not None:
            trained.load_state_dict(best.weights)
        return trained

    def _build(self, label_names: Sequence[str]) -> SentenceClassifier:
        """Load the checkpoint and put a head on it: a pretrained model's own, or a new one."""
        self._tokenizer, encoder = load_checkpoint(self.checkpoint)
        model = SentenceClassifier(encoder, len(label_names), self.dropout)
        if folder := find_folder(self.checkpoint):
            head = read_head(folder)
            order = [head.label_names.index(name) for name in label_names]
            model.head.weight.data = torch.tensor(head.coefficients[order], dtype=torch.float32)
            model.head.bias.data = torch.tensor(head.intercepts[order], dtype=torch.float32)
        if self.freeze_words:
            encoder.get_input_embeddings().weight.requires_grad_(False)
        self._check_size(encoder)
        return model

    def _check_size(self, encoder: Any) -> None:
        """Check that all networks fit into one exported file; what is not trained is stored once."""
        once, each = (
            sum(4 * p.numel() for p in encoder.parameters() if p.requires_grad == trained) for trained in (False, True)
        )
        if once + self.restarts * each > LARGEST:
            raise InputError(
                f"checkpoint {self.checkpoint!r}",
                f"{self.restarts} restarts of it take {(once + self.restarts * each) / 2**30:.1f} GB",
                expected=f"at most {LARGEST / 2**30:.0f} GB, the largest ONNX file",
                then="lower `restarts`, or name several candidates as members of an ensemble",
            )

    def _kept(self, examples: Sequence[Example], random_state: int) -> np.ndarray:
        """Say which examples are trained on, whole articles together; shape (n,)."""
        groups = sorted({example.group for example in examples})
        random.Random(random_state).shuffle(groups)
        held_out = set(groups[: round(self.validation_share * len(groups))])
        return np.array([example.group not in held_out for example in examples])

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return logits, shape (n, k)."""
        return self._onnx.run(texts) if self._onnx else run(self._model, self._tokenizer, texts, self.max_length)

    def state(self) -> State:
        """Return the trained model in its exported form."""
        if self._onnx:
            return State(blobs=self._onnx.blobs)
        return State(blobs=to_onnx(self._model, self._tokenizer, self.max_length, self.precision))

    def restore(self, state: State) -> None:
        """Take over an exported model."""
        self._onnx = OnnxModel(state.blobs)


class _BestEpoch:
    """Keeps the weights of the epoch that does best on held-out articles."""

    def __init__(
        self, options: Finetune, model: SentenceClassifier, held_out: Sequence[Example], label_names: Sequence[str]
    ) -> None:
        self.weights: dict[str, Any] | None = None
        self._options, self._model, self._size = options, model, len(label_names)
        self._texts, self._truth = [example.input for example in held_out], index_labels(held_out, label_names)
        self._score, self._worse = -1.0, 0

    def after_epoch(self) -> bool:
        """Say whether to stop: no better epoch has come for a while."""
        logits = run(self._model, self._options._tokenizer, self._texts, self._options.max_length)
        score = float(macro_f1(confusion(self._truth, logits.argmax(1), self._size)))
        if score > self._score:
            self._score, self._worse, self.weights = score, 0, copy.deepcopy(self._model.state_dict())
        else:
            self._worse += 1
        return self._worse >= self._options.patience
