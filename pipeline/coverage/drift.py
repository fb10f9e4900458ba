"""Is a batch like other articles? What the model makes of both, side by side, and whether their words differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.coverage.domain import tell_apart
from pipeline.coverage.shares import Sums
from pipeline.scoring.bootstrap import Interval

# A difference of this many standard errors is none of chance; of this part of the value there, it is a large one.
ERRORS, LARGE = 3.0, 0.5
# From these on the words of a batch are somewhat, or wholly, others (docs/coverage.md: what such values look like).
OTHER_WORDS, FOREIGN_WORDS = 0.8, 0.95
EXPECTED_ERROR = "expected error"  # the share of sentences that the model itself expects to label wrongly


@dataclass(frozen=True)
class Traits:
    """What a model makes of some articles, and which words they have."""

    name: str  # "the earlier rows"
    sums: Sums  # a row an article
    words: Any = None  # of `domain.hash_words`; None: not known
    shares: Mapping[str, float] = field(default_factory=dict)  # of its sentences, what is known of them


@dataclass(frozen=True)
class Difference:
    """A mean over the sentences of a batch beside that of other articles, and how far they are apart."""

    name: str
    here: float
    there: float
    errors: float  # the difference in standard errors, clustered by article

    @property
    def is_real(self) -> bool:
        """Whether chance does not explain it."""
        return abs(self.errors) > ERRORS

    @property
    def is_large(self) -> bool:
        """Whether it is real and matters."""
        return self.is_real and abs(self.here - self.there) > LARGE * self.there


@dataclass(frozen=True)
class Drift:
    """All differences, how well a classifier tells the words apart (None: not measured), and one light for them."""

    differences: tuple[Difference, ...]
    auc: Interval | None = None
    there: str = ""  # what the batch is compared with
    shares: tuple[tuple[str, float, float | None], ...] = ()  # name, here, there

    @property
    def light(self) -> str:
        """Return `alike`, `somewhat unlike` or `unlike`."""
        auc = self.auc.low if self.auc else 0.5
        if any(difference.is_large for difference in self.differences) or auc > FOREIGN_WORDS:
            return "unlike"
        if any(difference.is_real for difference in self.differences) or auc > OTHER_WORDS:
            return "somewhat unlike"
        return "alike"


def compare(here: Traits, there: Traits, label_names: Sequence[str]) -> Drift:
    """Compare the mean probability of each label, the error that the model expects, and the words."""
    (means, errors), (others, their_errors) = _means(here.sums), _means(there.sums)
    spread = np.sqrt(errors**2 + their_errors**2)
    apart = np.divide(means - others, spread, out=np.zeros_like(means), where=spread > 0)
    rows = zip((*label_names, EXPECTED_ERROR), means.tolist(), others.tolist(), apart.tolist(), strict=True)
    auc = None if here.words is None or there.words is None else tell_apart(here.words, there.words)
    shares = tuple((name, share, there.shares.get(name)) for name, share in here.shares.items())
    return Drift(tuple(Difference(*row) for row in rows), auc, there.name, shares)


def _means(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """Return means over sentences and their standard errors, both of shape (k + 1,)."""
    values, sentences = np.column_stack([sums.probabilities, sums.sentences - sums.confidence]), sums.sentences[:, None]
    n, total = len(values), sentences.sum()
    means = values.sum(0) / total
    return means, np.sqrt(((values - sentences * means) ** 2).sum(0) * n / max(n - 1, 1)) / total
