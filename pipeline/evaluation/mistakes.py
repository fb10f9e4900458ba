"""The rows worth reading: where the model is sure and wrong, and where it is least sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.bundle import Bundle
from pipeline.data.dataset import Example
from pipeline.evaluation.attribution import Word, word_weights

MOST = 50


@dataclass(frozen=True)
class Mistake:
    """A row with gold label, prediction, and the words that it rests on."""

    id: str
    article_id: str
    origin: str
    text: str  # with single spaces, so that words have their spans
    label: str
    predicted: str
    confidence: float
    probabilities: dict[str, float]
    words: tuple[Word, ...]

    @property
    def heaviest(self) -> list[str]:
        """The five words that weigh most, with their weights: `ease +1.2`."""
        ranked = sorted(self.words, key=lambda word: -abs(word.weight))[:5]
        return [f"{self.text[word.start : word.end]} {word.weight:+.1f}" for word in ranked]

    def to_dict(self) -> dict[str, object]:
        """Return the cells of a table."""
        cells: dict[str, object] = {"id": self.id, "origin": self.origin, "text": self.text, "label": self.label}
        cells |= {"predicted": self.predicted, "confidence": round(self.confidence, 4)}
        return (
            cells | {f"p {k}": round(v, 4) for k, v in self.probabilities.items()} | {"words": ", ".join(self.heaviest)}
        )


def select_errors(
    bundle: Bundle, examples: Sequence[Example], y_true: np.ndarray, probabilities: np.ndarray
) -> tuple[list[Mistake], list[Mistake]]:
    """Return the most confident mistakes, and the least confident rows, 50 of each at most.

    Args:
        bundle: the model that predicted.
        examples: the rows, length n.
        y_true: label indices, shape (n,).
        probabilities: shape (n, k).

    """
    confidence = probabilities.max(1)
    order = np.argsort(-confidence, kind="stable")
    wrong = [int(row) for row in order if probabilities[row].argmax() != y_true[row]][:MOST]
    unsure = [int(row) for row in order[::-1][:MOST]]
    both = list(dict.fromkeys([*wrong, *unsure]))
    words = dict(zip(both, word_weights(bundle, bundle.read_examples([examples[row] for row in both])), strict=True))

    def build(row: int) -> Mistake:
        example, names = examples[row], bundle.label_names
        return Mistake(
            *(example.id, example.article_id, example.origin, " ".join(example.text.split()), example.label),
            predicted=names[int(probabilities[row].argmax())],
            confidence=float(confidence[row]),
            probabilities=dict(zip(names, map(float, probabilities[row]), strict=True)),
            words=tuple(words[row]),
        )

    return [build(row) for row in wrong], [build(row) for row in unsure]
