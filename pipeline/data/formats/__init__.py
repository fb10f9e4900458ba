"""The formats that articles and tables come in: a file here reads one, a line in FORMATS makes it known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Protocol

from pipeline.data.formats import delimited, jsonl, markdown, page, parquet, text, word, workbook
from pipeline.data.formats.rows import Reject, Row


class Reader(Protocol):
    """Reads what a stream holds, one row at a time."""

    def __call__(self, stream: IO[bytes], where: str) -> Iterator[Row | Reject]:
        """Yield rows and rejects, whose places begin with `where`; ValueError says why nothing can be read."""


@dataclass(frozen=True)
class Format:
    """The suffixes of a kind of file, and how it is read."""

    suffixes: tuple[str, ...]
    read: Reader
    is_table: bool = True  # each row is an article; else the file is one, and has its name
    same_columns: bool = True  # what one row lacks, all lack


FORMATS = (
    Format((".txt",), text.read, is_table=False),
    Format((".html", ".htm"), page.read, is_table=False),
    Format((".md",), markdown.read, is_table=False),
    Format((".docx",), word.read, is_table=False),
    Format((".jsonl",), jsonl.read, same_columns=False),
    Format((".csv",), delimited.read),
    Format((".tsv",), partial(delimited.read, delimiters="\t")),
    Format((".xlsx",), workbook.read),
    Format((".parquet",), parquet.read),
)
COMPRESSED, ARCHIVE = ".gz", ".zip"  # the first may stand behind each suffix; the second holds any of these files
SUFFIXES = tuple(suffix for form in FORMATS for suffix in form.suffixes)
TABLES = tuple(suffix for form in FORMATS if form.is_table for suffix in form.suffixes)


def find_format(name: str) -> Format | None:
    """Return the format that a file's name says, in capitals or not, compressed or not."""
    name = name.lower().removesuffix(COMPRESSED)
    return next((form for form in FORMATS if name.endswith(form.suffixes)), None)
