"""One network, an encoder with a linear layer on top, and how it is trained with transformers' Trainer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint

from pipeline.classifiers.encoding import INPUTS, encode, mean_pool, prefers_bfloat16
from pipeline.progress import ProgressCallback

if TYPE_CHECKING:
    from pipeline.classifiers.finetune import Finetune


class SentenceClassifier(torch.nn.Module):
    """An encoder, the mean of its tokens, and one linear layer."""

    def __init__(self, encoder: Any, labels: int, dropout: float) -> None:
        """Put a new head on an encoder."""
        super().__init__()
        self.encoder = encoder
        self.dropout = torch.nn.Dropout(dropout)
        self.head = torch.nn.Linear(encoder.config.hidden_size, labels)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (n, labels)."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.head(self.dropout(mean_pool(hidden, attention_mask))).float()


class Committee(torch.nn.Module):
    """Networks from several random starts as one: their mean log-probability (Lakshminarayanan et al., 2017)."""

    def __init__(self, networks: Sequence[torch.nn.Module]) -> None:
        """Put trained networks side by side."""
        super().__init__()
        self.networks = torch.nn.ModuleList(networks)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return mean log-probabilities, shape (n, labels)."""
        logits = torch.stack([network(input_ids, attention_mask) for network in self.networks])
        return torch.log_softmax(logits, -1).mean(0)


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained."""

    epochs: int
    learning_rate: float
    head_rate: float
    batch_size: int
    max_length: int
    random_state: int
    weight_decay: float = 0.01
    warmup: float = 0.1  # share of the steps


class _Watch(TrainerCallback):
    """Tells of steps; calls back at the end of each epoch, which may ask to stop."""

    def __init__(self, on_progress: ProgressCallback, after_epoch: Callable[[], bool] | None) -> None:
        self.on_progress, self.after_epoch = on_progress, after_epoch

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        epoch, epochs = int(state.epoch) + 1, int(args.num_train_epochs)
        self.on_progress(state.global_step / state.max_steps, f"epoch {min(epoch, epochs)} of {epochs}")

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.after_epoch is not None:
            control.should_training_stop = self.after_epoch()
            kwargs["model"].train()


def train_network(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    targets: np.ndarray,
    options: TrainingOptions | Finetune,
    on_progress: ProgressCallback,
    *,
    loss: Callable[..., torch.Tensor] = torch.nn.functional.cross_entropy,
    class_weights: np.ndarray | None = None,
    after_epoch: Callable[[], bool] | None = None,
    workspace: Path | None = None,
) -> Any:
    """Train a network and return it.

    Args:
        model: an `encoder` with or without a `head`; parameters that need no gradient stay.
        tokenizer: the encoder's.
        texts: n texts, each with its target if it has one.
        targets: label indices, shape (n,), or probabilities, shape (n, labels).
        options: how.
        on_progress: called with the share that is done.
        loss: of outputs and targets, with the `weight` of each label.
        class_weights: these, shape (labels,).
        after_epoch: called after each epoch; True stops.
        workspace: keeps a checkpoint after each epoch there, and goes on from the last one.

    """
    weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
    labels = torch.tensor(targets, dtype=torch.long if targets.ndim == 1 else torch.float32)
    encoded = encode(tokenizer, texts, options.max_length)
    rows = [{"input_ids": ids, "labels": label} for ids, label in zip(encoded, labels, strict=True)]

    def weighted_loss(outputs: torch.Tensor, labels: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return loss(outputs, labels, weight=None if weights is None else weights.to(outputs.device))

    with TemporaryDirectory() as temporary:
        folder = workspace or Path(temporary)
        trainer = Trainer(
            model,
            _arguments(options, len(rows), str(folder), keep=workspace is not None),
            train_dataset=rows,
            data_collator=partial(_collate, tokenizer),
            callbacks=[_Watch(on_progress, after_epoch)],
            compute_loss_func=weighted_loss,
            optimizers=(_optimizer(model, options), None),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=last_epoch(folder)[0])
        # The Trainer wraps `forward`, which cannot be exported.
        return trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)


def _collate(tokenizer: Any, batch: list[dict[str, Any]]) -> dict[str, Any]:
    padded = tokenizer.pad({"input_ids": [row["input_ids"] for row in batch]}, return_tensors="pt")
    return {name: padded[name] for name in INPUTS} | {"labels": torch.stack([row["labels"] for row in batch])}


def last_epoch(workspace: Path) -> tuple[str | None, int]:
    """Return the last whole checkpoint of a training, and how many epochs it has behind it; (None, 0): none."""
    for folder in workspace.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        if not (folder / TRAINER_STATE_NAME).is_file():  # which is written last: this one was killed
            shutil.rmtree(folder)
    last = get_last_checkpoint(workspace) if workspace.is_dir() else None
    return last, round(TrainerState.load_from_json(f"{last}/{TRAINER_STATE_NAME}").epoch or 0) if last else 0


def _optimizer(model: Any, options: TrainingOptions | Finetune) -> torch.optim.Optimizer:
    body = [parameter for parameter in model.encoder.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": body, "lr": options.learning_rate}]
    if hasattr(model, "head"):
        groups.append({"params": list(model.head.parameters()), "lr": options.head_rate})
    return torch.optim.AdamW(groups, weight_decay=options.weight_decay)


def _arguments(options: TrainingOptions | Finetune, rows: int, folder: str, keep: bool) -> TrainingArguments:
    steps = options.epochs * -(-rows // options.batch_size)
    return TrainingArguments(
        output_dir=folder,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch_size,
        warmup_steps=round(options.warmup * steps),
        lr_scheduler_type="linear",
        bf16=prefers_bfloat16(),
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="group_by_length",
        remove_unused_columns=False,
        average_tokens_across_devices=False,  # or several GPUs would multiply the loss
        save_strategy="epoch" if keep else "no",
        save_total_limit=1,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=options.random_state,
        data_seed=options.random_state,
        dataloader_pin_memory=False,
    )
