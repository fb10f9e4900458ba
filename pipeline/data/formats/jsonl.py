"""JSON Lines: an object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any

from pydantic_core import from_json

from pipeline.data.formats import rows
from pipeline.data.formats.columns import name_columns
from pipeline.data.formats.rows import Reject, Row

NAME = re.compile(rb'"\s*:')  # what stands behind the name of a field, and now and then in a text


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
            yield _read_line(line, place)


def _read_line(line: bytes, where: str) -> Row | Reject:
    try:
        fields = _parse(line)
    except (ValueError, RecursionError) as error:
        return Reject(where, f"is no JSON in UTF-8 ({error})")
    if not isinstance(fields, dict):
        return Reject(where, "is no JSON object")
    try:
        names = name_columns(written := tuple(fields))
        return Row(where, fields if names == written else dict(zip(names, fields.values(), strict=True)))
    except ValueError as error:
        return Reject(where, str(error))


def _parse(line: bytes) -> Any:
    """Parse JSON in the fast way where no field can stand twice, which it would not notice."""
    try:
        fields = from_json(line)
    except ValueError:
        fields = None
    if isinstance(fields, dict) and len(fields) == len(NAME.findall(line)):
        return fields
    return json.loads(line.decode("utf-8-sig"), object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field stands twice")
    return fields
