"""Vectors of real sentences that a pretrained model never learned from, in 8 bits, to try a moved head on offline.

They ship beside the model and hold no text: of each sentence its vector, label, source, outlet, document and place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from pipeline.data.examples import Example
from pipeline.data.files import write_whole
from pipeline.errors import InputError

FILE = "held_out_vectors.npz"
COLUMNS = ("article_id", "label", "split", "origin", "outlet", "digest", "sentence_index", "start", "end")
MOST = 127


@dataclass(frozen=True)
class Withheld(Example):
    """A labelled sentence whose text is not here; `digest` stands for it."""

    digest: str = ""

    @property
    def key(self) -> str:
        """Name it as the sentence with its text is named."""
        return f"{self.id}#{self.digest}"


@dataclass(frozen=True)
class HeldOutVectors:
    """n labelled sentences and their vectors, shape (n, d)."""

    examples: tuple[Withheld, ...]
    vectors: np.ndarray


def write_vectors(folder: Path, adapter: str, examples: Sequence[Example], vectors: np.ndarray) -> None:
    """Write the vectors of sentences, shape (n, d), beside the model whose adapter has this digest."""
    scale = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-9) / MOST
    arrays = {"vectors": np.rint(vectors / scale).astype(np.int8), "scale": scale.astype(np.float32)}
    rows = [vars(row) | {"digest": row.key.rpartition("#")[2]} for row in examples]
    arrays |= {name: np.array([row[name] for row in rows]) for name in COLUMNS}
    with write_whole(folder / FILE) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, adapter=np.array(adapter), **arrays)


@lru_cache(maxsize=2)
def read_vectors(folder: Path, adapter: str) -> HeldOutVectors | None:
    """Read the vectors that ship with a model, None where none do; InputError where they are of another adapter."""
    file = folder / FILE
    if not file.exists():
        return None
    then = f"rebuild it: stance pretrain {folder.name} --first-stage"
    try:
        with np.load(BytesIO(file.read_bytes()), allow_pickle=False) as stored:
            arrays = dict(stored)
        if str(arrays["adapter"]) != adapter:
            raise InputError(file, "belongs to another adapter", then=then)
        vectors = arrays["vectors"].astype(np.float32) * arrays["scale"]
        rows = zip(*(arrays[name].tolist() for name in COLUMNS), strict=True)
        examples = tuple(Withheld(**dict(zip(COLUMNS, row, strict=True)), text="", group=str(row[0])) for row in rows)
        if len(examples) != len(vectors):
            raise ValueError(f"{len(examples)} sentences, {len(vectors)} vectors")
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise InputError(file, f"holds no vectors ({error})", then=then) from None
    return HeldOutVectors(examples, vectors)
