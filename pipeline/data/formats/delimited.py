"""CSV and its kin: columns named in the first line, in any common encoding."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import IO

from pipeline.data.formats import rows
from pipeline.data.formats.encoding import find_encoding
from pipeline.data.formats.rows import Reject, Row

SAMPLE = 1 << 20  # bytes that encoding and delimiter are found by
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes a cell that begins so for a formula


def shield_formula(value: object) -> object:
    """Return a cell that no spreadsheet reads as a formula; for tables that people open and nobody reads back."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def read(stream: IO[bytes], where: str, delimiters: str = ",;\t") -> Iterator[Row | Reject]:
    """Read the rows of a table whose delimiter is the one that its first line has most of."""
    csv.field_size_limit(rows.MOST_BYTES)
    sample = stream.read(SAMPLE)
    stream.seek(0)
    encoding = find_encoding(sample)
    header = sample.decode(encoding, "replace").partition("\n")[0]
    with io.TextIOWrapper(stream, encoding=encoding, newline="") as text:
        # Strict, because a quote that is never closed would swallow all later rows without a word.
        table = csv.DictReader(_lines(text), delimiter=max(delimiters, key=header.count), strict=True)
        try:
            names = table.fieldnames = [name.strip() for name in table.fieldnames or ()]
            if twice := [name for name in names if name and names.count(name) > 1]:
                yield Reject(f"{where}:1", f"duplicate column `{twice[0]}`; remove one")
                return
            for fields in table:
                place = f"{where}:{table.line_num}"
                yield Row(place, fields) if None not in fields else Reject(place, "more columns than the first line")
        except (csv.Error, UnicodeDecodeError) as error:
            yield Reject(f"{where}:{table.line_num + 1}", f"the rest cannot be read ({error})")


def _lines(stream: IO[str]) -> Iterator[str]:
    while line := stream.readline(rows.MOST_BYTES):
        if len(line) == rows.MOST_BYTES and not line.endswith("\n"):
            raise csv.Error(f"a line is longer than {rows.MOST_BYTES:,} characters")
        yield line
