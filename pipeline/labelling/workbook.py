"""Batches as workbooks (.xlsx) with a drop-down of labels."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

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
    choices.showErrorMessage = True  # or a spreadsheet takes any word
    choices.error = "one of " + ", ".join(label_names)
    choices.add(f"{letter}2:{letter}{max(2, sheet.max_row)}")
    sheet.add_data_validation(choices)
