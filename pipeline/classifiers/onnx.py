"""The exported form of an encoder: ONNX Runtime and the tokenizer's own fast file, no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np

from pipeline.classifiers.tokenizer import load_tokenizer
from pipeline.data.examples import segments

Precision = Literal["int8", "float32"]


def length_batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield positions in batches of like length, each with as many tokens as `batch_size` texts of 32 tokens have."""
    batch: list[int] = []
    for position in np.argsort(lengths, kind="stable"):
        if batch and (len(batch) + 1) * lengths[position] > batch_size * 32:
            yield batch
            batch = []
        batch.append(int(position))
    if batch:
        yield batch


def providers() -> list[str]:
    """Return what the installed ONNX Runtime computes on, best first: a GPU if it was built for one."""
    import onnxruntime

    known = onnxruntime.get_available_providers()
    return [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in known]


class OnnxModel:
    """Texts in, one row of numbers each out."""

    def __init__(self, blobs: dict[str, bytes]) -> None:
        """Load `model.onnx` and `tokenizer.json` from bytes; ValueError if they do not fit or want other files."""
        import onnxruntime

        self.blobs = blobs
        self._tokenizer = load_tokenizer(blobs["tokenizer.json"])
        if self._tokenizer.truncation is None:
            raise ValueError("tokenizer.json does not say how long a text may be")
        # Weights that lie in another file name it under this key; a graph has no other use for the word.
        if b"location" in blobs["model.onnx"]:
            raise ValueError("model.onnx keeps weights in another file")
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.load_model_format", "ONNX")
        # Cores work on batches of their own: no one waits for another inside a layer.
        options.intra_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised
        self._session = onnxruntime.InferenceSession(blobs["model.onnx"], options, providers=providers())
        self._score([[max(self._tokenizer.get_vocab().values())]])  # fails if the network knows fewer words

    def run(self, texts: Sequence[str]) -> np.ndarray:
        """Return the model's output, shape (n, d), in the order of the texts."""
        if not texts:
            return np.zeros((0, self._session.get_outputs()[0].shape[1]), np.float32)
        encoded = [tokens.ids for tokens in self._tokenizer.encode_batch_fast([segments(text) for text in texts])]
        batches = list(length_batches([len(ids) for ids in encoded], 16))
        rows: list[np.ndarray] = [np.empty(0)] * len(encoded)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # Who runs several of us on one machine, as Ray does, says how many threads each may have.
        with ThreadPoolExecutor(int(os.environ.get("OMP_NUM_THREADS") or cores)) as pool:
            outputs = pool.map(lambda batch: self._score([encoded[i] for i in batch]), batches)
            for batch, output in zip(batches, outputs, strict=True):
                for i, values in zip(batch, output, strict=True):
                    rows[i] = values
        return np.stack(rows)

    def _score(self, encoded: Sequence[Sequence[int]]) -> np.ndarray:
        ids = np.zeros((len(encoded), max(map(len, encoded))), np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(encoded):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return np.asarray(self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0])
