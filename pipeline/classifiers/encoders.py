"""What classifiers with a pretrained encoder share; torch is imported only where one is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.classifiers import Classifier, State
from pipeline.classifiers.onnx import OnnxModel, Precision
from pipeline.classifiers.pretrained_folder import checkpoint_files, find_folder

if TYPE_CHECKING:
    from pipeline.classifiers.encoding import FrozenEncoder

DEFAULT = "all-MiniLM-L6-v2"  # it is installed with this package


class OverCheckpoint(Classifier):
    """Begins with a checkpoint: a known encoder, a folder, a name of the hub, or a pretrained model."""

    checkpoint: str
    max_length: int
    precision: Precision
    _onnx: OnnxModel | None = None  # the exported form, after a restore

    @property
    def encoder(self) -> str:
        """The checkpoint."""
        return self.checkpoint

    @property
    def knows_invented_text(self) -> bool:
        """Pretrained models do."""
        return find_folder(self.checkpoint) is not None

    @property
    def files(self) -> tuple[Path, ...]:
        """The checkpoint's."""
        return checkpoint_files(self.checkpoint)


class OverFrozen(OverCheckpoint):
    """Leaves the encoder as it is: remembers what it embedded while training, and runs the exported form later."""

    layers: tuple[int, ...]  # blocks, counted from 1, whose mean tokens stand side by side; none: the last

    def _frozen(self) -> FrozenEncoder:
        from pipeline.classifiers.encoding import frozen_encoder

        return frozen_encoder(self.checkpoint, self.max_length, self.precision, layers=self.layers)

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        return self._onnx.run(texts) if self._onnx else self._frozen().embed(texts)

    def _encoder_blobs(self) -> dict[str, bytes]:
        return self._onnx.blobs if self._onnx else self._frozen().blobs


class LinearOverFrozen(OverFrozen):
    """One linear layer over the vectors of a frozen encoder."""

    _weights: tuple[np.ndarray, np.ndarray]

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return logits, shape (n, k)."""
        return self._score(self._features(texts))

    def _score(self, features: Any) -> np.ndarray:
        coefficients, intercepts = self._weights
        return np.asarray(features @ coefficients.T + intercepts)

    def _features(self, texts: Sequence[str]) -> Any:
        return self._embed(texts)

    def state(self) -> State:
        """Return weights and the encoder in its exported form."""
        arrays = dict(zip(("coefficients", "intercepts"), self._weights, strict=True))
        return State(arrays=arrays, blobs=self._encoder_blobs())

    def restore(self, state: State) -> None:
        """Take over weights and encoder."""
        self._weights = state.weights()
        self._onnx = OnnxModel(state.blobs)
