"""Tables of texts: the rows of jsonl, csv and parquet files, one at a time, whatever state they are in."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipeline.errors import InputError

TABLES = (".jsonl", ".jsonl.gz", ".csv", ".parquet")
# One article, one page or one line of a table is never this long; a broken file may be.
MOST_BYTES = 20_000_000


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

    def __str__(self) -> str:
        """Write the line that a person reads."""
        return f"{self.where}: {self.why}"


class ByteCounter:
    """Opens files and counts the bytes that are read from them: how far a long reading is."""

    read = 0

    def open(self, file: Path) -> IO[bytes]:
        """Open a file whose bytes count."""
        return io.BufferedReader(_Counted(file, self), 1 << 16)


class _Counted(io.FileIO):
    def __init__(self, file: Path, meter: ByteCounter) -> None:
        super().__init__(file)
        self._meter = meter

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        self._meter.read += count or 0
        return count


def read_rows(file: Path, needed: Sequence[str] = (), meter: ByteCounter | None = None) -> Iterator[Row | Reject]:
    """Read the rows of a `.jsonl`, `.jsonl.gz`, `.csv` or `.parquet` file, with all their columns.

    A csv or parquet file that lacks a column `needed` is one reject.
    """
    suffix, meter = file.name.lower(), meter or ByteCounter()
    if not suffix.endswith(TABLES):
        raise InputError(file, "unknown kind of file", expected=", ".join(TABLES))
    try:
        with meter.open(file) as stream:
            if suffix.endswith(".csv"):
                yield from _read_csv(stream, file, needed)
            elif suffix.endswith(".parquet"):
                yield from _read_parquet(stream, file, needed)
            elif suffix.endswith(".gz"):
                with gzip.open(stream) as unpacked:
                    yield from read_jsonl(unpacked, str(file))
            else:
                yield from read_jsonl(stream, str(file))
    except (OSError, EOFError, zlib.error) as error:
        yield Reject(str(file), f"cannot be read to its end ({getattr(error, 'strerror', None) or error})")


def read_jsonl(stream: IO[bytes] | gzip.GzipFile, source: str) -> Iterator[Row | Reject]:
    """Read a JSON object a line; a line that is none is a reject."""
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


def _lacks(columns: Sequence[str], needed: Sequence[str]) -> str:
    """Say which column is missing, if one is."""
    missing = [name for name in needed if name not in columns]
    return f"no `{missing[0]}`; expected columns {', '.join(sorted(needed))}" if missing else ""


def _read_csv(stream: IO[bytes], file: Path, needed: Sequence[str]) -> Iterator[Row | Reject]:
    csv.field_size_limit(MOST_BYTES)
    with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        # Strict, because a quote that is never closed would swallow all later rows without a word.
        rows = csv.DictReader(_lines(text), strict=True)
        try:
            if rows.fieldnames and (why := _lacks(rows.fieldnames, needed)):
                yield Reject(str(file), why)
                return
            for fields in rows:
                where = f"{file}:{rows.line_num}"
                yield Row(where, fields) if None not in fields else Reject(where, "more columns than the first line")
        except (csv.Error, UnicodeDecodeError) as error:
            yield Reject(f"{file}:{rows.line_num + 1}", f"the rest cannot be read ({error})")


def _lines(stream: IO[str]) -> Iterator[str]:
    while line := stream.readline(MOST_BYTES):
        if len(line) == MOST_BYTES and not line.endswith("\n"):
            raise csv.Error(f"a line is longer than {MOST_BYTES:,} characters")
        yield line


def _read_parquet(stream: IO[bytes], file: Path, needed: Sequence[str]) -> Iterator[Row | Reject]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        # Page by page: a row group may be larger than the memory.
        with ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20) as table:
            if why := _lacks(table.schema_arrow.names, needed):
                yield Reject(str(file), why)
                return
            for batch in table.iter_batches(batch_size=100, use_threads=False):
                for fields in batch.to_pylist():
                    number += 1
                    yield Row(f"{file}:row {number}", fields)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        yield Reject(f"{file}:row {number + 1}", f"the rest is no parquet ({error})")
