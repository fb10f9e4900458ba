"""Files on the disk: opened, counted, unpacked, and read by the format that their name says."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

from pipeline.data.formats import COMPRESSED, TABLES, Format, find_format
from pipeline.data.formats.rows import Reject, Row
from pipeline.errors import InputError


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


def read_rows(file: Path, needed: Sequence[str] = (), counter: ByteCounter | None = None) -> Iterator[Row | Reject]:
    """Read the rows of a table with all their columns; a table that lacks a column `needed` is one reject."""
    form = find_format(file.name)
    if form is None or not form.is_table:
        raise InputError(file, "unknown kind of file", expected=", ".join(TABLES))
    return read_file(file, form, needed, counter)


def read_file(
    file: Path, form: Format, needed: Sequence[str] = (), counter: ByteCounter | None = None
) -> Iterator[Row | Reject]:
    """Read a file in a format, compressed or not; what cannot be read is a reject, and what came before it is kept."""
    try:
        with (counter or ByteCounter()).open(file) as stream, _unpack(stream, file) as content:
            rows = form.read(content, str(file))
            first = next(rows, None)
            if isinstance(first, Row) and form.same_columns:
                missing = [name for name in needed if name not in first.fields]
                if missing:
                    yield Reject(str(file), f"no `{missing[0]}`; expected columns {', '.join(sorted(needed))}")
                    return
            if first:
                yield first
                yield from rows
    except ValueError as error:
        yield Reject(str(file), str(error))
    except (OSError, EOFError, zlib.error) as error:
        yield Reject(str(file), getattr(error, "strerror", None) or f"cannot be read to its end ({error})")


def _unpack(stream: IO[bytes], file: Path) -> Any:
    return gzip.open(stream) if file.name.lower().endswith(COMPRESSED) else nullcontext(stream)
