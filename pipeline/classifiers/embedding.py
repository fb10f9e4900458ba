"""Linear classifiers over the vectors of a frozen encoder, alone or beside counted n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from pipeline.classifiers import STRICT, State, index_labels
from pipeline.classifiers.encoders import DEFAULT, LinearOverFrozen, OverFrozen
from pipeline.classifiers.linear import Reader, Tfidf, complete, copy_by_target
from pipeline.classifiers.onnx import OnnxModel, Precision
from pipeline.data.examples import Example
from pipeline.progress import ProgressCallback


@dataclass(config=STRICT)
class Embedding(Reader, LinearOverFrozen):
    """The vectors of a frozen encoder into logistic regression."""

    C: float = 3.0
    checkpoint: str = DEFAULT
    layers: tuple[PositiveInt, ...] = ()
    max_length: int = 128
    precision: Precision = "int8"
    balanced: bool = True
    random_state: int = 0

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Learn weights."""
        from sklearn.linear_model import LogisticRegression

        on_progress(0.1, "embed")
        self._learn_reading(examples)
        features = self._features([example.input for example in examples])
        on_progress(0.9, "fit weights")
        weight = "balanced" if self.balanced else None
        model = LogisticRegression(C=self.C, class_weight=weight, max_iter=2000)
        model.fit(features, index_labels(examples, label_names))
        self._weights = complete(model, len(label_names))

    def _features(self, texts: Sequence[str]) -> Any:
        from scipy.sparse import csr_matrix

        targets, texts = self._read(texts)
        vectors = self._embed(texts)
        return copy_by_target(csr_matrix(vectors), targets, self._targets) if self._targets else vectors

    def state(self) -> State:
        """Return weights, what is needed to read, and the encoder in its exported form."""
        state = super().state()
        state.values |= {"targets": self._targets, "hashtag_words": self._words}
        return state

    def restore(self, state: State) -> None:
        """Take over weights, what is needed to read, and encoder."""
        super().restore(state)
        self._restore_reading(state)


@dataclass(config=STRICT)
class Hybrid(Tfidf, OverFrozen):
    """Both kinds of features side by side in one linear support vector machine."""

    reference: ClassVar[bool] = False

    checkpoint: str = DEFAULT
    layers: tuple[PositiveInt, ...] = ()
    max_length: int = 128
    precision: Precision = "int8"
    embedding_weight: float = 2.0  # length of the embedding beside TF-IDF vectors of length 1

    def _join(self, counted: list[Any], texts: Sequence[str]) -> Any:
        from scipy.sparse import csr_matrix, hstack

        return hstack([*counted, csr_matrix(self.embedding_weight * self._embed(texts))], format="csr")

    def state(self) -> State:
        """Return terms, weights, and the encoder in its exported form."""
        state = super().state()
        state.blobs = self._encoder_blobs()
        return state

    def restore(self, state: State) -> None:
        """Take over terms, weights and encoder."""
        super().restore(state)
        self._onnx = OnnxModel(state.blobs)
