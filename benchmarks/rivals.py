"""What people would use instead, with the same encoder and the same rows: SetFit, and transformers' own recipe."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.classifiers import index_labels
from pipeline.classifiers.checkpoint import find_checkpoint
from pipeline.classifiers.encoders import DEFAULT
from pipeline.data.dataset import Example


def setfit(
    train: Sequence[Example], label_names: Sequence[str], texts: Sequence[str], random_state: int, max_steps: int = -1
) -> np.ndarray:
    """Train SetFit with the paper's settings (R = 20 pairs a row, one epoch, batches of 16), return probabilities.

    Args:
        train: labelled rows.
        label_names: all labels.
        texts: n texts to score.
        random_state: of pairs and dropout.
        max_steps: a bound where the pairs of thousands of rows would take hours; -1 for none.

    Returns:
        Shape (n, labels).

    """
    from setfit import SetFitModel, Trainer, TrainingArguments

    quiet()
    model = SetFitModel.from_pretrained(find_checkpoint(DEFAULT))
    rows = to_dataset(train, label_names)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            batch_size=16,
            num_epochs=1,
            num_iterations=20,
            max_steps=max_steps,
            seed=random_state,
            report_to="none",
            save_strategy="no",
            show_progress_bar=False,
        )
        Trainer(model=model, args=arguments, train_dataset=rows).train()
    return np.asarray(model.predict_proba(list(texts), show_progress_bar=False))


def run_classification(
    train: Sequence[Example],
    label_names: Sequence[str],
    texts: Sequence[str],
    random_state: int,
    encoder: str = DEFAULT,
    folder: str = "",
    *,
    padded: bool = True,
) -> np.ndarray:
    """Fine-tune as transformers' `run_classification.py` does as its README calls it; return logits.

    Batches of 32, rate 2e-5, three epochs, bfloat16 where that is faster; texts are padded to 128 tokens if not said
    otherwise. What is not padded to a fixed length is batched with texts of like length (`group_by_length`).

    Args:
        train: labelled rows.
        label_names: all labels.
        texts: n texts to score.
        random_state: of head, order and dropout.
        encoder: a published one.
        folder: where that lies, if it is not to be fetched.
        padded: whether each text is padded to 128 tokens.

    Returns:
        Shape (n, labels).

    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments, set_seed

    from pipeline.classifiers.encoding import prefers_bfloat16

    quiet()
    set_seed(random_state)
    place = find_checkpoint(encoder, folder)
    tokenizer = AutoTokenizer.from_pretrained(place)
    model: Any = AutoModelForSequenceClassification.from_pretrained(place, num_labels=len(label_names))

    def encode(batch: dict[str, list[str]]) -> Any:
        return tokenizer(batch["text"], padding="max_length" if padded else False, truncation=True, max_length=128)

    rows = to_dataset(train, label_names)
    with tempfile.TemporaryDirectory() as output:
        arguments = TrainingArguments(
            output_dir=output,
            num_train_epochs=3,
            per_device_train_batch_size=32,
            learning_rate=2e-5,
            seed=random_state,
            train_sampling_strategy="random" if padded else "group_by_length",
            use_cpu=True,
            bf16=prefers_bfloat16(),
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            logging_strategy="no",
        )
        data = rows.map(encode, batched=True)
        Trainer(model=model, args=arguments, train_dataset=data, processing_class=tokenizer).train()
    model.eval()
    found = []
    with torch.inference_mode():
        for position in range(0, len(texts), 64):
            batch = tokenizer(
                list(texts[position : position + 64]),
                padding=True,
                truncation=True,
                max_length=128,
                return_tensors="pt",
            )
            found.append(model(**batch).logits.numpy())
    return np.concatenate(found)


def to_dataset(rows: Sequence[Example], label_names: Sequence[str]) -> Any:
    """Return what both trainers read: the text as our candidates read it, and the label's index."""
    from datasets import Dataset

    return Dataset.from_dict({"text": [row.input for row in rows], "label": index_labels(rows, label_names).tolist()})


def quiet() -> None:
    """Silence progress bars and warnings of the libraries."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name in ("setfit", "sentence_transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
