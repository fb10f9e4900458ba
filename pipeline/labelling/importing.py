"""From a filled batch to labels: check every row, then write all of them or none."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from os.path import commonprefix
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.data.annotations import OPTIONAL, Annotation, decide, find_overlaps, group_by_span
from pipeline.data.articles import Article, Row
from pipeline.errors import InputError, raise_problems
from pipeline.labelling.exchange import write_file
from pipeline.labelling.project import Project, locked, read_project
from pipeline.labelling.rows import codebook_version

LABELS, ARTICLES = "imported.jsonl", "imported-articles.jsonl"


@dataclass
class Import:
    """What an import did."""

    added: list[Annotation] = field(default_factory=list)
    articles: list[str] = field(default_factory=list)  # new in the seeds
    known: int = 0  # rows that were there already
    unlabelled: int = 0
    restored: int = 0  # rows whose text or id a spreadsheet had changed
    undecided: int = 0  # sentences on which annotators are evenly split now


def import_batch(
    rows: Sequence[Row],
    config: Config,
    *,
    annotator: str = "",
    articles: Mapping[str, Article] | None = None,
    old_codebook: bool = False,
) -> Import:
    """Check all rows against the project and add them to its labels.

    InputError lists every problem with file and line, and then nothing was written. A row that is
    there already changes nothing, so an import can be repeated.

    Args:
        rows: as read from a file.
        config: says where seeds and labels are.
        annotator: whose annotations these are; a name that a row has itself comes behind it.
        articles: new ones that labels may speak of; those that are needed join the seeds.
        old_codebook: take annotations that were made under another version.

    """
    with locked(config):
        project = read_project(config)
        checker = _Checker(project, articles or {}, config, old_codebook)
        done = Import()
        for row in rows:
            checker.check(row, annotator, done)
        checker.check_together(done)
        raise_problems(checker.problems)
        if done.added:
            new = {row.article_id for row in done.added} - project.articles.keys()
            done.articles = sorted(new)
            # Articles first: one without labels is no harm, a label without its article is.
            if new:
                _append(config.data.seeds / ARTICLES, [_article(checker.articles[key]) for key in done.articles])
            _append(config.data.labels / LABELS, [_stored(row) for row in done.added])
    return done


def _append(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    before = file.read_bytes() if file.exists() else b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    write_file(file, before + "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def _article(article: Article) -> dict[str, str]:
    fields = {name: getattr(article, name) for name in ("id", "text", "title", "date", "outlet")}
    return {name: value for name, value in fields.items() if value}


def _stored(row: Annotation) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in ("article_id", "start", "end", "text", "label", "annotator")}
    return fields | {name: value for name in OPTIONAL if (value := getattr(row, name))}


class _Checker:
    """Every rule for a row, and the problems so far."""

    def __init__(self, project: Project, new: Mapping[str, Article], config: Config, old_codebook: bool) -> None:
        self.problems: list[str] = []
        self._told: set[str] = set()
        self._project, self._labels = project, config.label_names
        changed = [key for key in new if key in project.articles and project.articles[key].text != new[key].text]
        self.problems += [f"{key}: an article in the seeds has this id and another text; rename it" for key in changed]
        self.articles = dict(new) | project.articles
        self._version = codebook_version(config.data.labels)
        self._any_version = old_codebook
        self._known = {(*row.span, row.annotator): row for row in project.annotations}
        self._spelled = {_letters(name): name for name in self._labels}
        self._without_zeros: dict[str, list[str]] = defaultdict(list)
        for key in self.articles:
            self._without_zeros[key.lstrip("0")].append(key)

    def check(self, row: Row, annotator: str, done: Import) -> None:
        """Make an annotation of a row, or note what is wrong with it."""
        fields = {name: str(row.fields.get(name) if row.fields.get(name) is not None else "") for name in row.fields}
        if not fields.get("label", "").strip():
            done.unlabelled += 1
            return
        try:
            found = self._annotation(row.where, fields, annotator, done)
        except InputError as error:
            # What the whole file lacks is said once, with the first row.
            if not (error.what.startswith(("no annotator", "no article")) and error.what in self._told):
                self.problems.append(str(error))
            self._told.add(error.what)
            return
        earlier = self._known.setdefault((*found.span, found.annotator), found)
        if earlier is found:
            done.added.append(found)
        elif earlier.label == found.label:
            done.known += 1
        else:
            self.problems.append(
                f"{row.where}: {found.annotator} says {found.label} here and {earlier.label} at {earlier.where}; "
                f"expected one label; correct one of the two"
            )

    def _annotation(self, where: str, fields: dict[str, str], annotator: str, done: Import) -> Annotation:
        label = self._spelled.get(_letters(fields["label"]))
        if label is None:
            close = get_close_matches(fields["label"].lower(), self._labels, 1)
            then = f"did you mean {close[0]!r}?" if close else ""
            raise InputError(where, f"unknown label {fields['label']!r}", expected=", ".join(self._labels), then=then)
        start, end = (_number(where, name, fields.get(name, "")) for name in ("start", "end"))
        key, restored = self._find(where, fields.get("article_id", ""), start, end, fields.get("text", ""))
        done.restored += restored
        version = fields.get("codebook", "").removesuffix(".0") or self._version
        if version != self._version and not self._any_version:
            then = "read what changed, and label again or import with --old-codebook"
            raise InputError(where, f"was labelled under codebook {version}", expected=self._version, then=then)
        own = fields.get("annotator", "").strip()
        who = f"{annotator}-{own}" if annotator and own and own != annotator else annotator or own
        if not who:
            raise InputError(where, "no annotator", then="name one with --annotator")
        extra = {name: fields.get(name, "") for name in ("time", "note", "sampling")}
        text = self.articles[key].text[start:end]
        return Annotation(key, start, end, text, label, who, where, codebook=version, **extra)

    def _find(self, where: str, key: str, start: int, end: int, text: str) -> tuple[str, bool]:
        """Return the article that a row speaks of, and whether its id or text had to be restored."""
        if not text.strip():
            raise InputError(where, "no text", expected="the sentence that was labelled")
        places = [key] if key in self.articles else self._without_zeros.get(key.lstrip("0"), [])
        slices = {place: self.articles[place].text[start:end] for place in places if 0 <= start < end}
        same = [
            place for place, found in slices.items() if end <= len(self.articles[place].text) and _same(found, text)
        ]
        if len(same) == 1:
            return same[0], same[0] != key or slices[same[0]] != text
        if not places:
            then = "name its file with --articles, or restore the id (a spreadsheet may have changed it)"
            raise InputError(where, f"no article {key!r}", then=then)
        found = slices.get(places[0], "")
        # From shortly before the first difference, which may stand late in a long sentence.
        begin = max(0, len(commonprefix([found, text])) - 20)
        own, told = found[begin:][:40], text[begin:][:40]
        raise InputError(
            where,
            f"span {start}:{end} of {key} is {'...' * (begin > 0)}{own!r}, the row says {told!r}",
            expected="the text as it was suggested",
            then="restore the row's text and span",
        )

    def check_together(self, done: Import) -> None:
        """Check what no row shows alone: overlaps, and labels of the test part that would change."""
        new = {row.span: row for row in done.added}
        both = [*self._project.annotations, *done.added]
        for earlier, later in find_overlaps(both):
            if place := new.get(later.span) or new.get(earlier.span):
                spans = f"{earlier.start}:{earlier.end} and {later.start}:{later.end} of {later.article_id}"
                self.problems.append(f"{place.where}: spans {spans} overlap; expected sentences side by side")
        before, after = group_by_span(self._project.annotations), group_by_span(both)
        noted = {row.span for row in done.added if row.note.strip()}
        for span, row in new.items():
            old, label = decide(before[span]), decide(after[span])
            done.undecided += label is None
            if row.article_id in self._project.test_articles and before[span] and old != label and span not in noted:
                self.problems.append(
                    f"{row.where}: {row.article_id} is in the test part, and its label would change from "
                    f"{old or 'none'} to {label or 'none (evenly split)'}; expected a reason in `note`"
                )


def _letters(label: str) -> str:
    return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFKC", label).strip().lower())


def _number(where: str, name: str, value: str) -> int:
    found = re.fullmatch(r"\s*(\d+)(\.0+)?\s*", value)
    if not found:
        raise InputError(where, f"`{name}` is {value!r}", expected="the number that the batch had")
    return int(found.group(1))


def _same(article: str, row: str) -> bool:
    """Say whether two texts have the same words; quotes, dashes and spaces are a spreadsheet's to change."""
    return article == row or _words(article) in (_words(row), _words(_unmangled(row)))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text))


def _unmangled(text: str) -> str:
    """Undo what comes of reading UTF-8 as Windows-1252: an apostrophe of three letters."""
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text
