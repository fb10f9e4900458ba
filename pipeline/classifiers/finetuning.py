"""How a pretrained encoder is trained end to end. Imports torch."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pipeline.classifiers import index_labels
from pipeline.classifiers.checkpoint import load_checkpoint
from pipeline.classifiers.encoding import run, to_onnx
from pipeline.classifiers.network import Committee, SentenceClassifier, TrainingOptions, train_network
from pipeline.classifiers.pretrained_folder import find_folder, read_head
from pipeline.data.examples import Example
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback, on_epoch, step_of
from pipeline.scoring.metrics import confusion, macro_f1

if TYPE_CHECKING:
    from pipeline.classifiers.finetune import Finetune

LARGEST = 2 * 2**30  # bytes of an ONNX file


@dataclass(frozen=True)
class Finetuned:
    """A trained network with its tokenizer."""

    network: torch.nn.Module
    tokenizer: Any
    max_length: int

    def run(self, texts: Sequence[str]) -> np.ndarray:
        """Return logits, shape (n, labels)."""
        return run(self.network, self.tokenizer, texts, self.max_length)

    def export(self, precision: str) -> dict[str, bytes]:
        """Return the files that `OnnxModel` runs."""
        return to_onnx(self.network, self.tokenizer, self.max_length, precision)


def finetune(
    options: Finetune,
    examples: Sequence[Example],
    targets: np.ndarray,
    label_names: Sequence[str],
    on_progress: ProgressCallback,
    more: tuple[Sequence[str], np.ndarray] | None = None,
) -> Finetuned:
    """Train one network from each random start.

    Args:
        options: how.
        examples: n labelled texts; some articles among them may stop the training early.
        targets: label indices, shape (n,), or probabilities, shape (n, labels).
        label_names: in the order of the scores.
        on_progress: called as it goes on.
        more: m texts without labels and their probabilities, shape (m, labels).

    """
    # Networks of neighbouring random states shall not be the same ones.
    further = np.random.SeedSequence(options.random_state).generate_state(options.restarts - 1)
    trained = []
    for number, random_state in enumerate([options.random_state, *map(int, further)]):
        prefix = f"network {number + 1} of {options.restarts}, " if options.restarts > 1 else ""
        step = step_of(on_progress, number, options.restarts, prefix)
        trained.append(_train(options, examples, targets, label_names, random_state, step, more))
    if options.restarts == 1:
        return trained[0]
    return Finetuned(Committee([one.network for one in trained]), trained[0].tokenizer, options.max_length)


def _train(
    options: Finetune,
    examples: Sequence[Example],
    targets: np.ndarray,
    label_names: Sequence[str],
    random_state: int,
    on_progress: ProgressCallback,
    more: tuple[Sequence[str], np.ndarray] | None,
) -> Finetuned:
    torch.manual_seed(random_state)
    started = _build(options, label_names)
    kept = _kept(options, examples, random_state)
    inside, held_out = list(compress(examples, kept)), list(compress(examples, ~kept))
    texts, targets = [example.input for example in inside], targets[kept]
    counts = np.bincount(index_labels(inside, label_names), minlength=len(label_names)).clip(1)
    if more is not None:
        texts, targets = [*texts, *more[0]], np.concatenate([targets, more[1]])
    best = _BestEpoch(started, held_out, label_names, options.patience)
    own = {name: getattr(options, name) for name in TrainingOptions.__dataclass_fields__}
    network = train_network(
        started.network,
        started.tokenizer,
        texts,
        targets,
        TrainingOptions(**own | {"random_state": random_state}),
        on_progress,
        class_weights=(counts.sum() / (len(counts) * counts)) ** options.balance,
        after_epoch=best.after_epoch if held_out else None,
    )
    if best.weights is not None:
        network.load_state_dict(best.weights)
    return Finetuned(network, started.tokenizer, options.max_length)


def _build(options: Finetune, label_names: Sequence[str]) -> Finetuned:
    """Load the checkpoint and put a head on it: a pretrained model's own, or a new one."""
    tokenizer, encoder = load_checkpoint(options.checkpoint)
    model = SentenceClassifier(encoder, len(label_names), options.dropout)
    if folder := find_folder(options.checkpoint):
        head = read_head(folder)
        order = [head.label_names.index(name) for name in label_names]
        model.head.weight.data = torch.tensor(head.coefficients[order], dtype=torch.float32)
        model.head.bias.data = torch.tensor(head.intercepts[order], dtype=torch.float32)
    if options.freeze_words:
        encoder.get_input_embeddings().weight.requires_grad_(False)
    _check_size(options, encoder)
    return Finetuned(model, tokenizer, options.max_length)


def _check_size(options: Finetune, encoder: Any) -> None:
    """Check that all networks fit into one exported file; what is not trained is stored once."""
    once, each = (
        sum(4 * p.numel() for p in encoder.parameters() if p.requires_grad == trained) for trained in (False, True)
    )
    if once + options.restarts * each > LARGEST:
        raise InputError(
            f"checkpoint {options.checkpoint!r}",
            f"{options.restarts} restarts of it take {(once + options.restarts * each) / 2**30:.1f} GB",
            expected=f"at most {LARGEST / 2**30:.0f} GB, the largest ONNX file",
            then="lower `restarts`, or name several candidates as members of an ensemble",
        )


def _kept(options: Finetune, examples: Sequence[Example], random_state: int) -> np.ndarray:
    """Say which examples are trained on, whole articles together; shape (n,)."""
    groups = sorted({example.group for example in examples})
    random.Random(random_state).shuffle(groups)
    held_out = set(groups[: round(options.validation_share * len(groups))])
    return np.array([example.group not in held_out for example in examples])


class _BestEpoch:
    """Keeps the weights of the epoch that does best on held-out articles."""

    def __init__(
        self, model: Finetuned, held_out: Sequence[Example], label_names: Sequence[str], patience: int
    ) -> None:
        self.weights: dict[str, Any] | None = None
        self._model, self._size, self._patience = model, len(label_names), patience
        self._texts, self._truth = [example.input for example in held_out], index_labels(held_out, label_names)
        self._score, self._worse = -1.0, 0

    def after_epoch(self) -> bool:
        """Say whether to stop: no better epoch has come for a while."""
        score = float(macro_f1(confusion(self._truth, self._model.run(self._texts).argmax(1), self._size)))
        on_epoch.get()(score)
        if score > self._score:
            self._score, self._worse = score, 0
            self.weights = copy.deepcopy(self._model.network.state_dict())
        else:
            self._worse += 1
        return self._worse >= self._patience
