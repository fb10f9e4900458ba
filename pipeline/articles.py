"""Articles from files people have: txt, html, jsonl, csv, parquet, folders of them, standard input.

Reading yields articles in order and a `Reject` for each one that cannot be read; it never stops
at a bad one among many, and it holds one article at a time.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipeline.errors import InputError

DOCUMENTS = (".txt", ".html", ".htm")
TABLES = (".jsonl", ".jsonl.gz", ".csv", ".parquet")
SUFFIXES = DOCUMENTS + TABLES
# One article, one page or one line of JSON is never this long; a broken file may be.
MOST_BYTES = 20_000_000


@dataclass(frozen=True)
class Article:
    """An article as stored: spans count characters of `text`."""

    id: str
    text: str
    title: str = ""
    date: str = ""
    outlet: str = ""


@dataclass(frozen=True)
class Row:
    """One row of a table: where it stands, and its columns."""

    where: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Reject:
    """Something that could not be read: where it is, and why."""

    where: str
    why: str


def find_files(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name, file) for a file, or for all files below a folder in the order of their names.

    Hidden files are passed over, and a link to a folder is not followed, so a loop cannot arise.
    """
    if not path.exists():
        raise InputError(path, "no such file or folder", expected=f"a folder or {', '.join(SUFFIXES)}")
    if path.is_file():
        yield path.name, path
        return
    empty = True
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                empty = False
                file = Path(folder, name)
                yield file.relative_to(path).as_posix(), file
    if empty:
        raise InputError(path, "is an empty folder", expected=f"files {', '.join(SUFFIXES)}")


def read_articles(inputs: Iterable[str | Path]) -> Iterator[Article | Reject]:
    """Read files, folders and `-` (JSONL on standard input) in the order given.

    A `.txt` or `.html` file is one article whose id is its name; in the other forms each row is
    one, with the columns `id` and `text`, and `title`, `date`, `outlet` where there are such.
    """
    for entry in inputs:
        if str(entry) == "-":
            yield from _articles(_read_jsonl(sys.stdin.buffer, "standard input"), "standard input")
            continue
        for name, file in find_files(Path(entry)):
            try:
                if name.lower().endswith(TABLES):
                    yield from _articles(read_rows(file), str(file))
                else:
                    yield _read_document(name, file)
            except OSError as error:
                yield Reject(str(file), error.strerror or "cannot be read")


def read_rows(file: Path) -> Iterator[Row | Reject]:
    """Read the rows of a `.jsonl`, `.jsonl.gz`, `.csv` or `.parquet` file, with all their columns."""
    suffix = file.name.lower()
    if not suffix.endswith(TABLES):
        raise InputError(file, "unknown kind of file", expected=", ".join(TABLES))
    try:
        if suffix.endswith(".csv"):
            yield from _read_csv(file)
        elif suffix.endswith(".parquet"):
            yield from _read_parquet(file)
        else:
            opened: Any = gzip.open(file) if suffix.endswith(".gz") else file.open("rb")
            with opened as stream:
                yield from _read_jsonl(stream, str(file))
    except (OSError, EOFError, zlib.error) as error:
        yield Reject(str(file), f"cannot be read to its end ({getattr(error, 'strerror', None) or error})")


def _read_document(name: str, file: Path) -> Article | Reject:
    if not name.lower().endswith(DOCUMENTS):
        return Reject(str(file), f"unknown kind of file; expected {', '.join(SUFFIXES)}")
    if file.stat().st_size > MOST_BYTES:
        return Reject(str(file), f"is larger than {MOST_BYTES:,} bytes, so it is no article")
    try:
        text = decode(file.read_bytes())
    except ValueError as error:
        return Reject(str(file), str(error))
    if name.lower().endswith(".txt"):
        return _article(Row(str(file), {"id": name, "text": text}))
    return _read_html(name, text, str(file))


