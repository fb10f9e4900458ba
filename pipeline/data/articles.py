"""Articles from files people have: documents, tables, folders of them, standard input.

Reading yields articles in order and a `Reject` for each one that cannot be read; it never stops
at a bad one among many, and it holds one article at a time.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from pipeline.data.dates import parse_date
from pipeline.data.formats import ARCHIVE, SUFFIXES, jsonl
from pipeline.data.formats.columns import to_text
from pipeline.data.formats.rows import Reject, Row
from pipeline.data.sentences import find_title
from pipeline.data.tables import ByteCounter, Content, check_text, read_file
from pipeline.errors import InputError

NEEDED = ("text",)


@dataclass(frozen=True)
class Article:
    """An article as stored: spans count characters of `text`."""

    id: str
    text: str
    title: str = ""
    date: str = ""  # ISO 8601: a day, a month or a year; empty where there is none or none that is sure
    outlet: str = ""
    target: str = ""  # what the stance is asked about; for models that know targets
    unclear_date: str = ""  # as it was written, where `date` is empty because of it

    @property
    def key(self) -> str:
        """What may come once: an id, or one id with each target."""
        return f"{self.id}\n{self.target}" if self.target else self.id


@dataclass(frozen=True)
class Source:
    """A file by its name below the folder that was given; standard input is no file."""

    name: str
    file: Path | None


def find_files(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name, file) for a file, or for all files below a folder in the order of their names.

    Hidden files are passed over. A link to a folder is not followed, so a loop cannot arise; like
    a folder that cannot be listed it is yielded itself, and is a reject for who reads it.
    """
    try:
        exists = path.exists()
    except OSError as error:
        raise InputError(path, error.strerror or "cannot be read", expected="a file or folder to read") from None
    if not exists:
        raise InputError(path, "no such file or folder", expected=f"a folder or {', '.join(SUFFIXES)}")
    if not path.is_dir():
        yield path.name, path
        return
    empty = True
    unreadable: list[Path] = []
    for folder, folders, files in os.walk(path, onerror=lambda error: unreadable.append(Path(error.filename))):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files + links):
            if not name.startswith("."):
                empty = False
                file = Path(folder, name)
                yield file.relative_to(path).as_posix(), file
    for file in unreadable:
        empty = False
        yield file.relative_to(path).as_posix(), file
    if empty:
        raise InputError(path, "is an empty folder", expected=f"files {', '.join(SUFFIXES)}")


def find_sources(inputs: Iterable[str | Path], without: Collection[str] = ()) -> Iterator[Source]:
    """Yield what to read, in the order given: files, folders and `-` (JSONL on standard input).

    Files whose real paths are among those in `without` are passed over.
    """
    names = {os.path.basename(path) for path in without}
    for entry in inputs:
        if str(entry) == "-":
            yield Source("-", None)
            continue
        for name, file in find_files(Path(entry)):
            if file.name not in names or os.path.realpath(file) not in without:
                yield Source(name, file)


def read_articles(inputs: Iterable[str | Path]) -> Iterator[Article | Reject]:
    """Read files, folders and `-` in the order given.

    A document is one article whose id is its name; each row of a table is one, with the column `text`, and `id`,
    `title`, `date`, `outlet` where there are such. A row without an id has one made of its text.
    """
    for source in find_sources(inputs):
        yield from read_source(source)


def read_source(source: Source, counter: ByteCounter | None = None) -> Iterator[Article | Reject]:
    """Read the articles of one file or of standard input; the counter counts the bytes of files."""
    file = source.file
    if file is None:
        yield from _articles(map(check_text, jsonl.read(_standard_input(), "standard input")), "standard input")
        return
    try:
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(file).close()
            yield Reject(str(file), "is a link to a folder, which is not followed; name the folder as an input")
        elif not stat.S_ISREG(mode):
            yield Reject(str(file), "is no regular file")
        else:
            for content in read_file(file, source.name, counter):
                yield from _contained(content)
    except OSError as error:
        yield Reject(str(file), error.strerror or "cannot be read")


def _standard_input() -> IO[bytes]:
    # A second door to it: a thread that waits at the first one when the program ends makes Python abort.
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except OSError:
        return sys.stdin.buffer


def _contained(content: Content) -> Iterator[Article | Reject]:
    if content.form is None:
        yield Reject(content.where, f"unknown kind of file; expected {', '.join((*SUFFIXES, ARCHIVE))}")
    elif content.form.is_table:
        yield from _articles(content.with_columns(NEEDED), content.where)
    else:
        for row in content.rows:
            yield _article(
                check_text(Row(row.where, row.fields | {"id": content.name})) if isinstance(row, Row) else row
            )


def _articles(rows: Iterable[Row | Reject], where: str) -> Iterator[Article | Reject]:
    made: Counter[str] = Counter()
    empty = True
    for row in rows:
        empty = False
        article = _article(row)
        if isinstance(article, Article) and not article.id:
            # Named by its text, and by how many rows before it have the same.
            key = hashlib.sha256(article.text.encode()).hexdigest()[:12]
            article = replace(article, id=f"{key}-{made[key]}" if made[key] else key)
            made[key] += 1
        yield article
    if empty:
        yield Reject(where, "holds no row; expected a column text")


def _article(row: Row | Reject) -> Article | Reject:
    if isinstance(row, Reject):
        return row
    text, key = row.fields.get("text"), row.fields.get("id")
    if "text" not in row.fields:
        return Reject(row.where, f"no `text`; its columns are {', '.join(row.fields)}")
    if not isinstance(text, str) or not text.strip():
        empty = not to_text(text).strip()
        return Reject(row.where, "`text` is empty" if empty else f"`text` is no text but {type(text).__name__}")
    if isinstance(key, bool | list | dict):
        return Reject(row.where, f"`id` is no text or number but {type(key).__name__}")
    if "\0" in text:
        return Reject(row.where, "holds NUL characters, so it is no text")
    title, outlet, target = (to_text(row.fields.get(column)) for column in ("title", "outlet", "target"))
    written = to_text(row.fields.get("date"))
    date = parse_date(written)
    known = {"outlet": outlet, "target": target, "date": date, "unclear_date": "" if date else written.strip()}
    return Article(to_text(key) if to_text(key).strip() else "", text, title.strip() or find_title(text), **known)
