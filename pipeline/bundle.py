"""The exported folder: write it whole or not at all, verify each byte, load it without MLflow.

Nothing in it runs code when loaded: JSON, safetensors, ONNX.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from pipeline.classifiers import Classifier, State, cascade, create
from pipeline.config import probability_column
from pipeline.data.examples import Example, divide, join
from pipeline.data.files import write_whole_folder
from pipeline.errors import InputError, describe_invalid
from pipeline.manifest import FirstStageValues, Manifest
from pipeline.scoring.abstention import UNCERTAIN, Abstention

MANIFEST, CARD, VALUES, ARRAYS = "manifest.json", "README.md", "values.json", "arrays.safetensors"
FIRST_STAGE, TOKENIZER = "first_stage.safetensors", "tokenizer.json"
AGAIN = "train again: make train"
# What a model is tried on when it is loaded: nothing, a sentence, and as many tokens as a sentence may have.
PROBES = ("", "One #hashtag, one sentence.", ". " * 2500)


@dataclass(frozen=True)
class Bundle:
    """A champion as loaded from its folder."""

    manifest: Manifest
    classifier: Classifier
    first_stage: cascade.FirstStage | None = None

    @property
    def stages(self) -> dict[str, cascade.FirstStage | cascade.SecondStage]:
        """What answers before the classifier, by the name that rows have for it."""
        stages = {"first": self.first_stage, "second": self.classifier.second_stage()}
        return {name: stage for name, stage in stages.items() if stage is not None}

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, in the order of the probabilities."""
        return self.manifest.label_names

    @property
    def digest(self) -> str:
        """Name the model by its manifest, which holds the checksum of every other file."""
        return self.manifest.checksum[:16]

    @property
    def targets(self) -> tuple[str, ...]:
        """What the stances of the training were about; empty where the data named no target."""
        return self.manifest.targets

    def read(self, text: str, target: str = "") -> str:
        """Return what the model reads of a text; InputError if it wants a target and there is none.

        A model that knows no target reads the text alone.
        """
        if not self.targets:
            return join(text)
        if not target.strip():
            known = ", ".join(self.targets)
            raise InputError("no target", f"the model reads one with each text ({known})", expected="a `target` column")
        return join(text, target)

    def read_examples(self, examples: Sequence[Example]) -> list[str]:
        """Return what the model reads of examples."""
        return [self.read(example.text, example.target) for example in examples]

    def normalize(self, texts: Sequence[str]) -> list[str]:
        """Return texts as the model reads them: wrapped or not, a sentence is the same; a bare string is one text."""
        texts = [texts] if isinstance(texts, str) else texts
        if not self.targets:
            return [join(text) for text in texts]
        return [self.read(text, target) for target, text in map(divide, texts)]

    @property
    def abstention(self) -> Abstention:
        """When to say `uncertain`."""
        return self.manifest.abstention

    def least_confidence(self) -> float:
        """Return the confidence below which to say `uncertain`; InputError where the manifest has none."""
        then = "train again, with more held-out real text or a lower `abstain.precision`"
        if UNCERTAIN in self.label_names:
            raise InputError("--abstain", f"{UNCERTAIN!r} is a label of this model", then="predict without it")
        if self.abstention.confidence is None:
            raise InputError("--abstain", str(self.abstention), then=then)
        return self.abstention.confidence

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the label index of each row of probabilities, shape (n,): not always the likeliest one."""
        return self.manifest.decision.decide(probabilities)

    @property
    def columns(self) -> list[str]:
        """The columns of an answer: label, confidence and a probability for each label."""
        return ["label", "confidence", *map(probability_column, self.label_names)]

    def describe(self, probabilities: np.ndarray) -> list[dict[str, Any]]:
        """Return probabilities, shape (n, k), as n answers by `columns`; the confidence is that in the label given."""
        labels = self.decide(probabilities).tolist()
        return [
            dict(zip(self.columns, (self.label_names[label], row[label], *row), strict=True))
            for label, row in zip(labels, probabilities.tolist(), strict=True)
        ]

    def label(self, texts: str | Iterable[str], target: str = "") -> list[dict[str, Any]]:
        """Label texts, a sentence each: a row for each, its text and `columns`.

        A bare string is one sentence; `target` is what the stances are about, where a model was trained with targets.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        for number, text in enumerate(texts, 1):
            if not isinstance(text, str):
                raise InputError(f"text {number}", f"{text!r} is no text", expected="strings, one for each sentence")
        answers = self.describe(self.predict_proba([self.read(text, target) for text in texts]))
        return [{"text": text} | answer for text, answer in zip(texts, answers, strict=True)]

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Return calibrated probabilities as `stance predict` does, shape (n, len(label_names)).

        Where the model knows targets, each text must be what `read` returns.
        """
        return self.predict_in_stages(texts)[0]

    def predict_in_stages(self, texts: Sequence[str], *, exact: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities, and who answered: a name of `stages`, or `full` for the classifier, shape (n,).

        Where `exact`, the classifier scores every text.
        """
        texts = self.normalize(texts)
        probabilities = np.empty((len(texts), len(self.label_names)))
        who = np.full(len(texts), "full", object)
        for name, stage in () if exact else self.stages.items():
            rest = np.flatnonzero(who == "full")
            sure, answers = stage.answer([texts[row] for row in rest])
            probabilities[rest[sure]], who[rest[sure]] = answers, name
        rest = np.flatnonzero(who == "full")
        scores = self.classifier.decision_function([texts[row] for row in rest])
        probabilities[rest] = self.manifest.calibration.apply(scores)
        return probabilities, who


