"""The rows worth reading: where the model is confident and wrong, and where it is least confident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.bundle import Bundle
from pipeline.data.dataset import Example
from pipeline.evaluation.attribution import Word, word_weights
from pipeline.scoring.predictions import Predictions

MOST = 50


@dataclass(frozen=True)
class ExplainedRow:
    """A row with its label, what was predicted, and the words that this rests on."""

    id: str
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
        names = ("id", "origin", "text", "label", "predicted")
        cells: dict[str, object] = {name: getattr(self, name) for name in names}
        cells |= {"confidence": round(self.confidence, 4)}
        cells |= {f"p {name}": round(probability, 4) for name, probability in self.probabilities.items()}
        return cells | {"words": ", ".join(self.heaviest)}


def select_errors(
    bundle: Bundle, examples: Sequence[Example], texts: Sequence[str], predictions: Predictions
) -> tuple[list[ExplainedRow], list[ExplainedRow]]:
    """Return the most confident mistakes, and the least confident rows, 50 of each at most.

    Texts are what the model reads of the rows, as `Bundle.normalize` has it.
    """
    order = np.argsort(-predictions.confidence, kind="stable")
    wrong, unsure = order[~predictions.hits[order]][:MOST].tolist(), order[::-1][:MOST].tolist()
    rows = list(dict.fromkeys([*wrong, *unsure]))
    weights = word_weights(bundle, [texts[row] for row in rows], predictions.take(rows))
    words = dict(zip(rows, weights, strict=True))

    def explain(row: int) -> ExplainedRow:
        example, names = examples[row], bundle.label_names
        return ExplainedRow(
            id=example.id,
            origin=example.origin,
            text=" ".join(example.text.split()),
            label=example.label,
            predicted=names[predictions.y_pred[row]],
            confidence=float(predictions.confidence[row]),
            probabilities=dict(zip(names, predictions.probabilities[row].tolist(), strict=True)),
            words=tuple(words[row]),
        )

    return [explain(row) for row in wrong], [explain(row) for row in unsure]
