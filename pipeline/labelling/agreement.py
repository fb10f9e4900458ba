"""How far annotators agree and where they differ, and all labels as rows to take elsewhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from pipeline.data.annotations import ADJUDICATED, OPTIONAL, RANDOM, Annotation, adjudicate, decide, group_by_span
from pipeline.labelling.project import Project
from pipeline.labelling.rows import make_row
from pipeline.scoring.bootstrap import Interval


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


def conflicts(project: Project, *, every: bool = False) -> list[dict[str, Any]]:
    """Return the sentences on which annotators are evenly split, as rows to decide.

    With `every` also those that a majority decides; never those that are adjudicated.
    """
    rows = []
    for (_, start, end), own in group_by_span(project.annotations).items():
        differ = len({row.label for row in own}) > 1 and all(row.annotator != ADJUDICATED for row in own)
        if differ and (every or decide(own) is None):
            said = ", ".join(f"{row.annotator}: {row.label}" for row in own)
            rows.append(make_row(project.article(own[0]), start, end, votes=said, sampling=own[0].sampling))
    return rows


def annotation_rows(project: Project) -> list[dict[str, Any]]:
    """Return every annotation as a row of a batch: nothing is lost on the way out."""
    names = ("label", "annotator", *OPTIONAL)
    return [
        make_row(project.article(row), row.start, row.end, **{name: getattr(row, name) for name in names})
        for row in project.annotations
    ]


def example_rows(project: Project, *, sampling: str = "", part: str = "") -> list[dict[str, Any]]:
    """Return one adjudicated row a sentence (`id, text, label` and more), as `stance eval --data` reads it.

    Only sentences that were chosen so (`random` ones estimate scores without bias) and only those of a part, if asked.
    InputError lists the sentences on which annotators are evenly split.
    """
    kept = {
        span: rows
        for span, rows in group_by_span(project.annotations).items()
        if part in ("", project.part(span[0])) and (not sampling or any(row.sampling == sampling for row in rows))
    }
    examples = []
    for span, label in adjudicate(row for rows in kept.values() for row in rows).items():
        (key, start, end), said = span, kept[span][0]
        article = project.article(said)
        row = {"id": f"{key}:{start}-{end}", "text": said.text, "label": label, "article": key}
        examples.append(row | {name: value for name in ("outlet", "date") if (value := getattr(article, name))})
    return examples


def estimate_shares(annotations: Sequence[Annotation], label_names: Sequence[str]) -> dict[str, Interval]:
    """Estimate the share of each label from the sentences that were drawn at random, with Wilson's 95 % interval.

    Wilson (1927). Empty where none was. It speaks of what could have been drawn when it was.
    """
    from scipy.stats import binomtest

    drawn = [rows for rows in group_by_span(annotations).values() if any(row.sampling == RANDOM for row in rows)]
    counts = Counter(label for rows in drawn if (label := decide(rows)))
    shares = {}
    for name in label_names if counts else ():
        low, high = binomtest(counts[name], counts.total()).proportion_ci(method="wilson")
        shares[name] = Interval(counts[name] / counts.total(), low, high, "sentences")
    return shares
