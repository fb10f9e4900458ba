"""Which words a prediction rests on: exact for counted words, by leaving words out for everything else.

A weight is in log-odds of the predicted label against the runner-up: what the word adds to it.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.bundle import Bundle
from pipeline.classifiers.linear import ANALYZERS, Tfidf
from pipeline.config import read_yaml
from pipeline.data.examples import divide, join
from pipeline.errors import InputError
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.metrics import MACRO_F1, difference, measure
from pipeline.scoring.predictions import Predictions

WORD = re.compile(r"\S+")
TOKEN = re.compile(r"\b\w\w+\b")  # as scikit-learn's vectorizer has it
# Words that only join others are not left out: it halves the work. "no" and "not" are not among them.
STOPWORDS = frozenset(
    "a an the of and or in on at to for by with as from that this it its is are was were be been has have had "
    "their his her he she they who which will would said".split()
)
MARKS = "\"'“”‘’.,;:!?()"
MOST_WORDS = 80  # of a text, that are left out one by one
AUDITED = 120  # stance predictions that the audit examines


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
    """Return the words of each text with what they add to its prediction.

    Spans are of the text with single spaces. For TF-IDF the weights, with the intercept, add up to the
    log-odds; for other kinds a weight is what the log-odds lose without the word.

    Args:
        bundle: the model.
        texts: as `Bundle.normalize` has them, length n.
        predictions: what the model says of them.

    """
    if not texts:
        return []
    rest = predictions.probabilities.copy()
    rest[np.arange(len(texts)), predictions.y_pred] = -1
    pairs = list(zip(predictions.y_pred.tolist(), rest.argmax(1).tolist(), strict=True))
    if isinstance(classifier := bundle.classifier, Tfidf) and is_exact(bundle):
        return _exact(classifier, bundle.manifest.calibration.temperature, texts, pairs)
    return [
        [Word(*span, _log_odds(row, *pair) - _log_odds(left, *pair)) for span, left in variants]
        for row, variants, pair in zip(predictions.probabilities, occlude(bundle, texts), pairs, strict=True)
    ]


def is_exact(bundle: Bundle) -> bool:
    """Say whether words have weights of their own: counted words do, without targets and hashtags."""
    return type(bundle.classifier) is Tfidf and not bundle.targets and not bundle.classifier.reads_hashtags


def _exact(
    classifier: Tfidf, temperature: float, texts: Sequence[str], pairs: Sequence[tuple[int, int]]
) -> list[list[Word]]:
    state = classifier.state()
    coefficients, size = state.arrays["coefficients"] / temperature, len(state.values["word"])
    positions = {analyzer: {term: i for i, term in enumerate(state.values[analyzer])} for analyzer in ANALYZERS}
    weighted = []
    for text, (best, second) in zip(texts, pairs, strict=True):
        weights = coefficients[best] - coefficients[second]
        spans = [match.span() for match in WORD.finditer(text)]
        words = [text[start:end].lower() for start, end in spans]
        totals = np.zeros(len(words))
        for analyzer, own in zip(ANALYZERS, (weights[:size], weights[size:]), strict=True):
            occurrences: dict[int, list[tuple[int, ...]]] = defaultdict(list)
            for term, places in _terms(classifier, analyzer, words):
                if term in positions[analyzer]:
                    occurrences[positions[analyzer][term]].append(places)
            _spread(totals, occurrences, state.arrays[f"idf_{analyzer}"], own)
        weighted.append([Word(*span, float(total)) for span, total in zip(spans, totals, strict=True)])
    return weighted


def _log_odds(probabilities: np.ndarray, best: int, second: int) -> float:
    clipped = np.clip(probabilities, 1e-9, None)
    return float(np.log(clipped[best] / clipped[second]))


def _terms(classifier: Tfidf, analyzer: str, words: Sequence[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the terms of a text as scikit-learn counts them, each with the positions of the words it is made of."""
    if analyzer == "word":
        return _word_terms(words, *classifier.word_ngrams)
    return _character_terms(words, *classifier.character_ngrams)


def _word_terms(words: Sequence[str], shortest: int, longest: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    tokens = [(token, place) for place, word in enumerate(words) for token in TOKEN.findall(word)]
    for n in range(shortest, longest + 1):
        for start in range(len(tokens) - n + 1):
            names, places = zip(*tokens[start : start + n], strict=True)
            yield " ".join(names), places


def _character_terms(words: Sequence[str], shortest: int, longest: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for place, word in enumerate(words):
        padded = f" {word} "
        # A word that is shorter than n counts once, whole.
        for n in range(shortest, max(shortest, min(longest, len(padded))) + 1):
            for start in range(max(1, len(padded) - n + 1)):
                yield padded[start : start + n], (place,)


def _spread(
    totals: np.ndarray, occurrences: dict[int, list[tuple[int, ...]]], idf: np.ndarray, weights: np.ndarray
) -> None:
    """Add what each term contributes to the words that it is made of, in equal parts."""
    values = {term: (1 + math.log(len(places))) * float(idf[term]) for term, places in occurrences.items()}
    norm = math.sqrt(sum(value**2 for value in values.values())) or 1.0
    for term, places in occurrences.items():
        share = values[term] / norm * float(weights[term]) / len(places)
        for own in places:
            for place in own:
                totals[place] += share / len(own)


def occlude(bundle: Bundle, texts: Sequence[str]) -> list[list[tuple[tuple[int, int], np.ndarray]]]:
    """Return for each text, as `Bundle.normalize` has it, the spans of its words and the probabilities without each.

    A target is no part of the text, and stays.
    """
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
    """Read a list of regular expressions, the words that anybody would search for; None where there is no file.

    A model that needs these words has not learned to read.
    """
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

    A stance is any label but the commonest. At most 120 predictions, evenly spread over the rows, are
    examined word by word.

    Args:
        bundle: the model.
        texts: as `Bundle.normalize` has them, length n.
        predictions: what the model says of them.
        obvious: words that anybody would search for.

    """
    commonest = np.bincount(predictions.y_true, minlength=predictions.label_count).argmax()
    rows = np.flatnonzero(predictions.y_pred != commonest).tolist()
    if len(rows) > AUDITED:
        rows = [rows[place] for place in np.linspace(0, len(rows) - 1, AUDITED).astype(int)]
    variants = occlude(bundle, [texts[row] for row in rows])
    labels = [bundle.decide(np.array([left for _, left in own])) if own else np.empty(0) for own in variants]
    decided = sum(bool((left != predictions.y_pred[row]).any()) for row, left in zip(rows, labels, strict=True))
    masked = change = None
    touched = [row for row, text in enumerate(texts) if obvious and _hide(obvious, text) != text]
    if obvious:
        probabilities = predictions.probabilities.copy()
        probabilities[touched] = bundle.predict_proba([_hide(obvious, texts[row]) for row in touched])
        without = replace(predictions, y_pred=bundle.decide(probabilities), probabilities=probabilities)
        masked, change = measure(MACRO_F1, without), difference(MACRO_F1, predictions, without)
    return Audit(masked, change, len(touched), len(rows), decided)
