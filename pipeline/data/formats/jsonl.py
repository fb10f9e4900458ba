"""JSON Lines: an object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO

from pipeline.data.formats import rows
from pipeline.data.formats.rows import Reject, Row


def read(stream: IO[bytes], where: str) -> Iterator[Row | Reject]:
    """Read the object of each line; a line that is none is a reject."""
    number = 0
    while line := stream.readline(rows.MOST_BYTES):
        number += 1
        place = f"{where}:{number}"
        if len(line) == rows.MOST_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(rows.MOST_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield Reject(place, f"is longer than {rows.MOST_BYTES:,} bytes")
        elif line.strip():
            try:
                fields = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                yield Reject(place, f"is no JSON in UTF-8 ({error})")
                continue
            yield Row(place, fields) if isinstance(fields, dict) else Reject(place, "is no JSON object")
