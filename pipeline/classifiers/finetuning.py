"""How a pretrained encoder is trained end to end. Imports torch."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from pipeline.classifiers import index_labels
from pipeline.classifiers.adapter import add_adapter
from pipeline.classifiers.checkpoint import load_checkpoint
from pipeline.classifiers.encoding import run, to_onnx
from pipeline.classifiers.network import Committee, SentenceClassifier, last_epoch, train_network
from pipeline.classifiers.pretrained_folder import find_folder, read_head
from pipeline.data.examples import Example
from pipeline.data.files import write_whole
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback, on_epoch, step_of, workspace
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
    """Train one network from each random start; an exported file of more than 2 GB is an InputError.

    Targets of n examples are label indices, shape (n,), or probabilities, shape (n, labels); `more` is m texts without
    labels and their probabilities, shape (m, labels).
    """
    # Networks of neighbouring random states shall not be the same ones.
    further = np.random.SeedSequence(options.random_state).generate_state(options.restarts - 1)
    trained = []
    for number, random_state in enumerate([options.random_state, *map(int, further)]):
        prefix = f"network {number + 1} of {options.restarts}, " if options.restarts > 1 else ""
        step = step_of(on_progress, number, options.restarts, prefix)
        trained.append(_train(replace(options, random_state=random_state), examples, targets, label_names, step, more))
    if options.restarts == 1:
        return trained[0]
    return Finetuned(Committee([one.network for one in trained]), trained[0].tokenizer, options.max_length)


def _train(
    options: Finetune,
    examples: Sequence[Example],
    targets: np.ndarray,
    label_names: Sequence[str],
    on_progress: ProgressCallback,
    more: tuple[Sequence[str], np.ndarray] | None,
) -> Finetuned:
    torch.manual_seed(options.random_state)
    started = _build(options, label_names)
    # Whole articles are held out.
    groups = sorted({example.group for example in examples})
    random.Random(options.random_state).shuffle(groups)
    held_out = set(groups[: round(options.validation_share * len(groups))])
    kept = np.array([example.group not in held_out for example in examples])
    texts, targets = [example.input for example in compress(examples, kept)], targets[kept]
    y_true = index_labels(examples, label_names)
    counts = np.bincount(y_true[kept], minlength=len(label_names)).clip(1)
    if more is not None:
        texts, targets = [*texts, *more[0]], np.concatenate([targets, more[1]])
    folder = (root := workspace.get()) and root / str(options.random_state)
    best = _BestEpoch(started, [example.input for example in compress(examples, ~kept)], y_true[~kept], options, folder)
    network = started.network
    if not best.over:
        network = train_network(
            network,
            started.tokenizer,
            texts,
            targets,
            options,
            on_progress,
            class_weights=(counts.sum() / (len(counts) * counts)) ** options.balance,
            after_epoch=best.after_epoch if held_out else None,
            workspace=folder,
        )
    if best.weights is not None:
        network.load_state_dict(best.weights)
    if options.rank:
        network.encoder = network.encoder.merge_and_unload()
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
    # What is not trained is stored once in the exported file, all else for each network.
    sizes = {True: 0, False: 0}
    for parameter in encoder.parameters():
        sizes[parameter.requires_grad] += 4 * parameter.numel()
    size = sizes[False] + options.restarts * sizes[True]
    if size > LARGEST:
        raise InputError(
            f"checkpoint {options.checkpoint!r}",
            f"{options.restarts} restarts of it take {size / 2**30:.1f} GB",
            expected=f"at most {LARGEST / 2**30:.0f} GB, the largest ONNX file",
            then="lower `restarts`, or name several candidates as members of an ensemble",
        )
    if options.rank:
        depth = encoder.config.num_hidden_layers
        try:
            model.encoder = add_adapter(
                encoder, options.rank, range(depth)[-options.blocks :] if options.blocks else ()
            )
        except ValueError:
            what = "has no linear layers of the names that an adapter is put on"
            raise InputError(
                f"checkpoint {options.checkpoint!r}", what, expected="BERT or MPNet", then="leave `rank` out"
            ) from None
    return Finetuned(model, tokenizer, options.max_length)


class _BestEpoch:
    """Keeps the weights of the epoch that does best on held-out articles; in a folder, where a fit may be killed."""

    def __init__(
        self, model: Finetuned, texts: Sequence[str], y_true: np.ndarray, options: Finetune, folder: Path | None
    ) -> None:
        self.weights: dict[str, Any] | None = None
        self._model, self._texts, self._y_true, self._patience = model, texts, y_true, options.patience
        self._scores: list[float] = []
        self._folder = folder
        if folder and (done := last_epoch(folder)[1]) and texts:
            # An epoch that was scored and has no checkpoint is trained again.
            self._scores = json.loads((folder / "scores.json").read_text())[:done]
            self.weights = load_file(folder / "best.safetensors")
            for score in self._scores:
                on_epoch.get()(score)

    @property
    def over(self) -> bool:
        """Whether no better epoch has come for a while."""
        return len(self._scores) - 1 - int(np.argmax(self._scores)) >= self._patience if self._scores else False

    def after_epoch(self) -> bool:
        """Score an epoch, and say whether to stop."""
        logits = self._model.run(self._texts)
        self._scores.append(float(macro_f1(confusion(self._y_true, logits.argmax(1), logits.shape[1]))))
        if np.argmax(self._scores) == len(self._scores) - 1:
            self.weights = copy.deepcopy(self._model.network.state_dict())
            if self._folder:
                with write_whole(self._folder / "best.safetensors") as partial:
                    save_file(self.weights, partial)
        if self._folder:
            with write_whole(self._folder / "scores.json") as partial:
                partial.write_text(json.dumps(self._scores))
        on_epoch.get()(self._scores[-1])
        return self.over
