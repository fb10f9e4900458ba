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

from pipeline.classifiers import State, index_labels
from pipeline.classifiers.checkpoint import DEFAULT, PRETRAINED, load_checkpoint, pretrained_head, run, to_onnx
from pipeline.classifiers.network import Committee, SentenceClassifier, TrainingOptions, train_network
from pipeline.classifiers.onnx import OnnxModel, Precision
from pipeline.classifiers.rules import STRICT
from pipeline.data.dataset import Example
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback
from pipeline.scoring.metrics import confusion, macro_f1

LARGEST = 2 * 2**30  # bytes of an ONNX file


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
    restarts: Annotated[int, Field(ge=1)] = 1  # networks from other random starts, averaged: as many times the cost
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
        # Starts of neighbouring random states shall not be the same ones.
        further = np.random.SeedSequence(self.random_state).generate_state(self.restarts - 1)
        networks = []
        for number, random_state in enumerate([self.random_state, *map(int, further)]):

            def told(share: float, words: str, number: int = number) -> None:
                start = f"start {number + 1} of {self.restarts}, " if self.restarts > 1 else ""
                on_progress((number + share) / self.restarts, start + words)

            networks.append(self._train(examples, targets, label_names, random_state, told, more))
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
        self._tokenizer, encoder = load_checkpoint(self.checkpoint)
        model = SentenceClassifier(encoder, len(label_names), self.dropout)
        if self.checkpoint == PRETRAINED:
            head = pretrained_head()
            order = [head.label_names.index(name) for name in label_names]
            model.head.weight.data = torch.tensor(head.coefficients[order], dtype=torch.float32)
            model.head.bias.data = torch.tensor(head.intercepts[order], dtype=torch.float32)
        if self.freeze_words:
            encoder.get_input_embeddings().weight.requires_grad_(False)
        self._check_size(encoder)
        kept = self._kept(examples, random_state)
        inside, held_out = list(compress(examples, kept)), list(compress(examples, ~kept))
        texts, targets = [example.input for example in inside], targets[kept]
        counts = np.bincount(index_labels(inside, label_names), minlength=len(label_names)).clip(1)
        if more is not None:
            texts, targets = [*texts, *more[0]], np.concatenate([targets, more[1]])
        best: dict[str, Any] = {"score": -1.0, "worse": 0, "weights": None}

        def after_epoch() -> bool:
            """Keep the weights of the epoch that does best on the held-out articles; stop when none is better."""
            truth = index_labels(held_out, label_names)
            predicted = run(model, self._tokenizer, [e.input for e in held_out], self.max_length).argmax(1)
            score = float(macro_f1(confusion(truth, predicted, len(label_names))))
            if score > best["score"]:
                best.update(score=score, worse=0, weights=copy.deepcopy(model.state_dict()))
            else:
                best["worse"] += 1
            return bool(best["worse"] >= self.patience)

        options = {name: getattr(self, name) for name in TrainingOptions.__dataclass_fields__}
        trained: SentenceClassifier = train_network(
            model,
            self._tokenizer,
            texts,
            targets,
            TrainingOptions(**options | {"random_state": random_state}),
            on_progress,
            class_weights=(counts.sum() / (len(counts) * counts)) ** self.balance,
            after_epoch=after_epoch if held_out else None,
        )
        if best["weights"] is not None:
            trained.load_state_dict(best["weights"])
        return trained

    def _check_size(self, encoder: Any) -> None:
        """Check that all starts fit into one exported file; what is not trained is stored once."""
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
