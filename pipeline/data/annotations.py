"""Annotations of sentences: read and check them, adjudicate several annotators, measure agreement."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.errors import InputError, raise_problems

# The annotator whose word ends a disagreement, and its name in files of version 0.1.
ADJUDICATED, FORMERLY = "adjudicated", "settled"
# What a row may say beside the annotation itself.
OPTIONAL = ("codebook", "time", "note", "sampling")
RANDOM = "random"  # the sampling of rows that were drawn blindly


def probability_column(label: str) -> str:
    """Return the column of a label's probability: `p_` and the label, its hyphens and blanks as underscores."""
    return "p_" + label.replace("-", "_").replace(" ", "_")


@dataclass(frozen=True)
class Annotation:
    """One annotator's label of one span of an article."""

    article_id: str
    start: int
    end: int
    text: str
    label: str
    annotator: str
    where: str  # file:line
    codebook: str = ""  # the version that was read
    time: str = ""  # of the annotation, ISO 8601 in UTC
    note: str = ""  # why
    sampling: str = ""  # how the sentence was chosen; "random" rows estimate shares and scores

    @property
    def span(self) -> tuple[str, int, int]:
        """What the annotation is about: article, start, end."""
        return self.article_id, self.start, self.end


def read_labels(folder: Path, label_names: Sequence[str]) -> list[Annotation]:
    """Read every `*.jsonl` of a folder; InputError lists all broken rows with file and line."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise InputError(folder, "holds no labels", expected="*.jsonl", then="see labels/README.md")
    annotations: list[Annotation] = []
    problems: list[str] = []
    for file in files:
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            if line.strip():
                try:
                    annotations.append(_annotation(line, f"{file}:{number}", label_names))
                except InputError as error:
                    problems.append(str(error))
    first: dict[tuple[object, ...], Annotation] = {}
    for row in annotations:
        earlier = first.setdefault((*row.span, row.annotator), row)
        if earlier is not row:
            problems.append(f"{row.where}: {row.annotator} annotated this span already at {earlier.where}")
    raise_problems(problems)
    return annotations


def _annotation(line: bytes, where: str, label_names: Sequence[str]) -> Annotation:
    try:
        row = json.loads(line.decode("utf-8"))
        fields = {name: row[name] for name in ("article_id", "start", "end", "text", "label", "annotator")}
    except UnicodeDecodeError as error:
        raise InputError(where, f"broken UTF-8 at byte {error.start}") from None
    except ValueError as error:
        raise InputError(where, f"is no JSON ({error})") from None
    except (KeyError, TypeError) as error:
        raise InputError(
            where, f"no field {error}", expected="article_id, start, end, text, label, annotator"
        ) from None
    if fields["label"] not in label_names:
        raise InputError(where, f"unknown label {fields['label']!r}", expected=", ".join(label_names))
    for name, kind in (("article_id", str), ("start", int), ("end", int), ("text", str), ("annotator", str)):
        if type(fields[name]) is not kind:
            raise InputError(where, f"`{name}` is {fields[name]!r}", expected=f"a value of type {kind.__name__}")
    extra = {name: row[name] for name in OPTIONAL if row.get(name) is not None}
    for name, value in extra.items():
        if not isinstance(value, str):
            raise InputError(where, f"`{name}` is {value!r}", expected="a text")
    if fields["annotator"] == FORMERLY:
        fields["annotator"] = ADJUDICATED
    return Annotation(**fields, where=where, **extra)


def check_spans(annotations: Iterable[Annotation], texts: dict[str, str]) -> None:
    """Check that every span lies in a known article and slices to the text that was annotated."""
    problems = []
    for row in annotations:
        article = texts.get(row.article_id)
        if article is None:
            problems.append(f"{row.where}: no article {row.article_id!r}; add it to the seeds or remove the row")
        elif article[row.start : row.end] != row.text or not 0 <= row.start < row.end <= len(article):
            found = article[row.start : row.end][:40] if 0 <= row.start < len(article) else ""
            problems.append(
                f"{row.where}: span {row.start}:{row.end} of {row.article_id} is {found!r}; "
                f"expected {row.text[:40]!r}; label the article's present text"
            )
    raise_problems(problems)


def adjudicate(annotations: Iterable[Annotation]) -> dict[tuple[str, int, int], str]:
    """Give each span one label: the adjudicated label, else what most annotators said.

    InputError lists the spans on which annotators are evenly split.
    """
    votes: dict[tuple[str, int, int], list[Annotation]] = defaultdict(list)
    for row in annotations:
        votes[row.span].append(row)
    result, problems = {}, []
    for span, rows in votes.items():
        adjudicated = [row.label for row in rows if row.annotator == ADJUDICATED]
        ranked = Counter(adjudicated or [row.label for row in rows]).most_common(2)
        if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
            said = ", ".join(f"{row.annotator} says {row.label}" for row in rows)
            problems.append(f"{rows[0].where}: {said}; decide with `stance label adjudicate`")
        result[span] = ranked[0][0]
    raise_problems(problems)
    return result


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's alpha with a 95 % interval, over the spans that have several annotators."""

    alpha: float
    low: float
    high: float
    spans: int
    differ: int


