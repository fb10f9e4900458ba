"""Workbooks (.xlsx): every sheet is a table whose first line names the columns."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import IO, Any

from pipeline.data.formats.columns import to_rows
from pipeline.data.formats.rows import Reject, Row, check_size


def read(stream: IO[bytes], where: str) -> Iterator[Row | Reject]:
    """Read the rows of all sheets that hold something; a formula without a value makes its row a reject."""
    from openpyxl import load_workbook

    try:
        check_size(stream)
        with warnings.catch_warnings():  # about styles and extensions, which no text hangs on
            warnings.simplefilter("ignore")
            values, formulas = (load_workbook(stream, read_only=True, data_only=only) for only in (True, False))
    except Exception as error:  # of as many kinds as there are ways to break one
        why = str(error) or type(error).__name__
        raise ValueError(f"is no workbook ({why}); save it as .xlsx or .csv again") from None
    several = len(values.worksheets) > 1
    for sheet, written in zip(values.worksheets, formulas.worksheets, strict=True):
        place = f"{where}:{sheet.title}" if several else where
        yield from to_rows(_records(sheet, written, place))


def _records(sheet: Any, written: Any, where: str) -> Iterator[tuple[str, list[Any] | str]]:
    """Yield where each line stands, and its cells or why it has none."""
    from openpyxl.cell.cell import ERROR_CODES

    for both in (sheet, written):
        both.reset_dimensions()  # other programs write the size wrong
    names: tuple[Any, ...] = ()
    rows = zip(sheet.iter_rows(values_only=True), written.iter_rows(values_only=True), strict=True)
    for number, (cells, formulas) in enumerate(rows, 1):
        if not names and not any(formulas):
            continue
        names = names or cells
        lost = [place for place, (cell, kept) in enumerate(zip(cells, formulas, strict=True)) if cell is None and kept]
        if lost and number > 1:
            name = names[lost[0]] if lost[0] < len(names) else ""
            yield f"{where}:{number}", f"`{name}` is a formula without a value; open the workbook, and save it again"
        elif wrong := [str(cell) for cell in cells if cell in ERROR_CODES]:
            yield f"{where}:{number}", f"holds the error {wrong[0]}; correct its formula"
        else:
            yield f"{where}:{number}", list(cells)
