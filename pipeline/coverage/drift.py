"""Is a batch like the articles that its correction was fitted to? What the model thinks of both, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.coverage.shares import Sums

# A difference of this many standard errors is none of chance; of this part of the value there, it is a large one.
ERRORS, LARGE = 3.0, 0.5
UNSURE = "unsure"  # the error that the model itself expects: 1 minus the sum of squared probabilities


@dataclass(frozen=True)
class Difference:
    """A mean over the sentences of a batch beside that of the labelled ones, and how far they are apart."""

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
    """All differences, and one light for them."""

    differences: tuple[Difference, ...]

    @property
    def light(self) -> str:
        """Return `alike`, `somewhat unlike` or `unlike`."""
        if any(difference.is_large for difference in self.differences):
            return "unlike"
        return "somewhat unlike" if any(difference.is_real for difference in self.differences) else "alike"


def compare(here: Sums, there: Sums, label_names: Sequence[str]) -> Drift:
    """Compare the mean probability of each label, and how unsure the model is; rows are articles."""
    (means, errors), (others, their_errors) = _means(here), _means(there)
    spread = np.sqrt(errors**2 + their_errors**2)
    apart = np.divide(means - others, spread, out=np.zeros_like(means), where=spread > 0)
    rows = zip((*label_names, UNSURE), means.tolist(), others.tolist(), apart.tolist(), strict=True)
    return Drift(tuple(Difference(*row) for row in rows))


def _means(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """Return means over sentences and their standard errors, both of shape (k + 1,)."""
    unsure = np.trace(sums.spread, axis1=1, axis2=2)
    values, sentences = np.column_stack([sums.probabilities, unsure]), sums.sentences[:, None]
    n, total = len(values), sentences.sum()
    means = values.sum(0) / total
    return means, np.sqrt(((values - sentences * means) ** 2).sum(0) * n / max(n - 1, 1)) / total
