"""From a filled batch to labels: check every row, then write all of them or none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config import Config
from pipeline.data.annotations import (
    FIELDS,
    OPTIONAL,
    Annotation,
    codebook_version,
    decide,
    find_overlaps,
    group_by_span,
)
from pipeline.data.articles import Article
from pipeline.data.formats.rows import Reject, Row
from pipeline.errors import InputError, raise_problems
from pipeline.labelling.exchange import write_file
from pipeline.labelling.matching import Matcher, Missing, read_number
from pipeline.labelling.project import Project, locked, read_new_articles, read_project

LABELS, ARTICLES = "imported.jsonl", "imported-articles.jsonl"


@dataclass
class Import:
    """What an import did."""

    added: list[Annotation] = field(default_factory=list)
    corrected: list[tuple[Annotation, Annotation]] = field(default_factory=list)  # what stood there, what does now
    articles: list[str] = field(default_factory=list)  # new in the seeds
    rejects: list[Reject] = field(default_factory=list)  # articles that could not be taken
    known: int = 0  # rows that were there already
    unlabelled: int = 0
    restored: int = 0  # rows whose text or id a spreadsheet had changed
    undecided: int = 0  # sentences on which annotators are evenly split now


def import_batch(
    rows: Sequence[Row],
    config: Config,
    *,
    annotator: str = "",
    articles: Iterable[str | Path] = (),
    old_codebook: bool = False,
    correct: bool = False,
) -> Import:
    """Check all rows against the project and add them to its labels.

    InputError lists every problem with file and line, and then nothing was written. A row that is
    there already changes nothing, so an import can be repeated.

    Args:
        rows: as read from a file.
        config: says where seeds and labels are.
        annotator: whose annotations these are; a name that a row has itself comes behind it.
        articles: files and folders of articles that labels may speak of; those that are needed join the seeds.
        old_codebook: take annotations that were made under another version.
        correct: where an annotator has labelled a sentence before, the new label takes the place of the earlier one.

    """
    with locked(config):
        project = read_project(config)
        new, rejects = read_new_articles(articles, project)
        match, version = Matcher(new | project.articles, config.label_names), codebook_version(config.data.labels)
        checker = _Checker(project, match, version, annotator, old_codebook, correct)
        for row in rows:
            checker.check(row)
        checker.check_together()
        if checker.problems:
            # What could not be read may be what a row misses.
            raise_problems([*checker.problems.values(), *map(str, rejects)])
        done = checker.done
        done.rejects = rejects
        needed = {row.article_id for row in done.added}
        joining = [article for key, article in new.items() if key in needed - project.articles.keys()]
        done.articles = [article.id for article in joining]
        # Articles first: one without labels is no harm, a label without its article is.
        _append(config.data.seeds / ARTICLES, [_line(row, "id", "text", "title", "date", "outlet") for row in joining])
        _replace(done.corrected)
        _append(config.data.labels / LABELS, [_line(row, *FIELDS, *OPTIONAL) for row in done.added])
    return done


def _replace(corrected: Iterable[tuple[Annotation, Annotation]]) -> None:
    """Write corrected annotations where the earlier ones stand."""
    lines: dict[Path, list[str]] = {}
    for earlier, row in corrected:
        name, _, number = earlier.where.rpartition(":")
        own = lines.setdefault(Path(name), Path(name).read_text(encoding="utf-8").split("\n"))
        own[int(number) - 1] = _line(row, *FIELDS, *OPTIONAL).rstrip()
    for file, own in lines.items():
        write_file(file, "\n".join(own).encode())


def _append(file: Path, lines: Sequence[str]) -> None:
    if lines:
        before = file.read_bytes() if file.exists() else b""
        write_file(file, before + b"\n" * (before[-1:] not in (b"", b"\n")) + "".join(lines).encode())


def _line(row: Article | Annotation, *names: str) -> str:
    fields = {name: value for name in names if (value := getattr(row, name)) != ""}
    return json.dumps(fields, ensure_ascii=False) + "\n"


@dataclass
class _Checker:
    """Every rule for a row, what has passed so far, and the problems."""

    project: Project
    match: Matcher
    version: str  # of the codebook
    annotator: str
    old_codebook: bool
    correct: bool
    done: Import = field(default_factory=Import)
    problems: dict[str, InputError] = field(default_factory=dict)  # by what is said but once

    def __post_init__(self) -> None:
        self._known = {(*row.span, row.annotator): row for row in self.project.annotations}

    def check(self, row: Row) -> None:
        """Make an annotation of a row, or note what is wrong with it."""
        fields = {name: "" if value is None else str(value) for name, value in row.fields.items()}
        if not fields.get("label", "").strip():
            self.done.unlabelled += 1
            return
        try:
            self._add(self._annotation(row.where, fields), row.where)
        except InputError as error:
            self.problems.setdefault(error.what if isinstance(error, Missing) else str(error), error)

    def _add(self, row: Annotation, where: str) -> None:
        earlier = self._known.setdefault((*row.span, row.annotator), row)
        if earlier is row:
            self.done.added.append(row)
        elif earlier.label == row.label:
            self.done.known += 1
        elif (before := earlier in self.project.annotations) and self.correct:
            self.done.corrected.append((earlier, row))
            self._known[*row.span, row.annotator] = row
        else:
            what = f"{row.annotator} says {row.label} here and {earlier.label} at {earlier.where}"
            again = "the same command with --correct lets the new label take the place of the earlier one"
            raise InputError(where, what, expected="one label", then=again if before else "correct one of the two")

    def _annotation(self, where: str, fields: dict[str, str]) -> Annotation:
        label = self.match.label(where, fields["label"])
        start, end = (read_number(where, name, fields.get(name, "")) for name in ("start", "end"))
        key, text = fields.get("article_id", ""), fields.get("text", "")
        article = self.match.article(where, key, start, end, text)
        self.done.restored += (article.id, article.text[start:end]) != (key, text)
        version = fields.get("codebook", "").removesuffix(".0") or self.version
        if version != self.version and not self.old_codebook:
            then = "read what changed, and label again or import with --old-codebook"
            raise InputError(where, f"was labelled under codebook {version}", expected=self.version, then=then)
        own = fields.get("annotator", "").strip()
        annotator = "-".join(dict.fromkeys(name for name in (self.annotator, own) if name))
        if not annotator:
            raise Missing(where, "no annotator", then="name one with --annotator")
        extra = {name: fields.get(name, "") for name in OPTIONAL} | {"codebook": version}
        return Annotation(article.id, start, end, article.text[start:end], label, annotator, where, **extra)

    def check_together(self) -> None:
        """Check what no row shows alone: overlaps, and labels of the test part that would change."""
        fresh = [*self.done.added, *(row for _, row in self.done.corrected)]
        gone = {earlier.where for earlier, _ in self.done.corrected}
        new = {row.span: row for row in fresh}
        both = [row for row in self.project.annotations if row.where not in gone] + fresh
        for earlier, later in find_overlaps(both):
            if row := new.get(later.span) or new.get(earlier.span):
                spans = f"{earlier.start}:{earlier.end} and {later.start}:{later.end} of {later.article_id}"
                self._refuse(row, f"spans {spans} overlap", expected="sentences side by side")
        before, after = group_by_span(self.project.annotations), group_by_span(both)
        noted = {row.span for row in fresh if row.note.strip()}
        for span, row in new.items():
            old, label = decide(before[span]), decide(after[span])
            self.done.undecided += label is None
            if row.article_id in self.project.test_articles and before[span] and old != label and span not in noted:
                change = f"from {old or 'none'} to {label or 'none (evenly split)'}"
                what = f"{row.article_id} is in the test part, and its label would change {change}"
                self._refuse(row, what, expected="a reason in `note`")

    def _refuse(self, row: Annotation, what: str, expected: str) -> None:
        error = InputError(row.where, what, expected=expected)
        self.problems[str(error)] = error
