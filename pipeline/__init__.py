"""Learn from labelled sentences of news articles what a text argues for, and label new articles.

In a notebook: `load("models/champion").label(["Sanctions must stay.", "Only talks will help."])`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.bundle import Bundle

__version__ = "0.2.0"


def load(folder: Path | str) -> Bundle:
    """Load an exported model; InputError if it is none, or was changed after the export."""
    from pipeline.bundle import load_bundle

    return load_bundle(folder)