def write_bundle(
    folder: Path,
    classifier: Classifier,
    manifest: Manifest,
    card: str,
    first_stage: cascade.FirstStage | None = None,
) -> None:
    """Write an exported model, a classifier that was fitted on the whole train part and what answers before it.

    It is written beside its place, then put there; what stood there before goes last. The checksums and the numbers of
    the stages are filled into the manifest; the first stage shares the classifier's tokenizer.
    """
    from safetensors.numpy import save

    state = classifier.state()
    files = {
        CARD: card.encode(),
        VALUES: json.dumps(state.values, ensure_ascii=False).encode(),
        ARRAYS: save({name: np.ascontiguousarray(array) for name, array in state.arrays.items()}),
        **state.blobs,
    }
    filled: dict[str, object] = {}
    if first_stage is not None:
        files[FIRST_STAGE] = save({"weights": first_stage.weights})
        filled["first_stage"] = FirstStageValues(**first_stage.to_dict())
    filled["sha256"] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = manifest.model_copy(update=filled)
    manifest = manifest.model_copy(update={"checksum": manifest.checksum_of_rest()})
    files[MANIFEST] = (json.dumps(manifest.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n").encode()
    with write_whole_folder(folder) as partial:
        for name, content in files.items():
            (partial / name).write_bytes(content)


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest alone."""
    place = folder / MANIFEST
    if not os.path.isfile(place):  # and no pipe, which would be waited for; a name that cannot be is no file either
        raise InputError(folder, "holds no exported model", then="run `make train` first")
    try:
        manifest = Manifest.model_validate_json(_read(place), strict=True)
    except ValidationError as error:
        raise InputError(place, describe_invalid(error), then=AGAIN) from None
    if manifest.checksum != manifest.checksum_of_rest():
        raise InputError(place, "was changed after the export", then=AGAIN)
    return manifest


def load_bundle(folder: Path | str) -> Bundle:
    """Verify an exported folder, load it and try it; InputError if a byte has changed or it cannot score."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    files = _read_files(folder, manifest)
    try:
        bundle = _restore(manifest, files)
        _try(bundle)
    except Exception as error:
        # Whoever changes a file can change its checksum: each library then has its own word for what it cannot read.
        why = (str(error).splitlines() or [""])[0][:200]
        raise InputError(folder, f"cannot be loaded ({type(error).__name__}: {why})", then=AGAIN) from error
    return bundle


def _read_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Read every file that the manifest names; InputError if a byte has changed."""
    files: dict[str, bytes] = {}
    for name, expected in manifest.sha256.items():
        files[name] = _read(folder / name)
        actual = hashlib.sha256(files[name]).hexdigest()
        if actual != expected:
            what = f"was changed after the export (sha256 {actual[:12]}...)"
            raise InputError(folder / name, what, expected=f"{expected[:12]}...", then=AGAIN)
    return files


def _read(file: Path) -> bytes:
    if not os.path.isfile(file):
        raise InputError(file, "is missing", then=AGAIN)
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(file, f"cannot be read ({error.strerror})") from None


def _restore(manifest: Manifest, files: dict[str, bytes]) -> Bundle:
    from safetensors.numpy import load

    classifier = create(manifest.candidate)
    blobs = {name: content for name, content in files.items() if name not in (CARD, VALUES, ARRAYS, FIRST_STAGE)}
    classifier.restore(State(json.loads(files[VALUES]), _finite(load(files[ARRAYS])), blobs))
    first_stage = None
    if manifest.first_stage:
        weights = load(files[FIRST_STAGE])["weights"]
        first_stage = cascade.restore(manifest.first_stage.model_dump(), weights, files[TOKENIZER])
    return Bundle(manifest, classifier, first_stage)


def _finite(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("an array holds a number that is none")
    return arrays


def _try(bundle: Bundle) -> None:
    """Score a few texts, the longest one among them; ValueError unless there is a number for each label."""
    texts = [join(text, target) for text in PROBES for target in bundle.targets[:1] or ("",)]
    scores = bundle.classifier.decision_function(texts)
    expected = len(texts), len(bundle.label_names)
    if scores.shape != expected:
        raise ValueError(f"scores of shape {scores.shape}, expected {expected}")
    if not np.isfinite(bundle.predict_proba(texts)).all():
        raise ValueError("a probability that is no number")
