"""Train a low-rank adapter (LoRA) with its head on an encoder. Imports torch and peft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.classifiers.checkpoint import load_adapter, load_checkpoint, merge_adapter, quiet_peft, save_adapter
from pipeline.classifiers.encoding import run
from pipeline.classifiers.network import SentenceClassifier, TrainingOptions, train_network
from pipeline.classifiers.pretrained_folder import HEAD
from pipeline.data.files import write_whole_folder
from pipeline.progress import ProgressCallback

# The six linear layers of some blocks, as BERT and MPNet name them; not the pooler, which is not used.
LINEAR = r".*layer\.({blocks})\..*\.(query|key|value|dense|q|k|v|o)"


@dataclass(frozen=True)
class AdapterOptions:
    """How an adapter is trained."""

    encoder: str
    rank: int
    layers: tuple[int, ...]  # the blocks that are adapted; empty: all
    epochs: int
    learning_rate: float
    batch_size: int
    max_length: int
    random_state: int


def train_adapter(
    texts: Sequence[str],
    targets: np.ndarray,
    options: AdapterOptions,
    workspace: Path,
    output: Path,
    on_progress: ProgressCallback,
    checkpoint: str = "",
    *,
    goes_on_from: Path | None = None,
) -> None:
    """Train on soft targets, and write adapter and head.

    Args:
        texts: n texts.
        targets: probabilities, shape (n, labels).
        options: how.
        workspace: keeps the state after each epoch, to go on from if interrupted.
        output: a folder for `adapter_model.safetensors`, `adapter_config.json` and `head.safetensors`.
        on_progress: called with the share that is done.
        checkpoint: a folder with the encoder, where that is not to be fetched.
        goes_on_from: an adapter and head to begin with, None: new ones.

    """
    from safetensors.numpy import save_file

    torch.manual_seed(options.random_state)
    tokenizer, encoder = load_checkpoint(options.encoder, checkpoint)
    model = train_network(
        _build(encoder, options, targets.shape[1], goes_on_from),
        tokenizer,
        texts,
        targets,
        TrainingOptions(
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            head_rate=1e-3,
            batch_size=options.batch_size,
            max_length=options.max_length,
            weight_decay=0.01,
            warmup=0.06,
            random_state=options.random_state,
        ),
        on_progress,
        workspace=workspace,
    )
    arrays = {"coefficients": model.head.weight.detach().numpy(), "intercepts": model.head.bias.detach().numpy()}
    with write_whole_folder(output) as partial:
        save_adapter(model.encoder, partial)
        save_file(arrays, partial / HEAD[1])


def add_adapter(encoder: Any, rank: int, layers: Sequence[int] = ()) -> Any:
    """Return an encoder with a new low-rank adapter on some blocks, counted from 0, or on all; the rest stays."""
    from peft import LoraConfig, get_peft_model

    blocks = "|".join(map(str, layers)) or r"\d+"
    with quiet_peft():
        return get_peft_model(
            encoder, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=LINEAR.format(blocks=blocks))
        )


def _build(encoder: Any, options: AdapterOptions, labels: int, goes_on_from: Path | None) -> SentenceClassifier:
    low_rank = (
        load_adapter(encoder, goes_on_from, trainable=True)
        if goes_on_from
        else add_adapter(encoder, options.rank, options.layers)
    )
    low_rank.peft_config["default"].base_model_name_or_path = options.encoder  # and no path of this machine
    model = SentenceClassifier(low_rank, labels, dropout=0.1)
    if goes_on_from:
        _load_head(model, goes_on_from)
    return model


def score_adapter(
    encoder: str, folder: Path, texts: Sequence[str], max_length: int, checkpoint: str = ""
) -> np.ndarray:
    """Return the logits that an adapter and its head, as written, give texts; shape (n, labels)."""
    from safetensors.numpy import load_file

    tokenizer, loaded = load_checkpoint(encoder, checkpoint)
    labels = len(load_file(folder / HEAD[1])["intercepts"])
    model = SentenceClassifier(merge_adapter(loaded, folder), labels, dropout=0.0)
    _load_head(model, folder)
    return run(model, tokenizer, texts, max_length)


def _load_head(model: SentenceClassifier, folder: Path) -> None:
    from safetensors.numpy import load_file

    head = load_file(folder / HEAD[1])
    model.head.weight.data = torch.tensor(head["coefficients"])
    model.head.bias.data = torch.tensor(head["intercepts"])
