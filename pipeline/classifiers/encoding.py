"""Encoders at work: texts through a network in batches, frozen encoders, and their exported form. Imports torch."""

from __future__ import annotations

import io
import timeit
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from pipeline.classifiers.checkpoint import load_checkpoint
from pipeline.classifiers.int8 import quantize
from pipeline.classifiers.onnx import OnnxModel, length_batches
from pipeline.classifiers.pretrained_folder import find_folder
from pipeline.data.examples import segments
from pipeline.errors import InputError

INPUTS = ("input_ids", "attention_mask")
# Any sentences: the export is traced with them, and sees which channels of the encoder are always large.
EXAMPLES = [
    "One short sentence.",
    "Why not talk?",
    "The ministers met in Geneva on Tuesday and agreed to meet again.",
    "Nobody knows how much coal crossed the border last winter, the report says.",
    "Sanctions must stay until the last reactor is sealed, the senator said.",
    '"We will return to the table when they do," he told reporters; she disagreed.',
    "In 2017, 14 of the 15 members voted for the resolution.",
    "A long war of words, tariffs and tests has left both capitals tired, poorer and no safer than they were before.",
]
LEAST_GAIN = 1.3  # of bfloat16: whoever is as fast in both stays exact, and no chance decides
_exact = ContextVar("exact", default=False)


@contextmanager
def exact() -> Iterator[None]:
    """Let encoders run in torch and in float32 here: what their exported form is compared with."""
    before = _exact.set(True)
    try:
        yield
    finally:
        _exact.reset(before)


@lru_cache(maxsize=1)
def prefers_bfloat16() -> bool:
    """Say whether bfloat16 pays on this machine: a GPU says so itself, a processor is measured, once in a process.

    Having the instructions is not enough: without matrix units (AMX) some processors are slower in bfloat16.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    return measure(torch.float32) > LEAST_GAIN * measure(torch.bfloat16)


def measure(dtype: torch.dtype) -> float:
    """Return the seconds of the fastest of some products as small encoders have them: other load only adds time."""
    first, second = torch.ones(256, 384, dtype=dtype), torch.ones(384, 1536, dtype=dtype)
    return min(timeit.repeat(lambda: first @ second, repeat=5, number=1))


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Average the hidden states of real tokens; (n, t, d) and (n, t) to (n, d)."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)


class Embedder(torch.nn.Module):
    """An encoder whose output is the mean token, as a unit vector if wished: of the last block, or of some, joined."""

    def __init__(self, encoder: Any, unit: bool, layers: Sequence[int] = ()) -> None:
        """Wrap an encoder; `layers` count its blocks from 1."""
        super().__init__()
        self.encoder, self.unit, self.layers = encoder, unit, tuple(layers)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return vectors, shape (n, d)."""
        joined = bool(self.layers)
        output = self.encoder(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=joined)
        if not joined:
            return self._pool(output.last_hidden_state, attention_mask)
        parts = [self._pool(output.hidden_states[layer], attention_mask) for layer in self.layers]
        return torch.cat(parts, dim=-1) / len(parts) ** 0.5

    def _pool(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        pooled = mean_pool(hidden, mask).float()
        return torch.nn.functional.normalize(pooled, dim=-1) if self.unit else pooled


class FrozenEncoder:
    """A checkpoint as it is, in its exported form: what a linear model learns from is what ships.

    Remembers what it embedded, so that folds and candidates share the work.
    """

    def __init__(
        self, checkpoint: str, max_length: int, precision: str, base: str = "", layers: tuple[int, ...] = ()
    ) -> None:
        """Load and export the checkpoint; `base` is the encoder's folder where the checkpoint is a pretrained model."""
        self._tokenizer, encoder = load_checkpoint(checkpoint, base)
        if layers and not 0 < min(layers) <= max(layers) <= (blocks := encoder.config.num_hidden_layers):
            raise InputError(
                f"checkpoint {checkpoint!r}", f"has {blocks} blocks", expected=f"`layers` from 1 to {blocks}"
            )
        self._max_length = max_length
        # The head of a pretrained model was trained on vectors of any length.
        self._embedder = Embedder(encoder, find_folder(checkpoint) is None, layers)
        self.blobs = to_onnx(self._embedder, self._tokenizer, max_length, precision)
        self._model = OnnxModel(self.blobs)
        self._known: dict[str, np.ndarray] = {}

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return vectors, shape (n, d)."""
        if _exact.get():
            return run(self._embedder, self._tokenizer, texts, self._max_length)
        new = sorted(set(texts) - self._known.keys())
        if new:
            self._known.update(zip(new, self._model.run(new), strict=True))
        return np.stack([self._known[text] for text in texts]) if texts else self._model.run([])


frozen_encoder = lru_cache(maxsize=4)(FrozenEncoder)  # a model, its smaller one, both experts


def encode(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Return the tokens of each text; a target goes before it as a segment of its own."""
    tokens: list[list[int]] = tokenizer(list(map(segments, texts)), truncation=True, max_length=max_length)["input_ids"]
    return tokens


def run(model: torch.nn.Module, tokenizer: Any, texts: Sequence[str], max_length: int) -> np.ndarray:
    """Run a model over texts in batches of like length; rows come back in the order of the texts."""
    if not texts:
        return run(model, tokenizer, [""], max_length)[:0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).eval()
    encoded = encode(tokenizer, texts, max_length)
    rows: list[Any] = [None] * len(encoded)
    fast = not _exact.get() and prefers_bfloat16()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=fast):
        for batch in length_batches([len(ids) for ids in encoded], 64):
            padded = tokenizer.pad({"input_ids": [encoded[i] for i in batch]}, return_tensors="pt").to(device)
            output = model(padded["input_ids"], padded["attention_mask"])
            for i, row in zip(batch, output.float().cpu().numpy(), strict=True):
                rows[i] = row
    return np.stack(rows)


def to_onnx(model: torch.nn.Module, tokenizer: Any, max_length: int, precision: str) -> dict[str, bytes]:
    """Export a model and its tokenizer as the files that `OnnxModel` runs, in `int8` or `float32`."""
    from tokenizers import Tokenizer

    model = model.to("cpu").float().eval()
    example = tokenizer(EXAMPLES, padding=True, return_tensors="pt")
    inputs = {name: example[name] for name in INPUTS}
    file = io.BytesIO()
    with torch.inference_mode(), warnings.catch_warnings():
        # The tracer warns of indices that could be negative; the test compares outputs instead.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            tuple(inputs.values()),
            file,
            input_names=list(INPUTS),
            output_names=["output"],
            dynamic_axes=dict.fromkeys(INPUTS, {0: "n", 1: "t"}) | {"output": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    exported = file.getvalue()
    if precision == "int8":
        exported = quantize(exported, {name: tensor.numpy() for name, tensor in inputs.items()})
    fast = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    fast.enable_truncation(max_length)
    fast.no_padding()
    return {"model.onnx": exported, "tokenizer.json": str(fast.to_str()).encode()}
