"""Train a low-rank adapter (LoRA) with its head on the default encoder. Imports torch and peft."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.classifiers.checkpoint import DEFAULT, load_checkpoint, merge_adapter, run
from pipeline.classifiers.network import SentenceClassifier, TrainingOptions, train_network
from pipeline.progress import ProgressCallback

# The six linear layers of each of the encoder's blocks, and not the pooler, which is not used.
LAYERS = r".*layer\.\d+\..*(query|key|value|dense)"


def train_adapter(
    texts: Sequence[str],
    targets: np.ndarray,
    validation: Sequence[str],
    recipe: dict[str, Any],
    workspace: Path,
    output: Path,
    on_progress: ProgressCallback,
    start: Path | None = None,
) -> np.ndarray:
    """Train on soft targets, write adapter and head in half precision, return the validation texts' logits.

    Args:
        texts: n texts.
        targets: probabilities, shape (n, labels).
        validation: texts to score with what was written.
        recipe: rank, epochs, learning_rate, batch_size, max_length, random_state.
        workspace: keeps a checkpoint after each epoch.
        output: where `adapter_model.safetensors`, `adapter_config.json` and `head.safetensors` go.
        on_progress: told how far it is.
        start: an adapter to go on from; none begins anew.

    """
    from peft import LoraConfig, PeftModel, get_peft_model
    from safetensors.numpy import load_file, save_file

    torch.manual_seed(recipe["random_state"])
    tokenizer, encoder = load_checkpoint(DEFAULT)
    rank = recipe["rank"]
    if start is None:
        low_rank: Any = get_peft_model(encoder, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=LAYERS))
    else:
        low_rank = PeftModel.from_pretrained(encoder, str(start), is_trainable=True)
    model = SentenceClassifier(low_rank, targets.shape[1], dropout=0.1)
    if start is not None:
        head = load_file(start / "head.safetensors")
        model.head.weight.data = torch.tensor(head["coefficients"])
        model.head.bias.data = torch.tensor(head["intercepts"])
    model = train_network(
        model,
        tokenizer,
        texts,
        targets,
        TrainingOptions(
            epochs=recipe["epochs"],
            learning_rate=recipe["learning_rate"],
            head_rate=1e-3,
            batch_size=recipe["batch_size"],
            max_length=recipe["max_length"],
            weight_decay=0.01,
            warmup=0.06,
            random_state=recipe["random_state"],
        ),
        on_progress,
        workspace=workspace,
    )
    adapted: Any = model.encoder
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.half()
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    adapted.save_pretrained(str(partial))
    (partial / "README.md").unlink(missing_ok=True)
    output.mkdir(parents=True, exist_ok=True)
    arrays = {"coefficients": model.head.weight.detach().numpy(), "intercepts": model.head.bias.detach().numpy()}
    save_file(arrays, partial / "head.safetensors")
    for file in partial.iterdir():
        file.replace(output / file.name)
    partial.rmdir()

    tokenizer, encoder = load_checkpoint(DEFAULT)
    merged = merge_adapter(encoder, output)
    shipped = SentenceClassifier(merged, targets.shape[1], dropout=0.0)
    shipped.head.load_state_dict(model.head.state_dict())
    return run(shipped, tokenizer, validation, recipe["max_length"])
