"""A linear model over word pieces and pairs of them: what is asked of each sentence before an encoder reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.classifiers.tokenizer import load_tokenizer

PAIRS = 1 << 17  # pairs of word pieces share as many weights


@dataclass(frozen=True)
class PieceModel:
    """A score for each text."""

    tokenizer: Any
    weights: np.ndarray  # int8, shape (word pieces + PAIRS,)
    step: float  # of a weight
    intercept: float

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Return the scores of texts, shape (n,)."""
        if not texts:
            return np.zeros(0)
        rows, features, lengths = count_pieces(self.tokenizer, texts, len(self.weights) - PAIRS)
        sums = np.bincount(rows, self.weights[features], minlength=len(texts))
        return sums * self.step / np.sqrt(np.maximum(lengths, 1)) + self.intercept


def count_pieces(tokenizer: Any, texts: Sequence[str], vocabulary: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the text and the number of each word piece and pair, each once a text; and how many a text has."""
    encoded = [tokens.ids for tokens in tokenizer.encode_batch_fast(list(texts))]
    pieces = np.concatenate([np.array(ids, np.int64) for ids in encoded])
    rows = np.repeat(np.arange(len(encoded)), [len(ids) for ids in encoded])
    inside = rows[:-1] == rows[1:]
    # Any fixed mixing of two numbers will do (here: multiplicative hashing by a golden ratio of 2^32).
    pairs = vocabulary + ((pieces[:-1] * 1_000_003 + pieces[1:]) * 2_654_435_761 >> 7)[inside] % PAIRS
    width = vocabulary + PAIRS
    keys = np.unique(np.concatenate([rows * width + pieces, rows[:-1][inside] * width + pairs]))
    texts_of, features = np.divmod(keys, width)
    return texts_of, features, np.bincount(texts_of, minlength=len(encoded))


def fit_pieces(tokenizer: bytes, texts: Sequence[str], targets: np.ndarray, strength: float) -> PieceModel:
    """Learn the scores of texts by ridge regression.

    Args:
        tokenizer: the encoder's, as a file.
        texts: n texts.
        targets: their scores, shape (n,).
        strength: of the pull of weights to zero.

    """
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import Ridge

    loaded = load_tokenizer(tokenizer)
    vocabulary = loaded.get_vocab_size()
    rows, features, lengths = count_pieces(loaded, texts, vocabulary)
    shape = (len(texts), vocabulary + PAIRS)
    counts = csr_matrix((1 / np.sqrt(lengths)[rows], (rows, features)), shape)
    model = Ridge(alpha=strength).fit(counts, targets)
    step = float(np.abs(model.coef_).max() / 127)
    return PieceModel(loaded, np.round(model.coef_ / step).astype(np.int8), step, float(model.intercept_))


def restore_pieces(values: dict[str, Any], weights: np.ndarray, tokenizer: bytes) -> PieceModel:
    """Build from step and intercept, the weights, and a tokenizer's file; ValueError if they do not fit together."""
    loaded = load_tokenizer(tokenizer)
    if weights.dtype != np.int8 or weights.shape != (loaded.get_vocab_size() + PAIRS,):
        raise ValueError(f"a linear model has weights {weights.dtype} of shape {weights.shape}: another tokenizer's")
    return PieceModel(loaded, weights, float(values["step"]), float(values["intercept"]))
