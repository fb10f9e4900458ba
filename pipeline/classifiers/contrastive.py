"""Learn from few labels: pull sentences of one label together, then a linear layer. Only `fit` imports torch.

As SetFit (Tunstall et al., 2022, "Efficient Few-Shot Learning Without Prompts"), which encodes each pair anew; here a
batch is encoded once and all its pairs count, so one step sees hundreds of pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.classifiers import STRICT, index_labels
from pipeline.classifiers.embedding import Embedding
from pipeline.classifiers.onnx import OnnxModel
from pipeline.data.examples import Example
from pipeline.progress import ProgressCallback, step_of

if TYPE_CHECKING:
    import torch


def pair_loss(vectors: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Return how far the cosines of pairs are from 1 (same label) and 0 (another one), squared.

    Both sorts of pairs weigh the same, however many there are of each. Vectors are of length 1, shape (n, d), targets
    label indices, shape (n,), and `weight` that of each label, shape (labels,).
    """
    same = (targets[:, None] == targets).float()
    rows = same.new_ones(len(same)) if weight is None else weight[targets]
    pairs = (rows[:, None] * rows).triu(1)  # each pair once, no sentence with itself
    errors = pairs * (vectors @ vectors.T - same) ** 2
    return sum(
        ((errors * sort).sum() / (pairs * sort).sum().clamp(min=1e-9) for sort in (same, 1 - same)),
        errors.new_zeros(()),
    )


@dataclass(config=STRICT)
class Contrastive(Embedding):
    """Fine-tune an encoder on pairs of sentences, then logistic regression on its vectors."""

    epochs: Annotated[int, Field(ge=1)] = 10  # at most: more of the same sentences harms
    steps: Annotated[int, Field(ge=1)] = 30  # batches at most, or one pass over as many sentences as they hold
    learning_rate: float = 5e-5
    batch_size: Annotated[int, Field(ge=2)] = 32
    freeze_words: bool = True

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Learn; the same inputs and random_state on the same machine give the same weights."""
        import torch

        from pipeline.classifiers.checkpoint import load_checkpoint
        from pipeline.classifiers.encoding import Embedder, to_onnx
        from pipeline.classifiers.network import TrainingOptions, train_network

        torch.manual_seed(self.random_state)
        tokenizer, encoder = load_checkpoint(self.checkpoint)
        if self.freeze_words:
            encoder.get_input_embeddings().weight.requires_grad_(False)
        order = np.random.default_rng(self.random_state).permutation(len(examples))
        drawn = [examples[i] for i in order[: self.steps * self.batch_size]]
        y = index_labels(drawn, label_names)
        counts = np.bincount(y, minlength=len(label_names)).clip(1)
        model = train_network(
            Embedder(encoder, unit=True),
            tokenizer,
            [example.input for example in drawn],
            y,
            TrainingOptions(
                epochs=min(self.epochs, -(-self.steps // -(-len(drawn) // self.batch_size))),
                learning_rate=self.learning_rate,
                head_rate=0.0,
                batch_size=self.batch_size,
                max_length=self.max_length,
                random_state=self.random_state,
            ),
            lambda share, words: on_progress(0.9 * share, words),
            loss=pair_loss,
            class_weights=counts.sum() / (len(counts) * counts) if self.balanced else None,
        )
        # The linear layer learns from the exported form's vectors: they are what it will meet.
        self._onnx = OnnxModel(to_onnx(model, tokenizer, self.max_length, self.precision))
        super().fit(examples, label_names, step_of(on_progress, 9, 10))
