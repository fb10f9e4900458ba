"""What Ray's workers do: read and cut a file, score sentences."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from errno import ESTALE
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bundle import load_bundle
from pipeline.data.articles import Article, Source
from pipeline.data.files import write_whole
from pipeline.data.sentences import Sentence
from pipeline.data.tables import ByteCounter
from pipeline.prediction import CHUNK, columns_of, score
from pipeline.prediction.forms import encode, schema
from pipeline.prediction.reading import Chunk, Cursor, Needs, read_chunks

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
    file: pa.Table, unit: str, first: Mapping[str, int], rejects: Path, needs: Needs
) -> Iterator[pa.Table]:
    """Yield the sentences of a file, each with what is known of its article; write what could not be read.

    A file is one row, as `describe` has it; `first` has the place of the file in which an id counts that several hold.
    """
    import pyarrow as pa

    kinds = pa.schema(
        {
            field.name: pa.type_for_alias(TYPES[str(field.type)])
            for kind in (Article, Sentence)
            for field in fields(kind)
        }
    )
    place, lines = file["place"][0].as_py(), []
    for chunk in _chunks(file, unit, {key for key, at in first.items() if at < place}, needs):
        lines += [vars(reject) for reject in chunk.rejects]
        yield pa.Table.from_pylist([vars(article) | vars(sentence) for article, sentence in chunk.sentences], kinds)
    if lines:
        # Another machine may be doing the same, in place of this one.
        with write_whole(rejects / f"{place:09}.jsonl") as new:
            new.write_bytes(encode(lines, "rejects.jsonl", ()))


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

        chunk = Chunk([(_rebuilt(Article, row), _rebuilt(Sentence, row)) for row in batch.to_pylist()])
        return pa.Table.from_pylist(
            score(chunk, self.bundle, self.least, exact=self.exact), schema(columns_of(self.bundle))
        )


def _rebuilt(kind: Any, row: Mapping[str, Any]) -> Any:
    return kind(**{field.name: row[field.name] for field in fields(kind)})
