"""Parquet tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from pipeline.data.formats.rows import Reject, Row


def read(stream: IO[bytes], where: str) -> Iterator[Row | Reject]:
    """Read the rows page by page: a row group may be larger than the memory."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        with ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20) as table:
            for batch in table.iter_batches(batch_size=100, use_threads=False):
                for fields in batch.to_pylist():
                    number += 1
                    yield Row(f"{where}:row {number}", fields)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        yield Reject(f"{where}:row {number + 1}", f"the rest is no parquet ({error})")
