"""Where results are shown, and how a table looks."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDEST = 100  # columns of a table, and fewer on a narrow terminal: what does not fit goes on in the next line
WIDTH = min(shutil.get_terminal_size((WIDEST, 0)).columns, WIDEST)

# What is printed may be the text of others: no markup, no emoji. Lines are never cut, tables alone mind the width.
out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=WIDTH)


def print_table(rows: Iterable[Iterable[object]], *columns: str, title: str = "") -> None:
    """Print a table whose first column is words and whose others are numbers."""
    built = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for position, column in enumerate(columns):
        built.add_column(column, justify="right" if position else "left", overflow="fold")
    for row in rows:
        built.add_row(*(cell if isinstance(cell, Text) else str(cell) for cell in row))
    out.print(built)
