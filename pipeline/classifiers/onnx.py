"""The exported form of an encoder: ONNX Runtime and the tokenizer's own fast file, no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np


def length_batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield positions in batches of like length, so that little is computed on padding.

    A batch holds as many tokens as `batch_size` texts of 32 tokens would.
    """
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

    return [
        name
        for name in ("CUDAExecutionProvider", "CPUExecutionProvider")
        if name in onnxruntime.get_available_providers()
    ]


class OnnxModel:
    """Texts in, one row of numbers each out."""

    def __init__(self, blobs: dict[str, bytes]) -> None:
        """Load `model.onnx` and `tokenizer.json` from bytes."""
        import onnxruntime
        from tokenizers import Tokenizer

        self.blobs = blobs
        self._tokenizer = Tokenizer.from_str(blobs["tokenizer.json"].decode())
        options = onnxruntime.SessionOptions()
        # All cores that are ours, or as many as who runs several of us on one machine says.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or cores)
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(blobs["model.onnx"], options, providers=providers())

    def run(self, texts: Sequence[str], batch_size: int = 32) -> np.ndarray:
        """Return the model's output, shape (n, d), in the order of the texts."""
        if not texts:
            return np.zeros((0, self._session.get_outputs()[0].shape[1]), np.float32)
        encoded = self._tokenizer.encode_batch_fast(list(texts))
        rows: list[np.ndarray] = [np.empty(0)] * len(encoded)
        for batch in length_batches([len(e.ids) for e in encoded], batch_size):
            longest = max(len(encoded[i].ids) for i in batch)
            ids = np.zeros((len(batch), longest), np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(batch):
                ids[row, : len(encoded[i].ids)] = encoded[i].ids
                mask[row, : len(encoded[i].ids)] = 1
            output = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
            for i, values in zip(batch, output, strict=True):
                rows[i] = values
        return np.stack(rows)
