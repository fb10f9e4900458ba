"""Naive Bayes over word counts: the cheapest model that learns, strong where examples are few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.classifiers import STRICT, Classifier, State, index_labels
from pipeline.data.examples import Example
from pipeline.progress import ProgressCallback


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
