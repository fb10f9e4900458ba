"""What a batch is made of: one row a sentence, with its place, its context and room for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from pipeline.data.articles import Article
from pipeline.data.sentences import cut

# In the order in which a spreadsheet shows them. What the model thinks stands last, and hidden where it can be.
COLUMNS = (
    *("article_id", "start", "end", "previous", "text", "label", "note", "votes", "annotator", "time"),
    *("sampling", "codebook", "title", "date", "outlet", "guess", "confidence"),
)


def make_row(article: Article, start: int, end: int, **fields: Any) -> dict[str, Any]:
    """Return the row of one span, all columns present; `fields` fill what is known."""
    row = dict.fromkeys(COLUMNS, "") | {"article_id": article.id, "start": start, "end": end}
    previous = next((sentence.text for sentence in reversed(_sentences(article.text)) if sentence.end <= start), "")
    row |= {"previous": previous, "text": article.text[start:end]}
    return row | {name: getattr(article, name) for name in ("title", "date", "outlet")} | fields


def model_opinion(label: int, probabilities: np.ndarray, label_names: Sequence[str]) -> dict[str, Any]:
    """Return the columns `guess` and `confidence` of one sentence, whose probabilities have shape (k,)."""
    return {"guess": label_names[label], "confidence": round(float(probabilities[label]), 4)}


# The spans of an article mostly come one after the other.
_sentences = lru_cache(maxsize=64)(cut)
