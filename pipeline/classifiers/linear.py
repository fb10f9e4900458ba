"""Linear classifiers over what is counted (word and character n-grams) and what is embedded.

Where examples have targets, each feature is there once for all targets and once for its own target
(Daumé III, 2007, "Frustratingly Easy Domain Adaptation"): the general copy learns what targets share,
and is all that speaks where a target is new. Where texts have hashtags, these are read in words as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.classifiers import State, index_labels
from pipeline.classifiers.hashtags import learn_words, spell
from pipeline.classifiers.onnx import OnnxModel, Precision
from pipeline.classifiers.rules import STRICT
from pipeline.data.dataset import Example
from pipeline.data.examples import divide
from pipeline.progress import ProgressCallback

ANALYZERS = ("word", "char_wb")


class Reader:
    """How targets and hashtags are read out of what a classifier is given."""

    _targets: list[str]
    _words: dict[str, int]  # that hashtags are made of; none where the training text has no hashtags

    @property
    def reads_hashtags(self) -> bool:
        """Whether hashtags stand for words."""
        return bool(self._words)

    def _learn_reading(self, examples: Sequence[Example]) -> None:
        targets, texts = _divided([example.input for example in examples])
        self._targets, self._words = sorted(set(targets) - {""}), learn_words(texts)

    def _read(self, given: Sequence[str]) -> tuple[list[str], list[str]]:
        targets, texts = _divided(given)
        return targets, [spell(text, self._words) for text in texts]

    def _restore_reading(self, state: State) -> None:
        self._targets, self._words = state.values.get("targets", []), state.values.get("hashtag_words", {})


@dataclass(config=STRICT)
class Tfidf(Reader):
    """TF-IDF of word and character n-grams into a linear support vector machine.

    Out of the machine come margins and no probabilities; calibration makes them such.
    """

    C: float = 0.3
    word_ngrams: tuple[int, int] = (1, 3)
    character_ngrams: tuple[int, int] = (2, 5)
    min_df: int = 2  # a term in fewer training sentences is left out
    balanced: bool = True
    random_state: int = 0

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Learn terms and weights."""
        from sklearn.svm import LinearSVC

        self._learn_reading(examples)
        targets, texts = self._read([example.input for example in examples])
        self._vectorizers = [self._vectorizer(analyzer) for analyzer in ANALYZERS]
        on_progress(0.1, "count terms")
        features = self._join([v.fit_transform(texts) for v in self._vectorizers], texts)
        on_progress(0.5, "fit weights")
        model = LinearSVC(
            C=self.C, class_weight="balanced" if self.balanced else None, random_state=self.random_state
        ).fit(copy_by_target(features, targets, self._targets), index_labels(examples, label_names))
        self._weights = _complete(model, len(label_names))

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return margins, shape (n, k)."""
        if not texts:
            return np.zeros((0, len(self._weights[1])))
        coefficients, intercepts = self._weights
        targets, texts = self._read(texts)
        features = self._join([v.transform(texts) for v in self._vectorizers], texts)
        return np.asarray(copy_by_target(features, targets, self._targets) @ coefficients.T) + intercepts

    def state(self) -> State:
        """Return terms, their inverse document frequencies, and weights."""
        values: dict[str, Any] = {"targets": self._targets, "hashtag_words": self._words}
        arrays = dict(zip(("coefficients", "intercepts"), self._weights, strict=True))
        for analyzer, vectorizer in zip(ANALYZERS, self._vectorizers, strict=True):
            values[analyzer] = vectorizer.get_feature_names_out().tolist()
            arrays[f"idf_{analyzer}"] = vectorizer.idf_
        return State(values, arrays)

    def restore(self, state: State) -> None:
        """Take over terms and weights."""
        self._restore_reading(state)
        self._vectorizers = [self._vectorizer(analyzer, state.values[analyzer]) for analyzer in ANALYZERS]
        for analyzer, vectorizer in zip(ANALYZERS, self._vectorizers, strict=True):
            vectorizer.idf_ = state.arrays[f"idf_{analyzer}"]
        self._weights = state.arrays["coefficients"], state.arrays["intercepts"]

    def _vectorizer(self, analyzer: str, terms: Sequence[str] | None = None) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        return TfidfVectorizer(
            analyzer=analyzer,
            ngram_range=self.word_ngrams if analyzer == "word" else self.character_ngrams,
            min_df=self.min_df,
            sublinear_tf=True,
            vocabulary=terms,
            dtype=np.float64,
        )

    def _join(self, counted: list[Any], texts: Sequence[str]) -> Any:
        from scipy.sparse import hstack

        return hstack(counted, format="csr")


class OverEncoder:
    """What linear layers over an encoder share: how they score, what they store."""

    _weights: tuple[np.ndarray, np.ndarray]
    _onnx: OnnxModel

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return logits, shape (n, k)."""
        coefficients, intercepts = self._weights
        return self._features(texts) @ coefficients.T + intercepts

    def _features(self, texts: Sequence[str]) -> Any:
        return embed(self, texts)

    def state(self) -> State:
        """Return weights and the encoder in its exported form."""
        arrays = dict(zip(("coefficients", "intercepts"), self._weights, strict=True))
        return State(arrays=arrays, blobs=encoder_blobs(self))

    def restore(self, state: State) -> None:
        """Take over weights and encoder."""
        self._weights = state.arrays["coefficients"], state.arrays["intercepts"]
        self._onnx = OnnxModel(state.blobs)


