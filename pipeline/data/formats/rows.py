"""What every format is read into: rows, and rejects for what cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Any

# One article, one page or one line of a table is never this long; a broken file may be.
MOST_BYTES = 20_000_000


@dataclass(frozen=True)
class Row:
    """One row of a table, or one document: where it stands, and its columns."""

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


def read_document(stream: IO[bytes]) -> bytes:
    """Return the bytes of a file that is one article; ValueError: too many of them."""
    content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"is larger than {MOST_BYTES:,} bytes, so it is no article")
    return content
