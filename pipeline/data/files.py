"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Yield a hidden file beside the one to write; it takes that place once it is written, and goes if that fails.

    Missing folders are made. Several processes may write the same file: the last one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())  # or a power cut could leave an empty file in the place of the old one
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def write_whole_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden folder beside the one to write; it takes that place, and what stood there goes last.

    What a killed try left is put back or cleared. One process at a time may write a folder.
    """
    partial, old = (path.with_name(f".{path.name}.{what}") for what in ("partial", "old"))
    if old.exists() and not path.exists():
        old.rename(path)
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():
            path.rename(old)
        partial.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