def decode(content: bytes) -> str:
    """Decode UTF-8 or, where a text holds no UTF-8 at all, Windows-1252 or the encoding that fits it best.

    ValueError: binary content, or UTF-8 that is broken in places (a guess would be wrong there).
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    if b"\0" in content:
        raise ValueError("holds NUL bytes, so it is no text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        partly = any(ord(character) > 127 for character in content.decode("utf-8", "ignore"))
        if partly or error.end == len(content):
            raise ValueError(f"broken UTF-8 at byte {error.start}") from None
    # English prose with a few bytes beyond ASCII: a guess takes its quotes for letters of any alphabet.
    if 4 * sum(byte > 127 for byte in content) < len(content):
        try:
            return content.decode("cp1252")
        except UnicodeDecodeError:
            pass
    from charset_normalizer import from_bytes

    guess = from_bytes(content).best()
    if guess is None:
        raise ValueError("is in no known encoding")
    return str(guess)


def _articles(rows: Iterable[Row | Reject], where: str) -> Iterator[Article | Reject]:
    empty = True
    for row in rows:
        empty = False
        yield _article(row)
    if empty:
        yield Reject(where, "holds no row; expected columns id, text")


def _article(row: Row | Reject) -> Article | Reject:
    """Check one row; anything but text and a usable id is a reject."""
    if isinstance(row, Reject):
        return row
    text, key = row.fields.get("text"), row.fields.get("id")
    if not isinstance(text, str) or not text.strip():
        if "text" not in row.fields:
            return Reject(row.where, "no `text`; expected columns id, text")
        empty = text is None or isinstance(text, str)
        return Reject(row.where, "`text` is empty" if empty else f"`text` is no text but {type(text).__name__}")
    if isinstance(key, bool) or not isinstance(key, str | int) or str(key) == "":
        return Reject(row.where, "no `id`; expected columns id, text")
    if "\0" in text:
        return Reject(row.where, "holds NUL characters, so it is no text")
    known = {name: row.fields.get(name) for name in ("title", "date", "outlet")}
    article = Article(str(key), text, **{name: str(value) for name, value in known.items() if value is not None})
    try:
        "".join((article.id, article.text, article.title, article.date, article.outlet)).encode()
    except UnicodeEncodeError:
        return Reject(row.where, "holds half of a surrogate pair, which is no character")
    return article


def _read_jsonl(stream: IO[bytes], source: str) -> Iterator[Row | Reject]:
    number = 0
    while line := stream.readline(MOST_BYTES):
        number += 1
        where = f"{source}:{number}"
        if len(line) == MOST_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(MOST_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield Reject(where, f"is longer than {MOST_BYTES:,} bytes")
        elif line.strip():
            try:
                fields = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                yield Reject(where, f"is no JSON in UTF-8 ({error})")
                continue
            yield Row(where, fields) if isinstance(fields, dict) else Reject(where, "is no JSON object")


def _read_csv(file: Path) -> Iterator[Row | Reject]:
    csv.field_size_limit(MOST_BYTES)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        # Strict, because a quote that is never closed would swallow all later rows without a word.
        rows = csv.DictReader(stream, strict=True)
        try:
            for fields in rows:
                where = f"{file}:{rows.line_num}"
                yield Row(where, fields) if None not in fields else Reject(where, "more columns than the first line")
        except (csv.Error, UnicodeDecodeError) as error:
            yield Reject(f"{file}:{rows.line_num + 1}", f"the rest cannot be read ({error})")


def _read_parquet(file: Path) -> Iterator[Row | Reject]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        with ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=1000):
                for fields in batch.to_pylist():
                    number += 1
                    yield Row(f"{file}:row {number}", fields)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        yield Reject(f"{file}:row {number + 1}", f"the rest is no parquet ({error})")


def _read_html(name: str, page: str, where: str) -> Article | Reject:
    """Take the article out of a page; its stored text is what trafilatura extracts."""
    from trafilatura import bare_extraction

    try:
        found = bare_extraction(page, with_metadata=True, include_comments=False, include_tables=False)
    except Exception as error:  # a parser of other people's pages: whatever it trips on is a reject
        return Reject(where, f"the page cannot be parsed ({error})")
    if found is None or not (found.text or "").strip():
        return Reject(where, "the page holds no article")
    fields = {"id": name, "text": found.text, "title": found.title, "date": found.date, "outlet": found.sitename}
    return _article(Row(where, fields))
