"""Batches in the formats people use: CSV and XLSX for a spreadsheet, JSONL, Label Studio."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.data.articles import Reject, Row, decode, read_rows
from pipeline.data.files import write_whole
from pipeline.errors import InputError, raise_problems
from pipeline.labelling import labelstudio
from pipeline.labelling.rows import COLUMNS

SUFFIXES = (".csv", ".xlsx", ".jsonl", ".json")
LONGEST_CELL = 1_000_000  # characters
# What a spreadsheet takes for a formula; an apostrophe in front makes it text.
FORMULA = r"[=+\-@\t\r]"
# Characters that a workbook cannot hold.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def check_suffix(file: Path) -> None:
    """Check that a file's name says a format that is known."""
    if file.suffix.lower() not in SUFFIXES:
        raise InputError(file, "unknown kind of file", expected=", ".join(SUFFIXES))


def check_output(file: Path) -> None:
    """Check that a new batch may take this name: a known format, and nothing there that would be lost."""
    check_suffix(file)
    if not file.exists() or file.is_file() and not file.stat().st_size:
        return
    try:
        answers = sum(bool(str(row.fields.get("label") or "").strip()) for row in read_batch(file))
    except InputError:
        raise InputError(file, "is there already and is no batch", then="name another file") from None
    if answers:
        then = "take them in with `stance label import` and name another file, or remove this one"
        raise InputError(file, f"is there already and holds {answers} answers", then=then)


def write_file(file: Path, content: bytes) -> None:
    """Put a file in its place whole or not at all; InputError where it cannot be written."""
    try:
        with write_whole(file) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise InputError(file, error.strerror or str(error), expected="a place that can be written to") from None


def write_batch(file: Path, rows: Sequence[dict[str, Any]], label_names: Sequence[str]) -> None:
    """Write rows in the format that the file's suffix names; `.json` is Label Studio's."""
    check_suffix(file)
    suffix = file.suffix.lower()
    if suffix in TextBatch.SUFFIXES:
        TextBatch(file, rows).save()
    elif suffix == ".xlsx":
        write_file(file, _xlsx(rows, label_names))
    else:
        tasks = labelstudio.tasks(rows)
        write_file(file.with_suffix(".xml"), labelstudio.interface(label_names).encode())
        write_file(file, (json.dumps(tasks, ensure_ascii=False, indent=1) + "\n").encode())


class TextBatch:
    """A `.csv` or `.jsonl` batch, each row encoded once: after an answer only its own row is encoded again."""

    SUFFIXES = (".csv", ".jsonl")

    def __init__(self, file: Path, rows: Sequence[dict[str, Any]]) -> None:
        """Encode all rows."""
        self._file, self._rows = file, rows
        # Columns that somebody added come last, and stay.
        self._columns = dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)])
        self._lines = [self._encode(row) for row in rows]

    def _encode(self, row: dict[str, Any]) -> str:
        if self._file.suffix.lower() == ".jsonl":
            kept = {name: value for name, value in row.items() if value != "" or name == "label"}
            return json.dumps(kept, ensure_ascii=False) + "\n"
        return _csv_line(_shield(row.get(name, "")) for name in self._columns)

    def update(self, position: int) -> None:
        """Encode one row again."""
        self._lines[position] = self._encode(self._rows[position])

    def save(self) -> None:
        """Write the whole file."""
        text = "".join(self._lines)
        if self._file.suffix.lower() == ".jsonl":
            write_file(self._file, text.encode())
        else:
            # With a byte order mark, or a spreadsheet takes curly quotes for letters.
            write_file(self._file, (_csv_line(self._columns) + text).encode("utf-8-sig"))


