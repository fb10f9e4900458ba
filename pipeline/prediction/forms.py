"""Rows as bytes of a file: jsonl, csv, parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

SUFFIXES = (".jsonl", ".csv", ".parquet")


def header(name: str, columns: Sequence[str]) -> bytes:
    """Return what stands before the first row of a file of this name."""
    return _csv([], columns, head=True) if name.endswith(".csv") else b""


def encode(rows: Iterable[dict[str, Any]], name: str, columns: Sequence[str]) -> bytes:
    """Return rows as a file of this name holds them; for parquet, as JSON lines that `to_parquet` takes."""
    if name.endswith(".csv"):
        return _csv(rows, columns)
    # A file name may hold bytes that are no UTF-8; the reject that names it must still be written.
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return lines.encode("utf-8", "backslashreplace")


def _csv(rows: Iterable[dict[str, Any]], columns: Sequence[str], head: bool = False) -> bytes:
    text = io.StringIO(newline="")
    # Lines end as RFC 4180 has it: with "\n" alone, the writer leaves a "\r" in a text unquoted.
    writer = csv.DictWriter(text, columns, lineterminator="\r\n")
    if head:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def schema(columns: Sequence[str]) -> Any:
    """Return the Arrow schema of rows."""
    import pyarrow as pa

    kinds = {"sentence_index": pa.int64(), "start": pa.int64(), "end": pa.int64(), "confidence": pa.float64()}
    return pa.schema(
        [(name, kinds.get(name, pa.float64() if name.startswith("p_") else pa.string())) for name in columns]
    )


def to_parquet(lines: Path, target: Path, columns: Sequence[str], size: int) -> None:
    """Write JSON lines as parquet, `size` rows a group."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    kinds = schema(columns)
    with ParquetWriter(target, kinds) as writer, lines.open("rb") as stream:
        for group in _groups(stream, size):
            writer.write_table(pa.Table.from_pylist(group, schema=kinds))


def _groups(stream: Iterable[bytes], size: int) -> Iterator[list[dict[str, Any]]]:
    rows = (json.loads(line) for line in stream)
    while group := list(islice(rows, size)):
        yield group
