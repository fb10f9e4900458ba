"""Linear classifiers over counted words and n-grams, and how linear classifiers read.

Where examples have targets, each feature is there once for all targets and once for its own target
(Daumé III, 2007, "Frustratingly Easy Domain Adaptation"): the general copy is all that speaks where a target is new.
Where texts have hashtags, these are read in words as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from pipeline.classifiers import STRICT, Classifier, State, index_labels
from pipeline.classifiers.hashtags import learn_words, spell
from pipeline.data.examples import Example, divide
from pipeline.progress import ProgressCallback

ANALYZERS = ("word", "char_wb")


class Reader:
    """How targets and hashtags are read out of what a classifier is given."""

    _targets: list[str]
    _words: dict[str, int]  # that hashtags are made of; none where the training text has no hashtags

    def _learn_reading(self, examples: Sequence[Example]) -> None:
        pairs = [divide(example.input) for example in examples]
        self._targets = sorted({target for target, _ in pairs} - {""})
        self._words = learn_words([text for _, text in pairs])

    def _read(self, given: Sequence[str]) -> tuple[list[str], list[str]]:
        pairs = [divide(one) for one in given]
        return [target for target, _ in pairs], [spell(text, self._words) for _, text in pairs]

    def _restore_reading(self, state: State) -> None:
        self._targets = state.value("targets", list[str])
        self._words = state.value("hashtag_words", dict[str, PositiveInt])


@dataclass(config=STRICT)
class NaiveBayes(Classifier):
    """Complement naive Bayes (Rennie et al., 2003), which bears that labels are unevenly common."""

    alpha: float = 0.3  # added to each count
    min_df: int = 1  # a term in fewer training sentences is left out
    random_state: int = 0

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Count words and pairs of them, of target and text alike."""
        from sklearn.naive_bayes import ComplementNB

        self._vectorizer = self._counter()
        counts = self._vectorizer.fit_transform([example.input for example in examples])
        y_true = index_labels(examples, label_names)
        model = ComplementNB(alpha=self.alpha).fit(counts, y_true)
        self._weights = np.full((len(label_names), counts.shape[1]), float(model.feature_log_prob_.min()))
        self._weights[model.classes_] = model.feature_log_prob_

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return sums of log-weights, shape (n, k)."""
        if not texts:
            return np.zeros((0, len(self._weights)))
        return np.asarray(self._vectorizer.transform(texts) @ self._weights.T)

    def state(self) -> State:
        """Return terms and weights."""
        return State({"terms": self._vectorizer.get_feature_names_out().tolist()}, {"weights": self._weights})

    def restore(self, state: State) -> None:
        """Take over terms and weights."""
        self._vectorizer, self._weights = self._counter(state.values["terms"]), state.arrays["weights"]

    def _counter(self, terms: Sequence[str] | None = None) -> Any:
        from sklearn.feature_extraction.text import CountVectorizer

        return CountVectorizer(ngram_range=(1, 2), min_df=self.min_df, vocabulary=terms)


@dataclass(config=STRICT)
class Tfidf(Reader, Classifier):
    """TF-IDF of word and character n-grams into a linear support vector machine."""

    reference: ClassVar[bool] = True

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
        features = self._join([_count(vectorizer, texts) for vectorizer in self._vectorizers], texts)
        on_progress(0.5, "fit weights")
        weight = "balanced" if self.balanced else None
        model = LinearSVC(C=self.C, class_weight=weight, random_state=self.random_state)
        model.fit(copy_by_target(features, targets, self._targets), index_labels(examples, label_names))
        self._weights = complete(model, len(label_names))

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
        self._vectorizers = [self._vectorizer(analyzer, state.value(analyzer, list[str])) for analyzer in ANALYZERS]
        for analyzer, vectorizer in zip(ANALYZERS, self._vectorizers, strict=True):
            vectorizer.idf_ = state.arrays[f"idf_{analyzer}"].reshape(len(vectorizer.vocabulary))
        self._weights = state.weights()

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


def _count(vectorizer: Any, texts: Sequence[str]) -> Any:
    """Learn the terms of texts and count them; where every word is rare, as without blanks between words, rare ones."""
    try:
        return vectorizer.fit_transform(texts)
    except ValueError:
        if vectorizer.analyzer != "word":
            raise
        return vectorizer.set_params(min_df=1).fit_transform(texts)


def copy_by_target(features: Any, targets: Sequence[str], known: Sequence[str]) -> Any:
    """Return sparse features, shape (n, d), then for each known target its own copy with a constant, else zero.

    A row whose target is not known has the general copy alone; without known targets, features stay as they are.
    """
    from scipy.sparse import csr_matrix, diags, hstack

    if not known:
        return features
    whole = hstack([features, csr_matrix(np.ones((len(targets), 1)))], format="csr")
    own = [diags(np.array([target == name for target in targets], float)) @ whole for name in known]
    return hstack([features, *own], format="csr")


def complete(model: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a scikit-learn model's weights for every label: two classes come as one row, an absent one as none."""
    coefficients, intercepts = model.coef_, np.atleast_1d(model.intercept_)
    if len(model.classes_) == 2:
        coefficients, intercepts = np.vstack([-coefficients, coefficients]), np.array([-intercepts[0], intercepts[0]])
    full = np.zeros((size, coefficients.shape[1])), np.full(size, float(intercepts.min()) - 5)
    full[0][model.classes_], full[1][model.classes_] = coefficients, intercepts
    return full
