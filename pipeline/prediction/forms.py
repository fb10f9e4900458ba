"""Rows as bytes of a file: jsonl, csv, xlsx, parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.data.formats.columns import shield_formula

SUFFIXES = (".jsonl", ".csv", ".xlsx", ".parquet")
DIGITS = 4  # of numbers in tables that people open
MOST_ROWS, MOST_CHARACTERS = 1_000_000, 32_767  # of a sheet and of a cell of Excel
WIDTHS = {"text": 80, "title": 40, "article_id": 24, "label": 16}
KINDS = dict.fromkeys(("sentence_index", "start", "end"), "int64") | dict.fromkeys(("is_title", "on_topic"), "bool")
KINDS["confidence"] = "float64"


def header(name: str, columns: Sequence[str]) -> bytes:
    """Return what stands before the first row of a file of this name."""
    if not name.endswith(".csv"):
        return b""
    # With a byte order mark, or a spreadsheet takes curly quotes for letters.
    return "\ufeff".encode() + encode([dict(zip(columns, columns, strict=True))], name, columns)


def encode(rows: Iterable[dict[str, Any]], name: str, columns: Sequence[str]) -> bytes:
    """Return rows as a file of this name holds them; for those in CONVERTED, as JSON lines that these take."""
    if name.endswith(".csv"):
        text = io.StringIO(newline="")
        # Lines end as RFC 4180 has it: with "\n" alone, the writer leaves a "\r" in a text unquoted.
        writer = csv.DictWriter(text, columns, lineterminator="\r\n")
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        return text.getvalue().encode()
    # A file name may hold bytes that are no UTF-8; the reject that names it must still be written.
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return lines.encode("utf-8", "backslashreplace")


def _cell(value: Any) -> Any:
    """Return a value as a person reads it, and no spreadsheet as a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    return round(value, DIGITS) if isinstance(value, float) else shield_formula(value)


def schema(columns: Sequence[str]) -> Any:
    """Return the Arrow schema of rows."""
    import pyarrow as pa

    kinds = {name: "float64" if name.startswith("p_") else KINDS.get(name, "string") for name in columns}
    return pa.schema([(name, pa.type_for_alias(kind)) for name, kind in kinds.items()])


def to_parquet(lines: Path, target: Path, columns: Sequence[str], size: int) -> None:
    """Write JSON lines as parquet, `size` rows a group."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    kinds = schema(columns)
    with ParquetWriter(target, kinds) as writer, lines.open("rb") as stream:
        rows = map(json.loads, stream)
        while group := list(islice(rows, size)):
            writer.write_table(pa.Table.from_pylist(group, schema=kinds))


def to_workbook(lines: Path, target: Path, columns: Sequence[str], size: int) -> None:
    """Write JSON lines as a workbook with a filter on each column; what one sheet cannot hold goes on in the next."""
    from openpyxl import Workbook
    from openpyxl.utils import get_column_letter

    book, number = Workbook(write_only=True), MOST_ROWS
    with lines.open("rb") as stream:
        for row in map(json.loads, stream):
            if number == MOST_ROWS:
                sheet, number = book.create_sheet("rows" if not book.worksheets else None), 0
                sheet.freeze_panes = "A2"
                for place, name in enumerate(columns, 1):
                    sheet.column_dimensions[get_column_letter(place)].width = WIDTHS.get(name, 12)
                sheet.append(list(columns))
            sheet.append([_sheet_cell(sheet, row.get(name)) for name in columns])
            number += 1
            sheet.auto_filter.ref = f"A1:{get_column_letter(len(columns))}{number + 1}"
    book.save(target)


def _sheet_cell(sheet: Any, value: Any) -> Any:
    """Return what a sheet holds of a value: numbers are numbers, and any text is text."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if not isinstance(value, str):
        return round(value, DIGITS) if isinstance(value, float) else value
    value = ILLEGAL_CHARACTERS_RE.sub(" ", value)[:MOST_CHARACTERS]
    if value[:1] not in "='":
        return value
    cell = WriteOnlyCell(sheet, shield_formula(value) if value[0] == "'" else value)
    cell.data_type = "s"
    return cell


CONVERTED = {".parquet": to_parquet, ".xlsx": to_workbook}  # written in one go, once all rows are there
