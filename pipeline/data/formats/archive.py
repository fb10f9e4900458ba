"""Files that are archives of others: how much is in them."""

from __future__ import annotations

from typing import IO
from zipfile import ZipFile

MOST_UNPACKED = 2_000_000_000  # bytes
MOST_RATIO = 500  # bytes that one packed byte may become: text becomes ten or twenty, a bomb a thousand


def check_size(stream: IO[bytes]) -> None:
    """Raise ValueError for an archive that would fill the memory; the stream stands at its beginning again."""
    with ZipFile(stream) as archive:
        packed, unpacked = (
            sum(getattr(m, name) for m in archive.infolist()) for name in ("compress_size", "file_size")
        )
    if unpacked > MOST_UNPACKED or unpacked > 10_000_000 and unpacked > MOST_RATIO * packed:
        raise ValueError(f"would unpack to {unpacked:,} bytes")
    stream.seek(0)
