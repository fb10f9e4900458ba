"""Which words a prediction rests on: what changes when one is left out; and the rows worth reading, with their words.

A weight is in log-odds of the predicted label against the runner-up: what the word adds to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.bundle import Bundle
from pipeline.config import read_yaml
from pipeline.data.examples import Example, divide, join
from pipeline.errors import InputError
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.metrics import MACRO_F1, difference, measure
from pipeline.scoring.predictions import Predictions

WORD = re.compile(r"\S+")
# Words that only join others are not left out: it halves the work.
STOPWORDS = frozenset(
    "a an the of and or in on at to for by with as from that this it its is are was were be been has have had "
    "their his her he she they who which will would said".split()
)
MARKS = "\"'“”‘’.,;:!?()"
MOST_WORDS = 80  # of a text, that are left out one by one
AUDITED = 120  # stance predictions that the audit examines
EXPLAINED = 50  # mistakes, and rows of least confidence


@dataclass(frozen=True)
class Word:
    """A word of a text by its span, and its weight."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True)
class Audit:
    """How much hangs on single words."""

    masked: Interval | None  # macro-F1 with the obvious words hidden; None where none are known
    change: Interval | None  # that minus macro-F1 of the whole text, paired
    touched: int  # rows that hold an obvious word
    examined: int  # stance predictions of which each word was left out
    decided: int  # of these, how many lose their label with a single word

    @property
    def share(self) -> float:
        """The share of stance predictions that one word decides."""
        return self.decided / self.examined if self.examined else 0.0


def word_weights(bundle: Bundle, texts: Sequence[str], predictions: Predictions) -> list[list[Word]]:
    """Return the words of each text, as `Bundle.normalize` has it, with what its prediction's log-odds lose without."""
    rest = predictions.probabilities.copy()
    rest[np.arange(len(texts)), predictions.y_pred] = -1
    pairs = zip(predictions.y_pred.tolist(), rest.argmax(1).tolist(), strict=True)
    return [
        [Word(*span, _log_odds(row, *pair) - _log_odds(left, *pair)) for span, left in variants]
        for row, variants, pair in zip(predictions.probabilities, occlude(bundle, texts), pairs, strict=True)
    ]


def _log_odds(probabilities: np.ndarray, best: int, second: int) -> float:
    clipped = np.clip(probabilities, 1e-9, None)
    return float(np.log(clipped[best] / clipped[second]))


def occlude(bundle: Bundle, texts: Sequence[str]) -> list[list[tuple[tuple[int, int], np.ndarray]]]:
    """Return the spans of the words of each text, as `Bundle.normalize` has it, and the probabilities without each."""
    plan, variants = [], []
    for given in texts:
        target, text = divide(given)
        spans = [match.span() for match in WORD.finditer(text)][:MOST_WORDS]
        kept = [(a, b) for a, b in spans if text[a:b].strip(MARKS).lower() not in STOPWORDS and len(spans) > 1]
        plan.append(kept)
        variants += [join(f"{text[:a]} {text[b:]}", target) for a, b in kept]
    probabilities = iter(bundle.predict_proba(variants)) if variants else iter(())
    return [[(span, next(probabilities)) for span in spans] for spans in plan]


def read_obvious(file: Path | None) -> re.Pattern[str] | None:
    """Read a list of regular expressions, the words that anybody would search for; None where there is no file."""
    if file is None or not file.exists():
        return None
    words = read_yaml(file)
    try:
        return re.compile("|".join(words), re.IGNORECASE)
    except (re.error, TypeError) as error:
        raise InputError(file, f"is no list of words ({error})", expected="a list of regular expressions") from None


def _hide(obvious: re.Pattern[str], given: str) -> str:
    target, text = divide(given)
    return join(obvious.sub("something", text), target)


def audit(
    bundle: Bundle, texts: Sequence[str], predictions: Predictions, obvious: re.Pattern[str] | None = None
) -> Audit:
    """Hide the obvious words from all rows, if any are known, and leave out each word of the stance predictions.

    A stance is any label but the commonest; at most 120 predictions, evenly spread over the rows, are examined word
    by word. Texts are as `Bundle.normalize` has them.
    """
    commonest = np.bincount(predictions.y_true, minlength=predictions.label_count).argmax()
    rows = np.flatnonzero(predictions.y_pred != commonest).tolist()
    if len(rows) > AUDITED:
        rows = [rows[place] for place in np.linspace(0, len(rows) - 1, AUDITED).astype(int)]
    variants = occlude(bundle, [texts[row] for row in rows])
    labels = [bundle.decide(np.array([left for _, left in own])) if own else np.empty(0) for own in variants]
    decided = sum(bool((left != predictions.y_pred[row]).any()) for row, left in zip(rows, labels, strict=True))
    if obvious is None:
        return Audit(None, None, 0, len(rows), decided)
    hidden = {row: hid for row, text in enumerate(texts) if (hid := _hide(obvious, text)) != text}
    probabilities = predictions.probabilities.copy()
    probabilities[list(hidden)] = bundle.predict_proba(list(hidden.values()))
    without = replace(predictions, y_pred=bundle.decide(probabilities), probabilities=probabilities)
    masked, change = measure(MACRO_F1, without), difference(MACRO_F1, predictions, without)
    return Audit(masked, change, len(hidden), len(rows), decided)


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
        cells = {name: getattr(self, name) for name in ("id", "origin", "text", "label", "predicted")}
        probabilities = {f"p {name}": round(probability, 4) for name, probability in self.probabilities.items()}
        confidence = round(self.confidence, 4)
        return cells | {"confidence": confidence} | probabilities | {"words": ", ".join(self.heaviest)}


def select_errors(
    bundle: Bundle, examples: Sequence[Example], texts: Sequence[str], predictions: Predictions
) -> tuple[list[ExplainedRow], list[ExplainedRow]]:
    """Return the most confident mistakes, and the least confident rows, 50 of each at most.

    Texts are those of the rows, as `Bundle.normalize` has them.
    """
    order = np.argsort(-predictions.confidence, kind="stable")
    wrong, unsure = order[~predictions.hits[order]][:EXPLAINED].tolist(), order[::-1][:EXPLAINED].tolist()
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
