"""Plain text: a file is one article."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from pipeline.data.formats.encoding import decode
from pipeline.data.formats.rows import Reject, Row, read_document


def read(stream: IO[bytes], where: str) -> Iterator[Row | Reject]:
    """Read the text as it stands."""
    yield Row(where, {"text": decode(read_document(stream))})