def _csv_line(values: Iterable[Any]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerow(values)
    return stream.getvalue()


def _shield(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and re.match(f"'*{FORMULA}", value) else value


def _unshield(value: Any) -> Any:
    return value[1:] if isinstance(value, str) and re.match(f"'+{FORMULA}", value) else value


def _openpyxl(file: object) -> Any:
    try:
        import openpyxl
    except ModuleNotFoundError:
        then = "install it with `pip install 'stance-pipeline[label]'`, or use .csv"
        raise InputError(file, "workbooks need the package openpyxl", then=then) from None
    return openpyxl


def _xlsx(rows: Iterable[dict[str, Any]], label_names: Sequence[str]) -> bytes:
    openpyxl = _openpyxl("--output")
    from openpyxl.styles import Alignment, Font
    from openpyxl.worksheet.datavalidation import DataValidation

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "batch"
    sheet.append(list(COLUMNS))
    for number, row in enumerate(rows, 2):
        for column, name in enumerate(COLUMNS, 1):
            value = row.get(name, "")
            cell = sheet.cell(number, column)
            cell.value = UNPRINTABLE.sub(" ", value) if isinstance(value, str) else value
            if isinstance(value, str):
                cell.data_type, cell.number_format = "s", "@"  # neither a formula nor a number, whatever it looks like
            if name in ("previous", "text"):
                cell.alignment = Alignment(wrap_text=True, vertical="top")
    choices = DataValidation(type="list", formula1='"' + ",".join(label_names) + '"', allow_blank=True)
    choices.error = "one of " + ", ".join(label_names)
    letters = dict(zip(COLUMNS, (sheet.cell(1, i).column_letter for i in range(1, len(COLUMNS) + 1)), strict=True))
    choices.add(f"{letters['label']}2:{letters['label']}{max(2, sheet.max_row)}")
    sheet.add_data_validation(choices)
    for name, width in {"previous": 50, "text": 80, "label": 16, "note": 30}.items():
        sheet.column_dimensions[letters[name]].width = width
    for name in ("guess", "confidence", "sampling", "codebook", "start", "end", "time"):
        sheet.column_dimensions[letters[name]].hidden = True  # the guess would sway the annotator
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet.freeze_panes = "A2"
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def read_batch(file: Path) -> list[Row]:
    """Read the rows of a batch or of a Label Studio export, each with its file and line.

    InputError lists all rows that cannot be read. Cancelled Label Studio annotations are left out.
    """
    if not file.is_file():
        raise InputError(file, "no such file", expected=f"a batch {', '.join(SUFFIXES)}")
    check_suffix(file)
    readers = {".csv": _read_csv, ".xlsx": _read_xlsx, ".jsonl": _read_jsonl, ".json": _read_json}
    rows = readers[file.suffix.lower()](file)
    missing = [name for name in ("article_id", "start", "end", "text", "label") if rows and name not in rows[0].fields]
    if missing:
        raise InputError(rows[0].where, f"no {', '.join(missing)}", expected="the columns that the batch had")
    if not rows:
        raise InputError(file, "holds no row", expected="article_id, start, end, text, label")
    return rows


def _read_csv(file: Path) -> list[Row]:
    try:
        text = decode(file.read_bytes())
    except ValueError as error:
        raise InputError(file, str(error), then="save it as CSV in UTF-8") from None
    header = text.partition("\n")[0]
    csv.field_size_limit(LONGEST_CELL)
    # Strict, because a quote that is never closed would swallow all later rows without a word.
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
    rows, problems = [], []
    try:
        for fields in reader:
            where = f"{file}:{reader.line_num}"
            if None in fields or None in fields.values():
                problems.append(f"{where}: another number of columns than the first line")
            elif any(fields.values()):
                rows.append(Row(where, {str(name).strip(): _unshield(value) for name, value in fields.items()}))
    except csv.Error as error:
        problems.append(f"{file}:{reader.line_num + 1}: the rest cannot be read ({error})")
    raise_problems(problems)
    return [row for row in map(labelstudio.flat, rows) if row]


def _read_xlsx(file: Path) -> list[Row]:
    openpyxl = _openpyxl(file)
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        table = list(book.worksheets[0].iter_rows(values_only=True))
        book.close()
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, IndexError) as error:
        raise InputError(file, f"is no workbook ({error})", then="save it as .xlsx or .csv again") from None
    if not table:
        return []
    names = [str(name or "").strip() for name in table[0]]
    rows = []
    for number, values in enumerate(table[1:], 2):
        cells = {name: "" if value is None else value for name, value in zip(names, values, strict=False) if name}
        if any(value != "" for value in cells.values()):
            rows.append(Row(f"{file}:{number}", cells))
    return rows


def _read_jsonl(file: Path) -> list[Row]:
    found = list(read_rows(file))
    raise_problems([f"{row.where}: {row.why}" for row in found if isinstance(row, Reject)])
    return [Row(row.where, {"label": ""} | row.fields) for row in found if isinstance(row, Row)]


def _read_json(file: Path) -> list[Row]:
    try:
        content = json.loads(decode(file.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise InputError(file, f"is no JSON ({error})", expected="a Label Studio export") from None
    if not isinstance(content, list) or not all(isinstance(task, dict) for task in content):
        raise InputError(file, "is no list of tasks", expected="a Label Studio export, JSON or JSON-MIN")
    return [row for number, task in enumerate(content, 1) for row in labelstudio.read(task, f"{file}:task {number}")]
