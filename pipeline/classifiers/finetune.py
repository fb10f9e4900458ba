"""A pretrained encoder trained end to end with transformers' Trainer. Imports torch."""

from __future__ import annotations

import copy
import random
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from pipeline.classifiers import Report, State, index_labels
from pipeline.classifiers.checkpoint import DEFAULT, load_checkpoint, mean_pool, run, supports_bf16, to_onnx
from pipeline.classifiers.onnx import OnnxModel
from pipeline.classifiers.rules import STRICT
from pipeline.dataset import Example
from pipeline.metrics import confusion, macro_f1


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


class _Trainer(Trainer):
    """The Trainer with weighted classes and a faster rate for the new head."""

    def __init__(self, *args: Any, class_weights: torch.Tensor, head_rate: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.class_weights, self.head_rate = class_weights, head_rate

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        labels = inputs.pop("labels")
        logits = model(**inputs)
        loss = torch.nn.functional.cross_entropy(logits, labels, weight=self.class_weights.to(logits.device))
        return (loss, {"logits": logits}) if return_outputs else loss

    def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        body = [p for p in self.model.encoder.parameters() if p.requires_grad]
        groups = [
            {"params": body, "lr": self.args.learning_rate},
            {"params": list(self.model.head.parameters()), "lr": self.head_rate},
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=self.args.weight_decay)
        return self.optimizer


class _Watch(TrainerCallback):
    """Report progress; keep the weights of the epoch that did best on the validation part; stop early."""

    def __init__(self, model: SentenceClassifier, score: Any, report: Report, patience: int) -> None:
        self.model, self.score, self.report, self.patience = model, score, report, patience
        self.best, self.weights, self.worse = -1.0, None, 0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.report(
            state.global_step / state.max_steps, f"epoch {int(state.epoch) + 1} of {int(args.num_train_epochs)}"
        )

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.score is None:
            return
        score = self.score()
        self.model.train()
        if score > self.best:
            self.best, self.worse, self.weights = score, 0, copy.deepcopy(self.model.state_dict())
        else:
            self.worse += 1
            control.should_training_stop = self.worse >= self.patience


@dataclass(config=STRICT)
class Finetune:
    """Fine-tune a checkpoint: on a GPU when there is one, in bfloat16 where the processor has it."""

    checkpoint: str = DEFAULT
    epochs: int = 4
    learning_rate: float = 1e-4
    head_rate: float = 1e-3
    batch_size: int = 32
    max_length: int = 128
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
        if self.freeze_words:
            encoder.get_input_embeddings().weight.requires_grad_(False)
        inside, held_out = self._divide(examples)
        y = index_labels(inside, label_names)
        counts = np.bincount(y, minlength=len(label_names)).clip(1)
        weights = torch.tensor((counts.sum() / (len(counts) * counts)) ** self.balance, dtype=torch.float32)

        def score() -> float:
            texts, truth = [e.text for e in held_out], index_labels(held_out, label_names)
            predicted = run(self._model, self._tokenizer, texts, self.max_length).argmax(1)
            return float(macro_f1(confusion(truth, predicted, len(label_names))))

        encoded = self._tokenizer([e.text for e in inside], truncation=True, max_length=self.max_length)
        rows = [
            {"input_ids": ids, "labels": int(label), "length": len(ids)}
            for ids, label in zip(encoded["input_ids"], y, strict=True)
        ]
        watch = _Watch(self._model, score if held_out else None, report, self.patience)
        with tempfile.TemporaryDirectory() as folder:
            trainer = _Trainer(
                self._model,
                self._arguments(folder, len(rows)),
                train_dataset=rows,
                data_collator=self._collate,
                callbacks=[watch],
                class_weights=weights,
                head_rate=self.head_rate,
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            self._model = trainer.accelerator.unwrap_model(self._model, keep_fp32_wrapper=False)
        if watch.weights is not None:
            self._model.load_state_dict(watch.weights)

    def _divide(self, examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
        groups = sorted({example.group for example in examples})
        random.Random(self.random_state).shuffle(groups)
        held_out = set(groups[: round(self.validation_share * len(groups))])
        return [e for e in examples if e.group not in held_out], [e for e in examples if e.group in held_out]

    def _arguments(self, folder: str, rows: int) -> TrainingArguments:
        steps = self.epochs * -(-rows // self.batch_size)
        return TrainingArguments(
            output_dir=folder,
            num_train_epochs=self.epochs,
            per_device_train_batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            warmup_steps=round(self.warmup * steps),
            lr_scheduler_type="linear",
            bf16=supports_bf16(),
            use_cpu=not torch.cuda.is_available(),
            train_sampling_strategy="group_by_length",
            length_column_name="length",
            remove_unused_columns=False,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=self.random_state,
            data_seed=self.random_state,
            dataloader_pin_memory=False,
        )

    def _collate(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch = self._tokenizer.pad({"input_ids": [row["input_ids"] for row in rows]}, return_tensors="pt")
        return {
            "input_ids": batch["input_ids"],
            "attention_mask": batch["attention_mask"],
            "labels": torch.tensor([row["labels"] for row in rows]),
        }

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return logits, shape (n, k)."""
        exported: OnnxModel | None = getattr(self, "_onnx", None)
        if exported is not None:
            return exported.run(texts)
        return run(self._model, self._tokenizer, texts, self.max_length)

    def state(self) -> State:
        """Return the trained model in its exported form."""
        exported: OnnxModel | None = getattr(self, "_onnx", None)
        return State(blobs=exported.blobs if exported else to_onnx(self._model, self._tokenizer, self.max_length))

    def restore(self, state: State) -> None:
        """Take over an exported model."""
        self._onnx = OnnxModel(state.blobs)
