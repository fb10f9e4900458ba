"""Where a model is strong and where it is weak: scores on parts of the rows that people ask about."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.data.dataset import Example
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.metrics import MACRO_F1, measure
from pipeline.scoring.predictions import Predictions

# A slice with fewer rows gets no number: it would be believed.
FEWEST_ROWS = 20
# Values of a dimension that are shown by name, most rows first; the rest are one slice.
MOST_VALUES = 8

QUOTE = re.compile(r"[\"“”«»„]|(?<!\w)['‘]\w[^'’]*['’](?!\w)")
NEGATION = re.compile(r"\b(no|not|never|nor|neither|none|nothing|without|cannot)\b|n['’]t\b", re.IGNORECASE)
ENDED = re.compile(r"[.!?…][\"”’'»)\]]*$")
YEAR = re.compile(r"\b(?:19|20)\d\d\b")


def _length(example: Example) -> str:
    words = len(example.text.split())
    return "1 to 15 words" if words <= 15 else "16 to 30 words" if words <= 30 else "31 words or more"


def _either(pattern: re.Pattern[str], yes: str, no: str) -> Callable[[Example], str]:
    return lambda example: yes if pattern.search(example.text) else no


# Dimension -> the value of an example; an example with the value "" is in no slice of it.
DIMENSIONS: dict[str, Callable[[Example], str]] = {
    "origin": lambda example: example.origin,
    "target": lambda example: example.target,
    "outlet": lambda example: example.outlet,
    "style": lambda example: example.style,
    "year": lambda example: year.group() if (year := YEAR.search(example.date)) else "",
    "length": _length,
    "quotation": _either(QUOTE, "with a quotation", "without a quotation"),
    "negation": _either(NEGATION, "negated", "not negated"),
    "headline": lambda example: "sentence" if ENDED.search(example.text) else "headline (no full stop)",
}


@dataclass(frozen=True)
class Slice:
    """Scores on the rows that share a value; none where there are too few rows."""

    dimension: str
    value: str
    rows: np.ndarray  # positions, shape (m,)
    articles: int
    macro_f1: Interval | None
    accuracy: float


def cut_rows(examples: Sequence[Example], obvious: re.Pattern[str] | None = None) -> list[tuple[str, str, np.ndarray]]:
    """Return dimension, value and row positions of every slice; a dimension with one value has none.

    Rows that hold an obvious word are a slice, and those that hold none, where such words are known.
    """
    wording = {"wording": _either(obvious, "holds an obvious word", "holds no obvious word")} if obvious else {}
    slices = []
    for dimension, value_of in (DIMENSIONS | wording).items():
        rows_of = _group_rows([value_of(example) for example in examples], in_order=dimension in ("year", "length"))
        if len(rows_of) > 1:
            slices += [(dimension, value, np.array(rows)) for value, rows in rows_of.items()]
    return slices


def _group_rows(values: Sequence[str], *, in_order: bool) -> dict[str, list[int]]:
    """Return the rows of each value, the commonest first unless values have an order; the many rare ones are one."""
    counts = Counter(value for value in values if value).most_common()
    named = [value for value, _ in counts[:MOST_VALUES]]
    rows_of: dict[str, list[int]] = {value: [] for value in (sorted(named) if in_order else named)}
    rest = f"{len(counts) - MOST_VALUES} others"
    for row, value in enumerate(values):
        if value:
            rows_of.setdefault(value if value in named else rest, []).append(row)
    return rows_of


def score_slices(
    examples: Sequence[Example], predictions: Predictions, obvious: re.Pattern[str] | None = None
) -> list[Slice]:
    """Score every slice of `cut_rows`, each with its interval."""
    slices = []
    for dimension, value, rows in cut_rows(examples, obvious):
        own = predictions.take(rows)
        score = measure(MACRO_F1, own) if len(rows) >= FEWEST_ROWS else None
        slices.append(Slice(dimension, value, rows, len(np.unique(own.groups)), score, float(own.hits.mean())))
    return slices


def weakest(slices: Sequence[Slice], overall: float) -> list[Slice]:
    """Return the slices whose whole interval lies below the score of all rows, the lowest first; no rows twice."""
    below = [part for part in slices if part.macro_f1 is not None and part.macro_f1.high < overall]
    distinct = {part.rows.tobytes(): part for part in reversed(below)}
    return sorted(distinct.values(), key=lambda part: part.macro_f1.value if part.macro_f1 else 1.0)
