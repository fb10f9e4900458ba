"""Labels of ours for texts of theirs: each names a public file and a place in it, and the sha1 of what stands there."""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.data.formats.rows import Row
from pipeline.data.tables import check_rows, read_rows
from pipeline.errors import InputError, InputErrors

KEPT = ("id", "article", "source", "outlet", "label")
FIELDS = (*KEPT, "repo", "commit", "path", "start", "length", "sha1")


@dataclass
class FetchedTexts:
    """What came of fetching: sentences that were checked, and what is missing and why."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    missing: Counter[str] = field(default_factory=Counter)  # why -> sentences
    vanished: list[str] = field(default_factory=list)  # files that are gone, by name
    failed: list[str] = field(default_factory=list)  # files that another try may bring, with the reason
    files: int = 0  # that were asked for

    @property
    def sources(self) -> Counter[str]:
        """Sentences by source."""
        return Counter(row["source"] for row in self.rows)

    def describe(self) -> Iterator[str]:
        """Yield lines for people: what is missing, then what is there."""
        names = [*self.vanished, *self.failed]
        yield from (f"missing: {name}" for name in names[: InputErrors.MOST])
        if more := names[InputErrors.MOST :]:
            yield f"missing: {len(more)} more files"
        yield from (f"{count} sentences left out: {why}" for why, count in self.missing.most_common())
        counts = ", ".join(f"{count} {name}" for name, count in self.sources.most_common())
        yield f"{len(self.rows)} sentences of real text ({counts})"


def read_external(folder: Path, label_names: Sequence[str]) -> list[dict[str, Any]]:
    """Read the labels that name their text by place; InputError lists broken rows."""
    rows: dict[str, dict[str, Any]] = {}

    def check(row: Row) -> None:
        if missing := [name for name in FIELDS if name not in row.fields]:
            raise InputError(row.where, f"no {', '.join(missing)}", expected=", ".join(FIELDS))
        if row.fields["label"] not in label_names:
            raise InputError(row.where, "unknown label", expected=", ".join(label_names))
        if rows.setdefault(row.fields["id"], row.fields) is not row.fields:
            raise InputError(row.where, f"duplicate id {row.fields['id']!r}")

    check_rows(chain.from_iterable(map(read_rows, sorted(folder.glob("*.jsonl")))), check)
    if not rows:
        raise InputError(folder, "holds no labels", expected="*.jsonl with locators, see its README.md")
    return list(rows.values())


def read_split(folder: Path) -> dict[str, str]:
    """Return the part of each external document: train, validation or test."""
    rows = read_rows(folder / "split.csv", ("article", "split"))
    return dict(check_rows(rows, lambda row: (row.fields["article"], row.fields["split"])))


def normalize(content: str, path: str = "") -> str:
    """Return the text that locators count in: an article's field, or a page without its tags; in single spaces."""
    if path.endswith(".json"):
        content = json.loads(content)["content_original"]
    elif path.endswith(".md"):
        content = html.unescape(re.sub(r"<[^>]+>", " ", content))
    return " ".join(content.split())


def match_file(content: bytes, path: str, rows: Sequence[dict[str, Any]], texts: FetchedTexts) -> bool:
    """Add the sentences of one file that are as they were labelled; say whether there is one."""
    try:
        text = normalize(content.decode("utf-8"), path)
    except (ValueError, KeyError, TypeError):
        texts.missing["file in another form"] += len(rows)
        return False
    return match(text, rows, texts)


def match(text: str, rows: Sequence[dict[str, Any]], texts: FetchedTexts) -> bool:
    """Add the sentences at their places in a normalized text; say whether one is as it was labelled."""
    before = len(texts.rows)
    for row in rows:
        sentence = text[row["start"] : row["start"] + row["length"]]
        if len(sentence) != row["length"]:
            texts.missing["locator outside the file"] += 1
        else:
            take(row, sentence, texts)
    return len(texts.rows) > before


def take(row: dict[str, Any], sentence: str, texts: FetchedTexts) -> None:
    """Add a sentence if it is the one that was labelled."""
    if hashlib.sha1(sentence.encode(), usedforsecurity=False).hexdigest() != row["sha1"]:
        texts.missing["sha1 does not match"] += 1
    else:
        texts.rows.append({name: row[name] for name in KEPT} | {"text": sentence})
