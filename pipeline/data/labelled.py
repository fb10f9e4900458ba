"""Labelled tables, each row a text with its label: files, and data sets of the Hugging Face hub."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from pipeline.config import COLUMNS, Data
from pipeline.data.dates import parse_date
from pipeline.data.examples import Example
from pipeline.data.formats import TABLES
from pipeline.data.formats.columns import name_columns, to_text
from pipeline.data.formats.rows import Reject, Row
from pipeline.data.tables import check_rows, check_text, read_rows
from pipeline.errors import InputError, raise_problems

PARTS = ("train", "validation", "test")
NEEDED = ("text", "label")
SAVED = ("dataset_dict.json", "state.json")  # in a folder that `save_to_disk` wrote


def read_labelled(path: Path, label_names: Sequence[str], columns: Mapping[str, str] | None = None) -> list[Example]:
    """Read a labelled file of rows `text, label` (and `id`, `target`, `article`, `source`, `outlet`, `date` if known).

    All of it is the test part, whatever a column says. InputError lists all broken rows.
    """
    if not path.is_file():
        raise InputError(path, "no such file", expected=f"a labelled {', '.join(TABLES)}")
    return [replace(row, split="test") for row in to_examples(read_rows(path), label_names, columns or {}, path)]


def read_source(data: Data, label_names: Sequence[str]) -> list[Example]:
    """Read the table that a config names as its whole data; `split` is "" where there is no such column.

    A file that is not there is taken from the hub if the config names a data set there.
    """
    where = data.source
    if data.table and data.table.is_file():
        rows: Iterable[Row | Reject] = read_rows(data.table)
    elif data.hub or (data.table and data.table.is_dir()):
        rows = map(check_text, _read_datasets(data))
    else:
        expected = f"a labelled {', '.join(TABLES)}, or a folder that `datasets` loads"
        raise InputError(where, "no such file", expected=expected)
    examples = to_examples(rows, label_names, data.columns, where)
    problems = [
        f"{where}: {row.article_id}: split {row.split!r}; expected {', '.join(PARTS)}, or no such column"
        for row in examples
        if row.split not in PARTS
    ]
    if any(row.split for row in examples):
        raise_problems(problems)
    return examples


def _read_datasets(data: Data) -> Iterator[Row]:
    """Load a data set of the hub or a folder, saved ones too: its splits become parts, its subsets targets."""
    import datasets

    datasets.disable_progress_bars()
    name = data.source
    label = data.columns.get("label", "label")
    subsets: dict[str, str | None] = {**data.subsets} or {"": None}
    for target, subset in subsets.items():
        try:
            saved = subset is None and any(Path(name, file).exists() for file in SAVED)
            loaded = datasets.load_from_disk(name) if saved else datasets.load_dataset(name, subset)
            loaded = {"": loaded} if isinstance(loaded, datasets.Dataset) else loaded
        except Exception as error:  # the library raises what its loaders and the network raise
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(name, f"cannot be loaded ({why})", expected="a data set of the hub or a folder") from None
        for split, rows in loaded.items():
            kind = rows.features.get(label)
            for number, fields in enumerate(rows, 1):
                if isinstance(kind, datasets.ClassLabel) and isinstance(fields[label], int):
                    fields[label] = kind.int2str(fields[label]) if fields[label] >= 0 else None
                extra = {data.columns.get("target", "target"): target} if target else {}
                # One split alone is what the library calls a table that has none.
                extra |= {data.columns.get("split", "split"): split} if len(loaded) > 1 else {}
                yield Row(f"{name}:{subset or ''}:{split}:row {number}", fields | extra)


def to_examples(
    rows: Iterable[Row | Reject], label_names: Sequence[str], columns: Mapping[str, str], where: object
) -> list[Example]:
    """Check rows and return them as examples; InputErrors lists what is wrong, row by row.

    `columns` holds the table's names by ours, where they differ; the stem of `where` is the origin of rows without one.
    """
    # A table's own names are read as those of its columns are.
    columns = dict(zip(columns, name_columns(tuple(columns.values())), strict=True))
    examples: dict[str, Example] = {}
    ends: dict[str, tuple[int, int]] = {}  # of an article so far: rows, characters
    origin = Path(str(where)).stem

    def add(row: Row) -> None:
        cells = _check(row, label_names, columns)
        other = next(iter(examples.values()), None)
        if other and bool(other.target) != bool(cells["target"]):
            this, others = ("no", "one") if other.target else ("a", "none")
            raise InputError(row.where, f"{this} target, though rows before it have {others}", expected="all or none")
        key = cells["id"] or _name(cells["target"], cells["text"], examples)
        if key in examples:
            raise InputError(row.where, f"duplicate id {key!r}", expected="unique ids")
        article = cells["article"] or key
        index, start = ends.get(article, (0, 0))
        end = start + len(cells["text"])
        ends[article] = (index + 1, end + 1)
        examples[key] = Example(
            article_id=article,
            sentence_index=index,
            start=start,
            end=end,
            text=cells["text"],
            label=cells["label"],
            split=cells["split"],
            group=article,
            origin=cells["source"] or origin,
            outlet=cells["outlet"],
            date=parse_date(cells["date"]),
            target=cells["target"],
        )

    check_rows(rows, add)
    if not examples:
        raise InputError(where, "holds no row", expected="id, text, label")
    return list(examples.values())


def _check(row: Row, label_names: Sequence[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Return what the cells of a row say, under our names; InputError where it is no labelled text."""
    for theirs in columns.values():
        if theirs not in row.fields:
            raise InputError(row.where, f"no column {theirs!r}", expected=", ".join(map(str, row.fields)))
    cells = {name: row.fields.get(columns.get(name, name)) for name in COLUMNS}
    if missing := [columns.get(name, name) for name in NEEDED if _empty(cells[name])]:
        expected = ", ".join(columns.get(name, name) for name in ("id", *NEEDED))
        raise InputError(row.where, f"no {', '.join(missing)}", expected=expected)
    if not isinstance(cells["text"], str):
        raise InputError(row.where, f"`text` is {cells['text']!r}", expected="a text")
    label = to_text(cells["label"])
    if label not in label_names:
        raise InputError(row.where, f"unknown label {label!r}", expected=", ".join(label_names))
    rest = {name: cell for name, cell in cells.items() if name not in NEEDED}
    said = {name: "" if _empty(cell) else " ".join(to_text(cell).split()) for name, cell in rest.items()}
    return said | {"text": cells["text"], "label": label}


def _name(target: str, text: str, known: Container[str]) -> str:
    """Name a row without an id by its content, and by how many rows before it are the same."""
    key = hashlib.sha256(f"{target}\n{text}".encode()).hexdigest()[:12]
    return next(name for n in count() if (name := f"{key}-{n}" if n else key) not in known)


def _empty(value: Any) -> bool:
    """Say whether a cell holds nothing: null, NaN (the only value that differs from itself), or blanks."""
    return value is None or value != value or (isinstance(value, str) and value.strip().lower() in ("", "nan"))
