"""CSV and its kin: columns named in the first line, in any common encoding."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import IO, Any

from pipeline.data.formats import rows
from pipeline.data.formats.columns import to_rows
from pipeline.data.formats.rows import Reject, Row
from pipeline.data.formats.text import find_encoding

SAMPLE = 1 << 20  # bytes that encoding and delimiter are found by


def read(stream: IO[bytes], where: str, delimiters: str = ",;\t|") -> Iterator[Row | Reject]:
    """Read the rows of a table whose delimiter is the one that its first line has most of.

    A row that is broken is a reject, and reading goes on behind it.
    """
    csv.field_size_limit(rows.MOST_BYTES)
    sample = stream.read(SAMPLE)
    stream.seek(0)
    encoding = find_encoding(sample, mixed=True)
    first = sample.decode(encoding, "replace").partition("\n")[0].strip()
    # Bytes that are none of its characters become halves of surrogate pairs, which no row may hold.
    with io.TextIOWrapper(stream, encoding=encoding, errors="surrogateescape", newline="") as text:
        # Excel names the delimiter in a line of its own.
        if named := re.fullmatch(r"sep=(.)", first):
            first = named[1]
            text.readline()
        delimiter = max(first if named else delimiters, key=re.sub('"[^"]*"', "", first).count)
        yield from to_rows(_records(_lines(text), delimiter, where, before=int(bool(named))))


def _records(lines: Iterator[str], delimiter: str, where: str, before: int) -> Iterator[tuple[str, list[Any] | str]]:
    """Yield where each record ends, and its cells or why it has none."""
    # Strict, because a quote that is never closed would swallow all later rows without a word.
    table = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        found: list[Any] | str | None
        try:
            found = next(table, None)
        except (csv.Error, UnicodeDecodeError) as error:
            # A quote that is never closed, or a line without an end, has taken all that follows.
            ends = re.match("unexpected end|a line is longer", str(error))
            found = f"{'the rest ' if ends else ''}cannot be read ({error})"
        if found is None:
            return
        yield f"{where}:{table.line_num + before}", found


def _lines(stream: IO[str]) -> Iterator[str]:
    while line := stream.readline(rows.MOST_BYTES):
        if len(line) == rows.MOST_BYTES and not line.endswith("\n"):
            raise csv.Error(f"a line is longer than {rows.MOST_BYTES:,} characters")
        yield line