def agreement(
    annotations: Iterable[Annotation],
    label_names: Sequence[str],
    *,
    resamples: int = 1000,
    random_state: int = 0,
) -> Agreement | None:
    """Measure agreement before adjudication: nominal alpha, bootstrap over articles.

    Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability". None if nothing was annotated twice.
    """
    counts: dict[tuple[str, int, int], np.ndarray] = defaultdict(lambda: np.zeros(len(label_names)))
    for row in annotations:
        if row.annotator != ADJUDICATED:
            counts[row.span][label_names.index(row.label)] += 1
    counts = {span: votes for span, votes in counts.items() if votes.sum() > 1}
    if not counts:
        return None
    # The coincidence matrix is a sum over spans, so an article is one matrix and a resample one sum.
    articles = {name: i for i, name in enumerate(sorted({span[0] for span in counts}))}
    matrices = np.zeros((len(articles), len(label_names), len(label_names)))
    for span, votes in counts.items():
        pairs = np.outer(votes, votes) - np.diag(votes)
        matrices[articles[span[0]]] += pairs / (votes.sum() - 1)
    rng = np.random.default_rng(random_state)
    weights = rng.multinomial(len(articles), np.full(len(articles), 1 / len(articles)), size=resamples)
    draws = _alpha(np.tensordot(weights, matrices, axes=1))
    low, high = np.quantile(draws, [0.025, 0.975])
    differ = sum(int(np.count_nonzero(votes) > 1) for votes in counts.values())
    return Agreement(float(_alpha(matrices.sum(0))), float(low), float(high), len(counts), differ)


def _alpha(coincidences: np.ndarray) -> np.ndarray:
    totals = coincidences.sum(-1)
    n = totals.sum(-1)
    observed = n - np.trace(coincidences, axis1=-2, axis2=-1)
    expected = (n**2 - (totals**2).sum(-1)) / (n - 1)
    # One label only, and no disagreement: agreement is complete.
    return 1 - np.divide(observed, expected, out=np.zeros_like(observed), where=expected > 0)


@dataclass(frozen=True)
class Pair:
    """Two annotators on the sentences that both read: rows are the first one's labels, columns the second's."""

    first: str
    second: str
    matrix: np.ndarray  # counts, shape (k, k)

    @property
    def kappa(self) -> float:
        """Cohen's kappa (1960); 1 where both know one label alone."""
        shares = self.matrix / self.matrix.sum()
        chance = float(shares.sum(1) @ shares.sum(0))
        return 1.0 if chance == 1 else (float(np.trace(shares)) - chance) / (1 - chance)


def pairs(annotations: Iterable[Annotation], label_names: Sequence[str]) -> list[Pair]:
    """Return each two annotators who share a sentence, those who share most first."""
    votes: dict[tuple[str, int, int], list[tuple[str, int]]] = defaultdict(list)
    for row in annotations:
        if row.annotator != ADJUDICATED:
            votes[row.span].append((row.annotator, label_names.index(row.label)))
    size = len(label_names)
    matrices: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros((size, size), dtype=np.int64))
    for own in votes.values():
        own.sort()
        for position, (first, mine) in enumerate(own):
            for second, theirs in own[position + 1 :]:
                matrices[first, second][mine, theirs] += 1
    found = [Pair(*names, matrix) for names, matrix in matrices.items()]
    return sorted(found, key=lambda pair: (-pair.matrix.sum(), pair.first, pair.second))


def agreement_by_label(
    annotations: Iterable[Annotation], label_names: Sequence[str], *, random_state: int = 0
) -> dict[str, Agreement | None]:
    """Measure agreement on each label against all others."""
    rows = list(annotations)
    return {
        name: agreement(
            [replace(row, label=name if row.label == name else "") for row in rows],
            (name, ""),
            random_state=random_state,
        )
        for name in label_names
    }


def agreement_by(
    annotations: Iterable[Annotation],
    label_names: Sequence[str],
    key: Callable[[Annotation], str],
    *,
    random_state: int = 0,
) -> dict[str, Agreement]:
    """Measure agreement within each value of a key, say the month; without what nobody annotated twice."""
    groups: dict[str, list[Annotation]] = defaultdict(list)
    for row in annotations:
        groups[key(row)].append(row)
    found = {name: agreement(groups[name], label_names, random_state=random_state) for name in sorted(groups)}
    return {name: value for name, value in found.items() if value}
