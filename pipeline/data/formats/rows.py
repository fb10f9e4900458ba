"""What every format is read into: rows, and rejects for what cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Any
from zipfile import ZipFile

# One article, one page or one line of a table is never this long; a broken file may be.
MOST_BYTES = 20_000_000
MOST_UNPACKED = 2_000_000_000  # bytes
MOST_RATIO = 500  # bytes that one packed byte may become: text becomes ten or twenty, a bomb a thousand


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


def check_size(stream: IO[bytes]) -> None:
    """Raise ValueError for an archive that would fill the memory; the stream stands at its beginning again."""
    with ZipFile(stream) as archive:
        packed, unpacked = (
            sum(getattr(m, name) for m in archive.infolist()) for name in ("compress_size", "file_size")
        )
    if unpacked > MOST_UNPACKED or unpacked > 10_000_000 and unpacked > MOST_RATIO * packed:
        raise ValueError(f"would unpack to {unpacked:,} bytes")
    stream.seek(0)
