"""Batches as workbooks (.xlsx): a drop-down of labels out, whatever a spreadsheet saves in."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.data.formats.rows import Reject, Row
from pipeline.errors import InputError
from pipeline.labelling.rows import COLUMNS

WIDTHS = {"previous": 50, "text": 80, "label": 16, "note": 30}
# The guess would sway the annotator.
HIDDEN = ("guess", "confidence", "sampling", "codebook", "start", "end", "time")


def encode(rows: Iterable[dict[str, Any]], label_names: Sequence[str]) -> bytes:
    """Return a workbook of rows."""
    from openpyxl import Workbook
    from openpyxl.styles import Font

    book = Workbook()
    sheet = book.active
    sheet.title = "batch"
    sheet.append(list(COLUMNS))
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for number, row in enumerate(rows, 2):
        for column, name in enumerate(COLUMNS, 1):
            _fill(sheet.cell(number, column), name, row.get(name, ""))
    letters = {cell.value: cell.column_letter for cell in sheet[1]}
    _offer(sheet, letters["label"], label_names)
    for name, width in WIDTHS.items():
        sheet.column_dimensions[letters[name]].width = width
    for name in HIDDEN:
        sheet.column_dimensions[letters[name]].hidden = True
    sheet.freeze_panes = "A2"
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _fill(cell: Any, name: str, value: Any) -> None:
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    from openpyxl.styles import Alignment

    cell.value = ILLEGAL_CHARACTERS_RE.sub(" ", value) if isinstance(value, str) else value
    if isinstance(value, str):
        cell.data_type, cell.number_format = "s", "@"  # neither a formula nor a number, whatever it looks like
    if name in ("previous", "text"):
        cell.alignment = Alignment(wrap_text=True, vertical="top")


def _offer(sheet: Any, letter: str, label_names: Sequence[str]) -> None:
    from openpyxl.worksheet.datavalidation import DataValidation

    choices = DataValidation(type="list", formula1='"' + ",".join(label_names) + '"', allow_blank=True)
    choices.error = "one of " + ", ".join(label_names)
    choices.add(f"{letter}2:{letter}{max(2, sheet.max_row)}")
    sheet.add_data_validation(choices)


def read(file: Path) -> Iterator[Row | Reject]:
    """Read the rows of a workbook's first sheet; InputError if it is none."""
    values, formulas = (_cells(file, data_only) for data_only in (True, False))
    names = check_columns([str(name or "").strip() for name in values[0]] if values else [], file)
    for number, (row, written) in enumerate(zip(values[1:], formulas[1:], strict=True), 2):
        where = f"{file}:{number}"
        cells = {name: "" if value is None else value for name, value in zip(names, row, strict=False) if name}
        lost = [name for name, value, kept in zip(names, row, written, strict=False) if value is None and kept]
        if lost:
            yield Reject(where, f"`{lost[0]}` is a formula without a value; open the workbook, and save it again")
        elif any(value != "" for value in cells.values()):
            yield Row(where, cells)


def _cells(file: Path, data_only: bool) -> list[tuple[Any, ...]]:
    from openpyxl import load_workbook

    try:
        book = load_workbook(file, read_only=True, data_only=data_only)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # other programs write the size wrong
        rows = list(sheet.iter_rows(values_only=True))
        book.close()
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, IndexError) as error:
        raise InputError(file, f"is no workbook ({error})", then="save it as .xlsx or .csv again") from None
    return rows


def check_columns(names: Sequence[str], file: Path) -> Sequence[str]:
    """Return the columns of a table; InputError if two have one name."""
    twice = [name for name in dict.fromkeys(names) if name and names.count(name) > 1]
    if twice:
        raise InputError(f"{file}:1", f"duplicate column `{twice[0]}`", expected="one", then="remove the other")
    return names
