"""Columns and cells of tables, whatever program has written them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from pipeline.data.formats.rows import Reject, Row

# Columns that some command reads; a table may write them in capitals, with blanks around or within.
KNOWN = frozenset(
    "id text title date outlet target label split article source article_id sentence_index start end "
    "annotator note previous votes time sampling codebook guess confidence".split()
)
OWN = "article_id"  # a column of tables that this program writes, whose cells are shielded
FORMULA = re.compile(r"'*[=+\-@\t\r]")  # what a spreadsheet takes for a formula, apostrophes in front or not


def shield_formula(value: object) -> object:
    """Return a cell that no spreadsheet reads as a formula: an apostrophe makes it text."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def unshield_formula(value: object) -> object:
    """Return a cell as it was before `shield_formula`."""
    return value[1:] if isinstance(value, str) and value[:1] == "'" and FORMULA.match(value) else value


@lru_cache(maxsize=256)
def name_columns(names: tuple[object, ...]) -> tuple[str, ...]:
    """Return the names of columns as commands ask for them; ValueError where two have one name."""
    named = tuple(_name("" if name is None else str(name).strip()) for name in names)
    if twice := [name for name in named if name and named.count(name) > 1]:
        raise ValueError(f"duplicate column `{twice[0]}`; remove one")
    return named


def _name(name: str) -> str:
    plain = "_".join(name.lower().replace("-", " ").split())
    return plain if plain in KNOWN else name


def to_rows(records: Iterable[tuple[str, Sequence[Any] | str]]) -> Iterator[Row | Reject]:
    """Yield a row for each line (where it stands, its cells or why it has none); the first one names the columns."""
    lines = iter(records)
    where, first = next(lines, ("", ()))
    try:
        if isinstance(first, str):
            raise ValueError(first)
        names = name_columns(tuple(first))
    except ValueError as error:
        yield Reject(where, str(error))
        return
    is_own = OWN in names
    for where, cells in lines:
        if isinstance(cells, str):
            yield Reject(where, cells)
            continue
        filled = [cell is not None and (not isinstance(cell, str) or bool(cell.strip())) for cell in cells]
        if any(filled[len(names) :]) or any(full and not name for full, name in zip(filled, names, strict=False)):
            yield Reject(where, "more columns than the first line names")
        elif any(filled):
            fields = dict.fromkeys(filter(None, names)) | dict(zip(names, cells, strict=False))
            fields.pop("", None)
            yield Row(where, {key: unshield_formula(cell) for key, cell in fields.items()} if is_own else fields)


def to_text(value: Any) -> str:
    """Return what a cell says: nothing for null and NaN, a whole number without the decimals that tables give it."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
