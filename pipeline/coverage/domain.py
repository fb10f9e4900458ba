"""Are a batch's words those of other articles? A classifier tries to tell them apart (Rabanser et al., 2019).

Articles are sets of words, each hashed to one of 4,096 numbers, so that those that ship hold no text.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from pipeline.scoring.bootstrap import Interval, percentiles

WORDS = 2**12
MOST_ARTICLES = 500  # of each kind
FEWEST_ARTICLES = 20
FOLDS, RESAMPLES = 5, 200
SAME = 0.9  # cosine from which on two articles are one


class Sample:
    """The text of some articles, the same ones whatever the order of rows."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}

    def add(self, article: str, texts: Iterable[str]) -> None:
        """Add sentences of an article."""
        if article not in self._texts and len(self._texts) >= 2 * MOST_ARTICLES:
            self._texts = {key: self._texts[key] for key in self._chosen()}
            self._worst = max(map(_rank, self._texts))
        if article in self._texts or len(self._texts) < MOST_ARTICLES or _rank(article) < self._worst:
            self._texts.setdefault(article, []).extend(texts)

    _worst = 2**32

    def _chosen(self) -> list[str]:
        return sorted(self._texts, key=_rank)[:MOST_ARTICLES]

    def words(self) -> Any:
        """Return a row for each article."""
        return hash_words(" ".join(self._texts[key]) for key in self._chosen())


def _rank(article: str) -> int:
    return crc32(article.encode("utf-8", "replace"))


def hash_words(texts: Iterable[str]) -> Any:
    """Return which words texts have, a sparse matrix of shape (n, WORDS)."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(
        n_features=WORDS,
        binary=True,
        norm=None,
        alternate_sign=False,
        stop_words="english",
        token_pattern=r"[^\W\d_]{3,}",  # noqa: S106 - no password
    )
    return hashing.transform(list(texts))


def read_words(file: Path) -> Any:
    """Return the words of articles that ship."""
    from scipy.sparse import load_npz

    return load_npz(file).astype(float)


def write_words(file: Path, texts: Iterable[str]) -> None:
    """Write which words articles have, not which text."""
    from scipy.sparse import save_npz

    save_npz(file, hash_words(texts).astype(bool))


def tell_apart(here: Any, there: Any, random_state: int = 0) -> Interval | None:
    """Return the area under the ROC curve of a classifier of articles, cross-validated; None: too few articles.

    0.5: their words do not differ; 1: every article can be recognized. Articles of the batch that are among the
    others too are left out.
    """
    from scipy.sparse import vstack
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import normalize

    both = normalize(here) @ normalize(there).T
    here = here[np.flatnonzero(both.max(1).toarray().ravel() < SAME)]
    if min(here.shape[0], there.shape[0]) < FEWEST_ARTICLES:
        return None
    y = np.repeat([1, 0], [here.shape[0], there.shape[0]])
    model = make_pipeline(TfidfTransformer(), LogisticRegression(C=10, class_weight="balanced"))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=random_state)
    scores = cross_val_predict(model, vstack([here, there]), y, cv=folds, method="decision_function")
    difference = np.sign(scores[y == 1][:, None] - scores[y == 0])  # of each pair, one of either kind
    rng = np.random.default_rng(random_state)
    ours, theirs = (rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n for n in difference.shape)
    draws = 0.5 + np.einsum("rn,nm,rm->r", ours, difference, theirs, optimize=True) / 2
    return Interval(float(0.5 + difference.mean() / 2), *percentiles(draws))
