"""Labelled tables, each row a text with its label: files, and data sets of the Hugging Face hub."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.config import COLUMNS, Data
from pipeline.data.dates import parse_date
from pipeline.data.examples import Example
from pipeline.data.formats import TABLES
from pipeline.data.formats.columns import name_columns, to_text
from pipeline.data.formats.rows import Reject, Row
from pipeline.data.tables import read_rows
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
        rows = _read_datasets(data)
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

    Args:
        rows: with the columns text, label, and if known id, target, split, article, source, outlet, date.
        label_names: what a label may be.
        columns: our names -> the table's, where they differ.
        where: names the table, whose stem is the origin of rows without a source.

    """
    table = _Table(tuple(label_names), columns, Path(str(where)).stem)
    problems = []
    for row in rows:
        try:
            table.add(row)
        except InputError as error:
            problems.append(str(error))
    raise_problems(problems)
    if not table.examples:
        raise InputError(where, "holds no row", expected="id, text, label")
    return table.examples


class _Table:
    """Examples as they are gathered, and what later rows are checked against."""

    def __init__(self, label_names: tuple[str, ...], columns: Mapping[str, str], origin: str) -> None:
        self.examples: list[Example] = []
        self._names, self._origin = label_names, origin
        # A table's own names are read as those of its columns are.
        self._columns = dict(zip(columns, name_columns(tuple(columns.values())), strict=True))
        self._ids: set[str] = set()
        self._ends: dict[str, tuple[int, int]] = {}  # of an article so far: rows, characters

    def add(self, row: Row | Reject) -> None:
        if isinstance(row, Reject):
            raise InputError(row.where, row.why)
        fields = self._translate(row)
        text, label = self._text_and_label(fields, row.where)
        words = {name: " ".join(to_text(fields.get(name, "")).split()) for name in COLUMNS if name != "text"}
        try:
            "".join((text, *words.values())).encode()
        except UnicodeEncodeError:
            raise InputError(row.where, "holds half of a surrogate pair, which is no character") from None
        if self.examples and bool(words["target"]) != bool(self.examples[0].target):
            this, others = ("a", "none") if words["target"] else ("no", "one")
            raise InputError(row.where, f"{this} target, though rows before it have {others}", expected="all or none")
        key = words["id"] or self._name(words["target"], text)
        if key in self._ids:
            raise InputError(row.where, f"duplicate id {key!r}", expected="unique ids")
        self._ids.add(key)
        article = words["article"] or key
        index, start = self._ends.get(article, (0, 0))
        self._ends[article] = (index + 1, start + len(text) + 1)
        example = Example(
            article_id=article,
            sentence_index=index,
            start=start,
            end=start + len(text),
            text=text,
            label=label,
            split=words["split"],
            group=article,
            origin=words["source"] or self._origin,
            outlet=words["outlet"],
            date=parse_date(words["date"]),
            target=words["target"],
        )
        self.examples.append(example)

    def _translate(self, row: Row) -> dict[str, Any]:
        """Return the cells that hold something, under our names."""
        for theirs in self._columns.values():
            if theirs not in row.fields:
                raise InputError(row.where, f"no column {theirs!r}", expected=", ".join(map(str, row.fields)))
        cells = {name: row.fields.get(self._columns.get(name, name)) for name in COLUMNS}
        return {name: value for name, value in cells.items() if not _empty(value)}

    def _text_and_label(self, fields: Mapping[str, Any], where: str) -> tuple[str, str]:
        expected = ", ".join(self._columns.get(name, name) for name in ("id", *NEEDED))
        if missing := [self._columns.get(name, name) for name in NEEDED if name not in fields]:
            raise InputError(where, f"no {', '.join(missing)}", expected=expected)
        text, label = fields["text"], to_text(fields["label"])
        if not isinstance(text, str):
            raise InputError(where, f"`text` is {text!r}", expected="a text")
        if label not in self._names:
            raise InputError(where, f"unknown label {label!r}", expected=", ".join(self._names))
        return text, label

    def _name(self, target: str, text: str) -> str:
        """Name a row without an id by its content, and by how many rows before it are the same."""
        key = hashlib.sha256(f"{target}\n{text}".encode()).hexdigest()[:12]
        return next(name for n in range(len(self._ids) + 1) if (name := f"{key}-{n}" if n else key) not in self._ids)


def _empty(value: Any) -> bool:
    """Say whether a cell holds nothing: null, NaN (the only value that differs from itself), or blanks."""
    return value is None or value != value or (isinstance(value, str) and value.strip().lower() in ("", "nan"))
