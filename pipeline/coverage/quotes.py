"""What articles actually say: a few sentences of each side, kept while rows are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.bundle import Bundle

SAME_MODEL = 0.03  # two processors may give one model's probabilities this far apart
MOST_SAME = 0.8  # of the sentences: a very long one was scored by its beginning
MOST = 3  # quotes of a kind
POOL = 8 * MOST  # that a part of the rows may give: some are of one article, or the same words
CONFIDENT, DIVIDED, RANDOM = "most confident", "most divided", "drawn at random"


@dataclass(frozen=True)
class Quote:
    """A sentence, what the model makes of it, and where it stands."""

    text: str
    label: str
    probabilities: tuple[float, ...]
    source: Mapping[str, Any]  # the other columns of its row

    @property
    def confidence(self) -> float:
        """The largest probability."""
        return max(self.probabilities)


@dataclass
class Quotes:
    """The best few sentences of each kind so far, each of another article."""

    label_names: Sequence[str]
    sides: Sequence[str]
    kept: dict[tuple[str, str], list[tuple[float, Quote]]] = field(default_factory=dict)  # (kind, side) -> best first
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def of(self, kind: str, side: str = "") -> list[Quote]:
        """Return the sentences of a kind, of one side unless they are divided between both."""
        return [quote for _, quote in self.kept.get((kind, side), [])]

    def fit(self, bundle: Bundle) -> bool:
        """Say whether a model gives these sentences the probabilities that their rows have."""
        quotes = [quote for kept in self.kept.values() for _, quote in kept]
        if not quotes:
            return True
        try:
            texts = [bundle.read(quote.text, str(quote.source.get("target") or "")) for quote in quotes]
        except InputError:
            return False  # the model wants a target, and its rows would have one
        given = np.array([quote.probabilities for quote in quotes])
        ways = [bundle.predict_in_stages(texts, exact=exact)[0] for exact in (False, True)]
        apart = np.min([np.abs(way - given).max(1) for way in ways], axis=0)
        return bool((apart <= SAME_MODEL).mean() >= MOST_SAME)

    def add(self, rows: Sequence[Mapping[str, Any]], labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Look at more rows, n of them.

        Args:
            rows: their columns.
            labels: as predicted, by index, shape (n,); `uncertain` is the last.
            probabilities: shape (n, k).

        """
        chance = self._rng.random(len(rows))
        for side in self.sides:
            position = self.label_names.index(side)
            own = np.flatnonzero(labels == position)
            self._offer((CONFIDENT, side), own, probabilities[own, position], rows, probabilities)
            self._offer((RANDOM, side), own, chance[own], rows, probabilities)
        if len(self.sides) == 2:
            lesser = probabilities[:, [self.label_names.index(side) for side in self.sides]].min(1)
            self._offer((DIVIDED, ""), np.arange(len(rows)), lesser, rows, probabilities)

    def _offer(
        self,
        key: tuple[str, str],
        own: np.ndarray,
        worth: np.ndarray,
        rows: Sequence[Mapping[str, Any]],
        probabilities: np.ndarray,
    ) -> None:
        best = np.argsort(-worth, kind="stable")[:POOL]
        offered = [
            (float(worth[i]), _quote(rows[own[i]], probabilities[own[i]])) for i in best if rows[own[i]].get("text")
        ]
        articles: set[str] = set()
        texts: set[str] = set()
        kept: list[tuple[float, Quote]] = []
        for value, quote in sorted(self.kept.get(key, []) + offered, key=lambda entry: -entry[0]):
            article = str(quote.source.get("article_id"))
            if article not in articles and quote.text not in texts and len(kept) < MOST:
                kept.append((value, quote))
                articles.add(article)
                texts.add(quote.text)
        self.kept[key] = kept


def _quote(row: Mapping[str, Any], probabilities: np.ndarray) -> Quote:
    others = {name: value for name, value in row.items() if name != "text" and not name.startswith("p_")}
    return Quote(" ".join(str(row["text"]).split()), str(row["label"]), tuple(probabilities.tolist()), others)
