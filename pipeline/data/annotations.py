"""Annotations of sentences: read and check them, adjudicate several annotators."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

from pipeline.data.formats.rows import Row
from pipeline.data.tables import check_rows, read_rows
from pipeline.errors import InputError, raise_problems

# The annotator whose word ends a disagreement, and its name in files of version 0.1.
ADJUDICATED, FORMERLY = "adjudicated", "settled"
FIELDS = {"article_id": str, "start": int, "end": int, "text": str, "label": str, "annotator": str}
# What a row may say beside the annotation itself.
OPTIONAL = ("codebook", "time", "note", "sampling")
RANDOM = "random"  # the sampling of rows that were drawn blindly


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
    """Read every `*.jsonl` of a folder, or one such file; InputError lists all broken rows with file and line."""
    files = [folder] if folder.is_file() else sorted(folder.glob("*.jsonl"))
    if not files:
        raise InputError(folder, "holds no labels", expected="*.jsonl", then="see labels/README.md")
    first: dict[tuple[object, ...], Annotation] = {}

    def check(row: Row) -> Annotation:
        annotation = _annotation(row, label_names)
        earlier = first.setdefault((*annotation.span, annotation.annotator), annotation)
        if earlier is not annotation:
            what = f"{annotation.annotator} annotated this span already at {earlier.where}"
            raise InputError(row.where, what, then="remove one of the two lines")
        return annotation

    return check_rows(chain.from_iterable(map(read_rows, files)), check)


def codebook_version(folder: Path) -> str:
    """Return the version that the heading of `CODEBOOK.md` names, empty where there is none."""
    try:
        first, _, _ = (folder / "CODEBOOK.md").read_text(encoding="utf-8").partition("\n")
    except OSError:
        return ""
    version = re.search(r"version (\d+(?:\.\d+)*)", first)
    return version[1] if version else ""


def _annotation(row: Row, label_names: Sequence[str]) -> Annotation:
    if missing := [name for name in FIELDS if name not in row.fields]:
        raise InputError(row.where, f"no field {missing[0]!r}", expected=", ".join(FIELDS))
    fields = {name: row.fields[name] for name in FIELDS}
    fields |= {name: row.fields[name] for name in OPTIONAL if row.fields.get(name) is not None}
    for name, value in fields.items():
        kind = FIELDS.get(name, str)
        if type(value) is not kind:
            raise InputError(row.where, f"`{name}` is {value!r}", expected=f"a value of type {kind.__name__}")
    if fields["label"] not in label_names:
        raise InputError(row.where, f"unknown label {fields['label']!r}", expected=", ".join(label_names))
    if fields["annotator"] == FORMERLY:
        fields["annotator"] = ADJUDICATED
    return Annotation(**fields, where=row.where)


def check_spans(annotations: Iterable[Annotation], texts: dict[str, str]) -> None:
    """Check that every span lies in a known article and slices to the text that was annotated."""
    problems = []
    for row in annotations:
        article = texts.get(row.article_id)
        if article is None:
            problems.append(f"{row.where}: no article {row.article_id!r}; add it to the seeds or remove the row")
        elif article[row.start : row.end] != row.text or not 0 <= row.start < row.end <= len(article):
            there = article[row.start : row.end][:40] if 0 <= row.start < len(article) else ""
            problems.append(
                f"{row.where}: span {row.start}:{row.end} of {row.article_id} is {there!r}; "
                f"expected {row.text[:40]!r}; label the article's present text"
            )
    raise_problems(problems)


def find_overlaps(annotations: Iterable[Annotation]) -> list[tuple[Annotation, Annotation]]:
    """Return annotations of different spans that overlap, each two in reading order; the last one of a span speaks."""
    spans = {row.span: row for row in annotations}
    in_order = [spans[span] for span in sorted(spans)]
    return [(a, b) for a, b in pairwise(in_order) if a.article_id == b.article_id and b.start < a.end]


def group_by_span(annotations: Iterable[Annotation]) -> defaultdict[tuple[str, int, int], list[Annotation]]:
    """Gather what annotators said of each span, in the order of the rows."""
    groups: defaultdict[tuple[str, int, int], list[Annotation]] = defaultdict(list)
    for row in annotations:
        groups[row.span].append(row)
    return groups


def decide(rows: Iterable[Annotation]) -> str | None:
    """Return the label that counts for one span: the adjudicated one, else what most say; None if evenly split."""
    rows = list(rows)
    adjudicated = [row.label for row in rows if row.annotator == ADJUDICATED]
    ranked = Counter(adjudicated or [row.label for row in rows]).most_common(2)
    return None if not ranked or len(ranked) == 2 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def adjudicate(annotations: Iterable[Annotation]) -> dict[tuple[str, int, int], str]:
    """Give each span one label; InputError lists the spans on which annotators are evenly split."""
    labels, problems = {}, []
    for span, rows in group_by_span(annotations).items():
        label = decide(rows)
        if label is None:
            said = ", ".join(f"{row.annotator} says {row.label}" for row in rows)
            problems.append(f"{rows[0].where}: {said}; decide with `stance label adjudicate`")
        else:
            labels[span] = label
    raise_problems(problems)
    return labels
