"""How far annotators agree: alpha over all of them, kappa and confusions by pair, by label, by month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from pipeline.data.annotations import ADJUDICATED, Annotation, group_by_span


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's alpha with a 95 % interval, over the spans that have several annotators."""

    alpha: float
    low: float
    high: float
    spans: int
    differ: int


@dataclass(frozen=True)
class Pair:
    """Two annotators on the sentences that both read."""

    first: str
    second: str
    matrix: np.ndarray  # counts, shape (k, k): the first one's labels in rows, the second's in columns
    kappa: float


def measure_agreement(
    annotations: Iterable[Annotation], label_names: Sequence[str], *, resamples: int = 1000, random_state: int = 0
) -> Agreement | None:
    """Measure agreement before adjudication: nominal alpha, bootstrap over articles.

    Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability". None if nothing was annotated twice.
    """
    # The coincidence matrix is a sum over spans, so an article is one matrix and a resample one sum.
    articles: dict[str, np.ndarray] = {}
    spans = differ = 0
    for (article_id, _, _), rows in group_by_span(_opinions(annotations)).items():
        if len(rows) > 1:
            counts = np.bincount([label_names.index(row.label) for row in rows], minlength=len(label_names))
            coincidences = (np.outer(counts, counts) - np.diag(counts)) / (len(rows) - 1)
            articles[article_id] = articles.get(article_id, 0) + coincidences
            spans, differ = spans + 1, differ + int(np.count_nonzero(counts) > 1)
    if not articles:
        return None
    matrices = np.stack([articles[key] for key in sorted(articles)])
    rng = np.random.default_rng(random_state)
    weights = rng.multinomial(len(articles), np.full(len(articles), 1 / len(articles)), size=resamples)
    low, high = np.quantile(_alpha(np.tensordot(weights, matrices, axes=1)), [0.025, 0.975])
    return Agreement(float(_alpha(matrices.sum(0))), float(low), float(high), spans, int(differ))


def _opinions(annotations: Iterable[Annotation]) -> list[Annotation]:
    return [row for row in annotations if row.annotator != ADJUDICATED]


def _alpha(coincidences: np.ndarray) -> np.ndarray:
    totals = coincidences.sum(-1)
    n = totals.sum(-1)
    observed = n - np.trace(coincidences, axis1=-2, axis2=-1)
    expected = (n**2 - (totals**2).sum(-1)) / (n - 1)
    # One label only, and no disagreement: agreement is complete.
    return 1 - np.divide(observed, expected, out=np.zeros_like(observed), where=expected > 0)


def compare_annotators(annotations: Iterable[Annotation], label_names: Sequence[str]) -> list[Pair]:
    """Return each two annotators who share a sentence, those who share most first, with Cohen's kappa (1960)."""
    from sklearn.metrics import cohen_kappa_score, confusion_matrix

    shared: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for rows in group_by_span(_opinions(annotations)).values():
        for first, second in combinations(sorted(rows, key=lambda row: row.annotator), 2):
            shared[first.annotator, second.annotator].append((first.label, second.label))
    pairs = []
    for names, labels in shared.items():
        both = list(zip(*labels, strict=True))
        # Where both know one label alone, kappa is 0 / 0; they agree.
        kappa = float(cohen_kappa_score(*both)) if len({*both[0], *both[1]}) > 1 else 1.0
        pairs.append(Pair(*names, confusion_matrix(*both, labels=label_names), kappa))
    return sorted(pairs, key=lambda pair: (-pair.matrix.sum(), pair.first, pair.second))


def measure_by_label(
    annotations: Sequence[Annotation], label_names: Sequence[str], *, random_state: int = 0
) -> dict[str, Agreement]:
    """Measure agreement on each label against all others; empty if nothing was annotated twice."""
    groups = {
        name: [replace(row, label=name if row.label == name else "") for row in annotations] for name in label_names
    }
    return _measure(groups, (*label_names, ""), random_state)


def measure_by(
    key: Callable[[Annotation], str], annotations: Iterable[Annotation], names: Sequence[str], *, random_state: int = 0
) -> dict[str, Agreement]:
    """Measure agreement within each value of a key, say the month; without what nobody annotated twice."""
    groups: dict[str, list[Annotation]] = defaultdict(list)
    for row in annotations:
        groups[key(row)].append(row)
    return _measure({name: groups[name] for name in sorted(groups)}, names, random_state)


def _measure(groups: Mapping[str, list[Annotation]], names: Sequence[str], state: int) -> dict[str, Agreement]:
    measured = {name: measure_agreement(rows, names, random_state=state) for name, rows in groups.items()}
    return {name: agreement for name, agreement in measured.items() if agreement}
