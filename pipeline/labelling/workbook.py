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
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    sheet = book.active
    sheet.title, sheet.freeze_panes = "batch", "A2"
    sheet.append(list(COLUMNS))
    for number, row in enumerate(rows, 2):
        for column, name in enumerate(COLUMNS, 1):
            _fill(sheet.cell(number, column), name, row.get(name, ""))
    choices = DataValidation(type="list", formula1=f'"{",".join(label_names)}"', allow_blank=True)
    choices.showErrorMessage = True  # or a spreadsheet takes any word
    choices.error = f"one of {', '.join(label_names)}"
    sheet.add_data_validation(choices)
    for cell in sheet[1]:
        cell.font = Font(bold=True)
        if cell.value in WIDTHS or cell.value in HIDDEN:
            column = sheet.column_dimensions[cell.column_letter]
            column.width, column.hidden = WIDTHS.get(cell.value, column.width), cell.value in HIDDEN
        if cell.value == "label":
            choices.add(f"{cell.column_letter}2:{cell.column_letter}{max(2, sheet.max_row)}")
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
