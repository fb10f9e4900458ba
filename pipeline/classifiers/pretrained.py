"""Candidates that start from the shipped adapter and stay near it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.classifiers import Classifier, cascade, index_labels
from pipeline.classifiers.linear import OverEncoder, embed
from pipeline.classifiers.onnx import Precision
from pipeline.classifiers.rules import STRICT
from pipeline.data.dataset import Example
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback
from pipeline.scoring.calibration import softmax

STAGE = "first_stage.json", "first_stage.safetensors"


@dataclass(config=STRICT)
class Pretrained(OverEncoder):
    """The pretrained model as it is: nothing is learned from the examples."""

    checkpoint: str = "domain"
    max_length: int = 128
    precision: Precision = "int8"
    random_state: int = 0

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Take over the head that ships; InputError if it knows other labels."""
        from pipeline.classifiers.checkpoint import pretrained_head

        head = pretrained_head()
        if sorted(head.label_names) != sorted(label_names):
            raise InputError(
                "the pretrained model", f"knows {', '.join(head.label_names)}", expected=", ".join(label_names)
            )
        order = [head.label_names.index(name) for name in label_names]
        # Its calibration becomes part of its weights: its scores are calibrated logits.
        bias = np.array(head.calibration.bias or np.zeros(len(order)))
        self._weights = (
            head.coefficients[order] / head.calibration.temperature,
            (head.intercepts / head.calibration.temperature + bias)[order],
        )


@dataclass(config=STRICT)
class Adapted(Pretrained):
    """The start's head, moved by the examples as far as they outweigh a pull back to it.

    Minimizes the mean cross-entropy, weighted by origin, plus strength/2 times the squared distance
    from the start's weights: with few examples, or none that help, it stays the start (cf. L2-SP,
    Li et al., 2018, here for the last layer alone).
    """

    strength: float = 1.0
    weights: dict[str, float] | None = None  # of origins; 1 for those not named

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Move the head."""
        from scipy.optimize import minimize

        super().fit(examples, label_names, on_progress)
        on_progress(0.1, "embed")
        features = embed(self, [example.input for example in examples]).astype(float)
        features = np.hstack([features, np.ones((len(features), 1))])
        truth = np.eye(len(label_names))[index_labels(examples, label_names)]
        weights = np.array([(self.weights or {}).get(example.origin, 1.0) for example in examples])
        weights /= len(examples)
        start = np.hstack([self._weights[0], self._weights[1][:, None]]).astype(float)

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            head = flat.reshape(start.shape)
            probabilities = softmax(features @ head.T)
            cross = -(np.log(np.clip((probabilities * truth).sum(1), 1e-12, None)) * weights).sum()
            slope = ((probabilities - truth) * weights[:, None]).T @ features
            return cross + self.strength / 2 * ((head - start) ** 2).sum(), (
                slope + self.strength * (head - start)
            ).ravel()

        on_progress(0.9, "move the head")
        found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B").x.reshape(start.shape)
        self._weights = found[:, :-1], found[:, -1]


def first_stage(
    classifier: Classifier, label_names: Sequence[str], folder: Path | None = None
) -> cascade.FirstStage | None:
    """Return the first stage that ships with the start; None for any other classifier, whose labels it does not know.

    InputError if it was made for another adapter.
    """
    from safetensors.numpy import load_file

    from pipeline.classifiers.checkpoint import ADAPTER

    folder = folder or ADAPTER
    if type(classifier) is not Pretrained or not (folder / STAGE[0]).exists():
        return None
    values = json.loads((folder / STAGE[0]).read_text(encoding="utf-8"))
    if values["adapter"] != adapter_digest(folder):
        raise InputError(folder / STAGE[0], "belongs to another adapter", then="rebuild it: stance adapt --first-stage")
    values["rest"] = [values["rest"][values["label_names"].index(name)] for name in label_names]
    weights = load_file(folder / STAGE[1])["weights"]
    return cascade.restore(values, weights, classifier.state().blobs["tokenizer.json"])


def write_first_stage(
    stage: cascade.FirstStage, label_names: Sequence[str], facts: dict[str, object], folder: Path
) -> None:
    """Put a first stage beside the adapter that it was made for."""
    from safetensors.numpy import save_file

    values = {"adapter": adapter_digest(folder), "label_names": list(label_names), **stage.to_dict(), **facts}
    save_file({"weights": stage.weights}, folder / STAGE[1])
    (folder / STAGE[0]).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def adapter_digest(folder: Path) -> str:
    """Name an adapter and its head by their content."""
    names = ("adapter_model.safetensors", "head.safetensors", "head.json")
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in names)).hexdigest()[:16]
