"""Batches in the formats people use: CSV and XLSX for a spreadsheet, JSONL, Label Studio."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.data.files import write_whole
from pipeline.data.formats.rows import Reject, Row
from pipeline.data.formats.text import decode
from pipeline.data.tables import check_rows, read_rows
from pipeline.errors import InputError
from pipeline.labelling import labelstudio, workbook
from pipeline.labelling.rows import COLUMNS
from pipeline.prediction.forms import encode, header

SUFFIXES = (".csv", ".xlsx", ".jsonl", ".json")
TEXT = (".csv", ".jsonl")  # what the terminal labels
NEEDED = ("article_id", "start", "end", "text", "label")
# The columns of what the model thinks, and how they begin in a file that cannot hide a column.
OPINION, HIDDEN = ("guess", "confidence"), "hidden:"


def check_suffix(file: Path) -> str:
    """Return the suffix of a file in small letters; InputError if it is no known format."""
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(file, "unknown kind of file", expected=", ".join(SUFFIXES))
    return suffix


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
    suffix = check_suffix(file)
    if suffix in TEXT:
        write_file(file, _encode(rows, suffix))
    elif suffix == ".xlsx":
        write_file(file, workbook.encode(rows, label_names))
    else:
        tasks = labelstudio.tasks(rows)
        write_file(file.with_suffix(".xml"), labelstudio.interface(label_names).encode())
        write_file(file, (json.dumps(tasks, ensure_ascii=False, indent=1) + "\n").encode())


def _encode(rows: Sequence[dict[str, Any]], suffix: str) -> bytes:
    hidden = [{name: _hide(name, value) for name, value in row.items()} for row in rows]
    if suffix == ".jsonl":
        hidden = [{name: value for name, value in row.items() if value != "" or name == "label"} for row in hidden]
    # Columns that somebody added come last, and stay.
    columns = list(dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)]))
    return header(suffix, columns) + encode(hidden, suffix, columns)


def _hide(name: str, value: Any) -> Any:
    """Write what the model thinks so that nobody reads it by the way: it would sway the annotator."""
    return HIDDEN + b64encode(str(value).encode()).decode() if name in OPINION and value not in ("", None) else value


def _reveal(row: Row) -> Row:
    """Return a row with what the model thinks as it was before it was hidden, or as somebody has changed it."""
    fields = dict(row.fields)
    for name in OPINION:
        with suppress(ValueError):
            if str(fields.get(name, "")).startswith(HIDDEN):
                fields[name] = b64decode(fields[name].removeprefix(HIDDEN), validate=True).decode()
    return Row(row.where, fields)


def read_batch(file: Path) -> list[Row]:
    """Read the rows of a batch or of a Label Studio export, each with its file and line.

    InputError lists all rows that cannot be read. Cancelled Label Studio annotations are left out.
    """
    if not file.is_file():
        raise InputError(file, "no such file", expected=f"a batch {', '.join(SUFFIXES)}")
    content = _read_json(file) if check_suffix(file) == ".json" else _read_table(file)
    rows = check_rows(content, lambda row: row)
    if not rows:
        raise InputError(file, "holds no row", expected=", ".join(NEEDED))
    if missing := [name for name in NEEDED if all(name not in row.fields for row in rows)]:
        expected = "the columns that the batch had, answers in `label`"
        raise InputError(rows[0].where, f"no {', '.join(missing)}", expected=expected)
    return rows


def _read_table(file: Path) -> Iterator[Row | Reject]:
    suffix = file.suffix.lower()
    for row in read_rows(file):
        if isinstance(row, Reject):
            yield row
        elif suffix == ".csv" and None in row.fields.values():
            yield Reject(row.where, "another number of columns than the first line")
        elif suffix == ".jsonl":
            yield _reveal(Row(row.where, {"label": ""} | row.fields))
        else:
            cells = {name: "" if value is None else value for name, value in row.fields.items()}
            yield from labelstudio.flat(_reveal(Row(row.where, cells)))


def _read_json(file: Path) -> Iterator[Row | Reject]:
    try:
        content = json.loads(decode(file.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise InputError(file, f"is no JSON ({error})", expected="a Label Studio export") from None
    if not isinstance(content, list) or not all(isinstance(task, dict) for task in content):
        raise InputError(file, "is no list of tasks", expected="a Label Studio export, JSON or JSON-MIN")
    for number, task in enumerate(content, 1):
        where = f"{file}:task {number}"
        try:
            yield from labelstudio.read(task, where)
        except (TypeError, AttributeError, ValueError):
            yield Reject(where, "is no task as Label Studio exports it")
