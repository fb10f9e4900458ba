"""Where results are shown, and how a table looks."""

from __future__ import annotations

import shutil

from rich.console import Console
from rich.table import Table

WIDEST = 100  # columns of a table, and fewer on a narrow terminal: what does not fit goes on in the next line
WIDTH = min(shutil.get_terminal_size((WIDEST, 0)).columns, WIDEST)

# What is printed may be the text of others: no markup, no emoji. Lines are never cut, tables alone mind the width.
out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=WIDTH)


def table(*columns: str, title: str = "") -> Table:
    """Build a table whose first column is words and whose others are numbers."""
    built = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for position, column in enumerate(columns):
        built.add_column(column, justify="right" if position else "left", overflow="fold")
    return built