@dataclass(config=STRICT)
class Embedding(Reader, OverEncoder):
    """The vectors of a frozen encoder into logistic regression."""

    C: float = 3.0
    checkpoint: str = "all-MiniLM-L6-v2"
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
        model = LogisticRegression(C=self.C, class_weight="balanced" if self.balanced else None, max_iter=2000).fit(
            features, index_labels(examples, label_names)
        )
        self._weights = _complete(model, len(label_names))

    def _features(self, texts: Sequence[str]) -> Any:
        from scipy.sparse import csr_matrix

        targets, texts = self._read(texts)
        vectors = embed(self, texts)
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
class Hybrid(Tfidf):
    """Both kinds of features side by side in one linear support vector machine."""

    checkpoint: str = "all-MiniLM-L6-v2"
    max_length: int = 128
    precision: Precision = "int8"
    embedding_weight: float = 2.0  # length of the embedding beside TF-IDF vectors of length 1

    def _join(self, counted: list[Any], texts: Sequence[str]) -> Any:
        from scipy.sparse import csr_matrix, hstack

        return hstack([*counted, csr_matrix(self.embedding_weight * embed(self, texts))], format="csr")

    def state(self) -> State:
        """Return terms, weights, and the encoder in its exported form."""
        state = super().state()
        state.blobs = encoder_blobs(self)
        return state

    def restore(self, state: State) -> None:
        """Take over terms, weights and encoder."""
        super().restore(state)
        self._onnx = OnnxModel(state.blobs)


def copy_by_target(features: Any, targets: Sequence[str], known: Sequence[str]) -> Any:
    """Return features, then for each known target its own copy of them with a constant, zero in other rows.

    Args:
        features: sparse, shape (n, d).
        targets: one for each row; one that is not known has the general copy alone.
        known: the targets of training; without any, features come back as they are.

    """
    from scipy.sparse import csr_matrix, diags, hstack

    if not known:
        return features
    whole = hstack([features, csr_matrix(np.ones((len(targets), 1)))], format="csr")
    own = [diags(np.array([target == name for target in targets], float)) @ whole for name in known]
    return hstack([features, *own], format="csr")


def _divided(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the targets and the texts of what classifiers read."""
    pairs = [divide(one) for one in given]
    return [target for target, _ in pairs], [text for _, text in pairs]


def embed(classifier: Any, texts: Sequence[str]) -> np.ndarray:
    """Embed with the exported encoder after a restore, and remember while training."""
    exported: OnnxModel | None = getattr(classifier, "_onnx", None)
    if exported is not None:
        return exported.run(texts)
    from pipeline.classifiers.checkpoint import frozen_encoder

    return frozen_encoder(classifier.checkpoint, classifier.max_length, classifier.precision).embed(texts)


def encoder_blobs(classifier: Any) -> dict[str, bytes]:
    """Return the encoder of a classifier in its exported form."""
    exported: OnnxModel | None = getattr(classifier, "_onnx", None)
    if exported is not None:
        return exported.blobs
    from pipeline.classifiers.checkpoint import frozen_encoder

    return frozen_encoder(classifier.checkpoint, classifier.max_length, classifier.precision).blobs


def _complete(model: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights for every label: two classes come as one row, an absent one as none."""
    coefficients, intercepts = model.coef_, np.atleast_1d(model.intercept_)
    if len(model.classes_) == 2:
        coefficients, intercepts = np.vstack([-coefficients, coefficients]), np.array([-intercepts[0], intercepts[0]])
    full = np.zeros((size, coefficients.shape[1])), np.full(size, float(intercepts.min()) - 5)
    full[0][model.classes_], full[1][model.classes_] = coefficients, intercepts
    return full
