"""Files on the disk: opened, counted, unpacked, and read by the format that their name says."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar
from zipfile import BadZipFile, ZipFile

from pipeline.data.formats import ARCHIVE, COMPRESSED, TABLES, Format, Reader, find_format
from pipeline.data.formats.rows import Reject, Row
from pipeline.errors import InputError, raise_problems

T = TypeVar("T")


class ByteCounter:
    """Opens files and counts the bytes that are read from them: how far a long reading is."""

    read = 0

    def open(self, file: Path) -> IO[bytes]:
        """Open a file whose bytes count."""
        return io.BufferedReader(_Counted(file, self), 1 << 16)


class _Counted(io.FileIO):
    def __init__(self, file: Path, counter: ByteCounter) -> None:
        super().__init__(file)
        self._counter, self._own = counter, 0

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer) or 0
        self._own += count
        self._counter.read += count
        return count

    def seek(self, position: int, whence: int = 0, /) -> int:
        if position == whence == 0:  # what is read again counts once
            self._counter.read -= self._own
            self._own = 0
        return super().seek(position, whence)


@dataclass(frozen=True)
class Content:
    """A file, or one that lies in an archive: its name and place, its format if that is known, and what it holds."""

    name: str
    where: str
    form: Format | None
    rows: Iterator[Row | Reject]

    def with_columns(self, needed: Sequence[str]) -> Iterator[Row | Reject]:
        """Yield the rows; a table that lacks a column that is needed is one reject, which names those it has."""
        first = next(self.rows, None)
        if isinstance(first, Row) and self.form and self.form.same_columns:
            if missing := [name for name in needed if name not in first.fields]:
                what = f"no `{missing[0]}`; its columns are {', '.join(first.fields)}"
                yield Reject(self.where, f"{what}; expected {', '.join(sorted(needed))}")
                return
        if first:
            yield first
            yield from self.rows


def read_rows(file: Path, needed: Sequence[str] = (), counter: ByteCounter | None = None) -> Iterator[Row | Reject]:
    """Read the rows of a table, or of those in an archive; a table that lacks a column `needed` is one reject."""
    if not file.name.lower().endswith(ARCHIVE) and not is_table(file.name):
        raise InputError(file, "unknown kind of file", expected=", ".join((*TABLES, ARCHIVE)))
    for content in read_file(file, file.name, counter):
        if content.form and content.form.is_table:
            yield from content.with_columns(needed)
        else:
            yield Reject(content.where, f"is no table; expected {', '.join(TABLES)}")


def check_rows(rows: Iterable[Row | Reject], check: Callable[[Row], T]) -> list[T]:
    """Return what `check` makes of each row; InputErrors lists all rows that cannot be read or that it refuses."""
    checked, problems = [], []
    for row in rows:
        try:
            if isinstance(row, Reject):
                raise InputError(row.where, row.why)
            checked.append(check(row))
        except InputError as error:
            problems.append(error)
    raise_problems(problems)
    return checked


def is_table(name: str) -> bool:
    """Say whether the rows of a file of this name are articles or sentences."""
    form = find_format(name)
    return form is not None and form.is_table


def read_file(file: Path, name: str, counter: ByteCounter | None = None) -> Iterator[Content]:
    """Yield what a file holds, compressed or not, or each file of an archive, hidden ones apart.

    What cannot be read is a reject, and what came before it is kept.
    """
    with (counter or ByteCounter()).open(file) as stream:
        if not name.lower().endswith(ARCHIVE):
            yield _content(lambda: stream, name, str(file))
            return
        try:
            archive = ZipFile(stream)
        except BadZipFile as error:
            yield Content(
                name, str(file), find_format(TABLES[0]), iter([Reject(str(file), f"is no archive ({error})")])
            )
            return
        for member in archive.infolist():
            parts = member.filename.split("/")
            if not member.is_dir() and not any(part.startswith((".", "__MACOSX")) for part in parts):
                where = f"{file}/{member.filename}"
                yield _content(partial(archive.open, member), f"{name}/{member.filename}", where)


def _content(opened: Callable[[], IO[bytes]], name: str, where: str) -> Content:
    form = find_format(name)
    is_packed = name.lower().endswith(COMPRESSED)
    return Content(name, where, form, _guarded(opened, is_packed, form.read, where) if form else iter(()))


def _guarded(opened: Callable[[], IO[bytes]], is_packed: bool, read: Reader, where: str) -> Iterator[Row | Reject]:
    """Yield rows, each checked to be text; whatever a parser of other people's files trips on is a reject."""
    try:
        unpacked: Any = gzip.open(opened()) if is_packed else nullcontext(opened())
        with unpacked as content:
            yield from map(check_text, read(content, where))
    except ValueError as error:
        yield Reject(where, str(error))
    except Exception as error:
        why = getattr(error, "strerror", None) or f"cannot be read to its end ({error or type(error).__name__})"
        yield Reject(where, " ".join(str(why).split()))


def check_text(row: Row | Reject) -> Row | Reject:
    """Return a row as it is if all its cells can be written as UTF-8, else a reject."""
    try:
        if isinstance(row, Row):
            for value in row.fields.values():
                if isinstance(value, str) and not value.isascii():
                    value.encode()
    except UnicodeEncodeError as error:
        broken = "\udc80" <= error.object[error.start] <= "\udcff"
        why = "bytes that are no UTF-8" if broken else "half of a surrogate pair, which is no character"
        return Reject(row.where, f"holds {why}")
    return row
