"""Parquet tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from pipeline.data.formats.columns import to_rows
from pipeline.data.formats.rows import Reject, Row


def read(stream: IO[bytes], where: str) -> Iterator[Row | Reject]:
    """Read the rows page by page: a row group may be larger than the memory."""
    yield from to_rows(_records(stream, where))


def _records(stream: IO[bytes], where: str) -> Iterator[tuple[str, list[Any] | str]]:
    """Yield the names of the columns, then where each row stands, and its values or why they cannot be had."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        with ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20) as table:
            yield where, list(table.schema_arrow.names)
            for batch in table.iter_batches(batch_size=100, use_threads=False):
                for values in _values(batch):
                    number += 1
                    yield f"{where}:row {number}", values
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        yield f"{where}:row {number + 1}", f"the rest is no parquet ({error})"


def _values(batch: Any) -> Iterator[list[Any] | str]:
    """Yield the values of each row; a date beyond all calendars or a struct with two equal names has none in Python."""
    try:
        columns = [column.to_pylist() for column in batch.columns]
    except Exception:  # of as many kinds as there are types of values
        columns = None
    if columns is not None:
        yield from map(list, zip(*columns, strict=True))
        return
    for row in range(batch.num_rows):
        values = []
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                values.append(column[row].as_py())
            except Exception as error:
                yield f"`{name}` has no value that can be read ({error})"
                break
        else:
            yield values
