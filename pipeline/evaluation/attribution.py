"""Which words a prediction rests on: exact for counted words, by leaving words out for everything else.

A weight is in log-odds of the predicted label against the runner-up: what the word adds to it.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.bundle import Bundle
from pipeline.classifiers.linear import ANALYZERS, Tfidf
from pipeline.config import read_yaml
from pipeline.data.examples import divide, join
from pipeline.errors import InputError
from pipeline.scoring import metrics

WORD = re.compile(r"\S+")
TOKEN = re.compile(r"\b\w\w+\b")  # as scikit-learn's vectorizer has it
# Words that only join others are not left out: it halves the work. "no" and "not" are not among them.
STOPWORDS = frozenset(
    "a an the of and or in on at to for by with as from that this it its is are was were be been has have had "
    "their his her he she they who which will would said".split()
)
MARKS = "\"'“”‘’.,;:!?()"
MOST_WORDS = 80  # of a text, that are left out one by one
AUDITED = 120  # stance predictions that the audit looks at


@dataclass(frozen=True)
class Word:
    """A word of a text by its span, and its weight."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True)
class Audit:
    """How much hangs on single words."""

    masked: metrics.Interval | None  # macro-F1 with the obvious words hidden; None where none are known
    change: metrics.Interval | None  # that minus macro-F1 of the whole text, paired
    touched: int  # rows that hold an obvious word
    looked_at: int  # stance predictions of which each word was left out
    decided: int  # of these, how many lose their label with a single word

    @property
    def share(self) -> float:
        """The share of stance predictions that one word decides."""
        return self.decided / self.looked_at if self.looked_at else 0.0


def word_weights(bundle: Bundle, texts: Sequence[str]) -> list[list[Word]]:
    """Return the words of each text with what they add to its prediction.

    Spans are of the text with single spaces. For TF-IDF the weights, with the intercept, add up to the
    log-odds; for other kinds a weight is what the log-odds lose without the word.
    """
    texts = bundle.normalize(texts)
    if not texts:
        return []
    probabilities = bundle.predict_proba(texts)
    pairs = [(int(row[-1]), int(row[-2])) for row in np.argsort(probabilities, axis=1, kind="stable")]
    if isinstance(classifier := bundle.classifier, Tfidf) and is_exact(bundle):
        return _exact(classifier, bundle.manifest.calibration.temperature, texts, pairs)
    return [
        [Word(*span, _log_odds(row, *pair) - _log_odds(left, *pair)) for span, left in variants]
        for row, variants, pair in zip(probabilities, occlude(bundle, texts), pairs, strict=True)
    ]


def is_exact(bundle: Bundle) -> bool:
    """Say whether words have weights of their own: counted words do, without targets and hashtags."""
    return type(bundle.classifier) is Tfidf and not bundle.targets and not bundle.classifier.reads_hashtags


def _exact(
    classifier: Tfidf, temperature: float, texts: Sequence[str], pairs: Sequence[tuple[int, int]]
) -> list[list[Word]]:
    state = classifier.state()
    coefficients, size = state.arrays["coefficients"] / temperature, len(state.values["word"])
    terms = {kind: {term: i for i, term in enumerate(state.values[kind])} for kind in ANALYZERS}
    found = []
    for text, (best, second) in zip(texts, pairs, strict=True):
        weights = coefficients[best] - coefficients[second]
        spans = [match.span() for match in WORD.finditer(text)]
        words = [text[start:end].lower() for start, end in spans]
        totals = np.zeros(len(words))
        for kind, own in zip(ANALYZERS, (weights[:size], weights[size:]), strict=True):
            occurrences = _occurrences(classifier, kind, words, terms[kind])
            _spread(totals, occurrences, state.arrays[f"idf_{kind}"], own)
        found.append([Word(*span, float(total)) for span, total in zip(spans, totals, strict=True)])
    return found


def _log_odds(probabilities: np.ndarray, best: int, second: int) -> float:
    clipped = np.clip(probabilities, 1e-9, None)
    return float(np.log(clipped[best] / clipped[second]))


def _occurrences(
    classifier: Tfidf, kind: str, words: Sequence[str], terms: dict[str, int]
) -> dict[int, list[tuple[int, ...]]]:
    """Return for each known term the places where it occurs, each the positions of its words."""
    found: dict[int, list[tuple[int, ...]]] = defaultdict(list)

    def note(term: str, places: tuple[int, ...]) -> None:
        if term in terms:
            found[terms[term]].append(places)

    if kind == "word":
        tokens = [(token, place) for place, word in enumerate(words) for token in TOKEN.findall(word)]
        least, most = classifier.word_ngrams
        for n in range(least, most + 1):
            for i in range(len(tokens) - n + 1):
                note(" ".join(token for token, _ in tokens[i : i + n]), tuple(place for _, place in tokens[i : i + n]))
    else:
        least, most = classifier.character_ngrams
        for place, word in enumerate(words):
            padded = f" {word} "
            for n in range(least, most + 1):
                for i in range(max(1, len(padded) - n + 1)):
                    note(padded[i : i + n], (place,))
                if len(padded) <= n:
                    break  # a short word counts once, as in scikit-learn
    return found


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
    found = iter(bundle.predict_proba(variants)) if variants else iter(())
    return [[(span, next(found)) for span in spans] for spans in plan]


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
    bundle: Bundle,
    texts: Sequence[str],
    y_true: np.ndarray,
    groups: Sequence[str],
    obvious: re.Pattern[str] | None = None,
) -> Audit:
    """Hide the obvious words from all rows, if any are known, and leave out each word of the stance predictions.

    A stance is any label but the commonest. At most 120 predictions, evenly spread over the rows, are
    looked at word by word.
    """
    size, texts = len(bundle.label_names), bundle.normalize(texts)
    y_pred = bundle.predict_proba(texts).argmax(1)
    hidden = [_hide(obvious, text) for text in texts] if obvious else texts
    masked = bundle.predict_proba(hidden).argmax(1) if obvious else y_pred
    rows: list[int] = np.flatnonzero(y_pred != np.bincount(y_true, minlength=size).argmax()).tolist()
    if len(rows) > AUDITED:
        rows = [rows[place] for place in np.linspace(0, len(rows) - 1, AUDITED).astype(int)]
    variants = occlude(bundle, [texts[row] for row in rows])
    return Audit(
        metrics.interval(y_true, masked, groups, size) if obvious else None,
        metrics.paired_difference(y_true, y_pred, masked, groups, size) if obvious else None,
        sum(before != after for before, after in zip(texts, hidden, strict=True)),
        len(rows),
        sum(any(left.argmax() != y_pred[row] for _, left in own) for row, own in zip(rows, variants, strict=True)),
    )
