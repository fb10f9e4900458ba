"""Where results are shown, and how a table looks."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

# Piped tables are as wide as they need to be; only a terminal has an edge.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)


def table(*columns: str, title: str = "") -> Table:
    """Build a table whose first column is words and whose others are numbers."""
    built = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for position, column in enumerate(columns):
        built.add_column(column, justify="right" if position else "left", no_wrap=True)
    return built
