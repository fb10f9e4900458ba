"""What Ray's workers do: read and cut a file, score sentences."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from errno import ESTALE
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bundle import load_bundle
from pipeline.data.articles import Article, Source
from pipeline.data.files import write_whole
from pipeline.data.formats.rows import Reject
from pipeline.data.sentences import Sentence
from pipeline.data.tables import ByteCounter
from pipeline.prediction import CHUNK, columns_of, score
from pipeline.prediction.forms import schema
from pipeline.prediction.reading import Chunk, Cursor, Needs, Notes, read_chunks

if TYPE_CHECKING:
    import pyarrow as pa

TYPES = {"str": "string", "int": "int64", "bool": "bool"}  # Arrow's names


def describe(place: int, source: Source) -> dict[str, Any]:
    """Return a file of the inputs as a row: its place among them, name and path as bytes, as they may be no UTF-8."""
    return {"place": place, "name": os.fsencode(source.name), "file": os.fsencode(str(source.file))}


def _chunks(file: pa.Table, unit: str, seen: set[str], needs: Needs) -> Iterator[Chunk]:
    (row,) = file.to_pylist()
    source = Source(os.fsdecode(row["name"]), Path(os.fsdecode(row["file"])))
    return read_chunks([source], unit, CHUNK, Cursor(), seen, ByteCounter(), needs)


def read_ids(file: pa.Table, unit: str, needs: Needs) -> Iterator[pa.Table]:
    """Yield the ids of the articles of a file."""
    import pyarrow as pa

    kinds = pa.schema([("id", pa.string()), ("place", pa.int64())])
    place = file["place"][0].as_py()
    for chunk in _chunks(file, unit, set(), needs):
        yield pa.Table.from_pylist([{"id": key, "place": place} for key in chunk.ids], kinds)


def read_sentences(
    file: pa.Table, unit: str, first: Mapping[str, int], folder: Path, needs: Needs
) -> Iterator[pa.Table]:
    """Yield the sentences of a file, each with what is known of its article; write the notes on it into a folder.

    A file is one row, as `describe` has it; `first` has the place of the file in which an id counts that several hold.
    """
    import pyarrow as pa

    columns = [field for kind in (Article, Sentence) for field in fields(kind)]
    kinds = pa.schema({field.name: pa.type_for_alias(TYPES[str(field.type)]) for field in columns})
    place, notes = file["place"][0].as_py(), Notes()
    for chunk in _chunks(file, unit, {key for key, at in first.items() if at < place}, needs):
        notes.add(chunk)
        yield pa.Table.from_pylist([vars(article) | vars(sentence) for article, sentence in chunk.sentences], kinds)
    if notes != Notes():
        # Another machine may be doing the same, in place of this one.
        with write_whole(folder / f"{place:09}.json") as new:
            new.write_text(json.dumps(asdict(notes)), encoding="utf-8")


def read_notes(folder: Path) -> Iterator[Notes]:
    """Yield what workers wrote on files, in the order of these."""
    for part in sorted(folder.glob("*.json")):
        found = json.loads(part.read_bytes())
        yield Notes([Reject(**reject) for reject in found["rejects"]], found["dropped"], found["unclear"])


class Scorer:
    """An actor that holds the model."""

    def __init__(self, model: Path, digest: str, least: float = 0.0, exact: bool = False) -> None:
        """Load the model; OSError if it is not the one that the batch began with."""
        self.bundle, self.least, self.exact = load_bundle(model), least, exact
        if self.bundle.digest != digest:
            raise OSError(ESTALE, "has changed since the batch began", str(model))

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Turn sentences into rows."""
        import pyarrow as pa

        chunk = Chunk(sentences=[(_rebuilt(Article, row), _rebuilt(Sentence, row)) for row in batch.to_pylist()])
        rows = score(chunk, self.bundle, self.least, exact=self.exact)
        return pa.Table.from_pylist(rows, schema(columns_of(self.bundle)))


def _rebuilt(kind: Any, row: Mapping[str, Any]) -> Any:
    return kind(**{field.name: row[field.name] for field in fields(kind)})
