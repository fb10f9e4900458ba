"""What both pages share: a template that escapes, tables as CSV, a folder whose files appear whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.data.files import write_whole

PAGE = "index.html"


def render(template: str, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """Return a page; every text that comes from outside is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    place = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    place.filters.update(filters)
    return place.get_template(template).render(**values)


def to_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as CSV under the columns of the first; empty without rows."""
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files by their names, each of them whole, and return the page."""
    for name, content in files.items():
        with write_whole(folder / name) as partial:
            partial.write_text(content, encoding="utf-8", errors="replace", newline="")
    return folder / PAGE
