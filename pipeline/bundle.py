"""The exported folder: write it whole or not at all, verify each byte, load it without MLflow.

Nothing in it runs code when loaded: JSON, safetensors, ONNX.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.classifiers import Classifier, State, cascade, create
from pipeline.config import Candidate
from pipeline.data.examples import Example, divide, join
from pipeline.errors import InputError
from pipeline.scoring.abstention import UNCERTAIN, Abstention
from pipeline.scoring.calibration import Calibration

FORMAT = 1
MANIFEST, CARD, VALUES, ARRAYS = "manifest.json", "README.md", "values.json", "arrays.safetensors"
FIRST_STAGE, TOKENIZER = "first_stage.safetensors", "tokenizer.json"


@dataclass(frozen=True)
class Bundle:
    """A champion as loaded from its folder."""

    manifest: dict[str, Any]
    classifier: Classifier
    calibration: Calibration
    digest: str  # of the manifest, which names the digest of every other file
    first_stage: cascade.FirstStage | None = None

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, in the order of the probabilities."""
        return tuple(self.manifest["label_names"])

    @property
    def positive(self) -> list[int]:
        """The positive labels by index; empty where none was named."""
        return [self.label_names.index(name) for name in self.manifest.get("positive", ())]

    @property
    def targets(self) -> tuple[str, ...]:
        """What the stances of the training were about; empty where the data named no target."""
        return tuple(self.manifest.get("targets", ()))

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
        """Return texts as the model reads them: wrapped or not, a sentence is the same."""
        if not self.targets:
            return [join(text) for text in texts]
        return [self.read(text, target) for target, text in map(divide, texts)]

    @property
    def abstention(self) -> Abstention | None:
        """When to say `uncertain`; None where the manifest says nothing of it."""
        stored = self.manifest.get("abstain")
        return Abstention.from_dict(stored) if stored else None

    def least_confidence(self) -> float:
        """Return the confidence below which to say `uncertain`; InputError where the manifest has none."""
        found, then = self.abstention, "train again, with more held-out real text or a lower `abstain.precision`"
        if UNCERTAIN in self.label_names:
            raise InputError("--abstain", f"{UNCERTAIN!r} is a label of this model", then="predict without it")
        if found is None:
            raise InputError("--abstain", "the model's manifest holds no threshold", then="train again")
        if found.confidence is None:
            raise InputError("--abstain", f"the model's manifest holds no threshold: {found}", then=then)
        return found.confidence

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Return calibrated probabilities as `stance predict` does, shape (n, len(label_names)).

        Where the model knows targets, each text must be what `read` returns.
        """
        return self.predict_in_stages(texts)[0]

    def predict_in_stages(self, texts: Sequence[str], *, exact: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities, and for which texts they are those of the first stage, shape (n,).

        Where `exact`, or where there is no first stage, the classifier scores every text.
        """
        texts = self.normalize(texts)
        probabilities = np.empty((len(texts), len(self.label_names)))
        sure = np.zeros(len(texts), bool)
        if self.first_stage is not None and not exact:
            sure, found = self.first_stage.answer(texts)
            probabilities[sure] = found
        unsure = [text for text, known in zip(texts, sure, strict=True) if not known]
        probabilities[~sure] = self.calibration.apply(self.classifier.decision_function(unsure))
        return probabilities, sure


def write_bundle(
    folder: Path,
    classifier: Classifier,
    candidate: Candidate,
    calibration: Calibration,
    facts: dict[str, Any],
    card: str,
    first_stage: cascade.FirstStage | None = None,
) -> None:
    """Write a champion beside its place, then put it there; what stood there before goes last.

    Args:
        folder: where it goes.
        classifier: fitted on the whole training part.
        candidate: its name, kind and options.
        calibration: fitted on out-of-fold scores.
        facts: what else the manifest says: label_names, versions, data, metrics.
        card: the model card, Markdown.
        first_stage: answers before the classifier where it is sure; it shares its tokenizer.

    """
    from safetensors.numpy import save

    state = classifier.state()
    files = {
        CARD: card.encode(),
        VALUES: json.dumps(state.values, ensure_ascii=False).encode(),
        ARRAYS: save({name: np.ascontiguousarray(array) for name, array in state.arrays.items()}),
        **state.blobs,
    }
    if first_stage is not None:
        files[FIRST_STAGE] = save({"weights": first_stage.weights})
        facts = facts | {"first_stage": first_stage.to_dict()}
    manifest = {
        "format": FORMAT,
        **facts,
        "candidate": candidate.model_dump(mode="json"),
        "calibration": calibration.to_dict(),
    }
    _put(folder, manifest, files)


def add_card(folder: Path, card: str, facts: dict[str, Any]) -> None:
    """Give an exported folder its card, and what has become known since the export; seal it again."""
    manifest = read_manifest(folder)
    _put(folder, manifest | facts, _read_files(folder, manifest) | {CARD: card.encode()})


def _put(folder: Path, manifest: dict[str, Any], files: dict[str, bytes]) -> None:
    """Write files and their sealed manifest beside a place, then put them there."""
    manifest = manifest | {"sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}}
    manifest["seal"] = seal(manifest)
    files = files | {MANIFEST: (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()}
    partial, old = folder.with_name(f".{folder.name}.partial"), folder.with_name(f".{folder.name}.old")
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, content in files.items():
        (partial / name).write_bytes(content)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def seal(manifest: dict[str, Any]) -> str:
    """Name the content of a manifest, its own seal apart: labels in another order would be other labels."""
    rest = {key: value for key, value in manifest.items() if key != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check the manifest alone."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise InputError(folder, "holds no exported model", then="run `make train` first") from None
    except (OSError, ValueError) as error:
        raise InputError(folder / MANIFEST, f"cannot be read ({error})", then="export again: make train") from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        raise InputError(folder / MANIFEST, f"format {found!r}", expected=str(FORMAT), then="export again: make train")
    if manifest.get("seal") != seal(manifest):
        raise InputError(folder / MANIFEST, "was changed after the export", then="export again: make train")
    return manifest


def load_bundle(folder: Path) -> Bundle:
    """Verify and load an exported folder; InputError if a byte has changed."""
    from safetensors.numpy import load

    manifest = read_manifest(folder)
    files = _read_files(folder, manifest)
    values, arrays = json.loads(files.pop(VALUES)), load(files.pop(ARRAYS))
    files.pop(CARD)
    first_stage = None
    if "first_stage" in manifest:
        weights = load(files.pop(FIRST_STAGE))["weights"]
        first_stage = cascade.restore(manifest["first_stage"], weights, files[TOKENIZER])
    classifier = create(Candidate(**manifest["candidate"]))
    classifier.restore(State(values, arrays, files))
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()[:16]
    return Bundle(manifest, classifier, Calibration.from_dict(manifest["calibration"]), digest, first_stage)


def _read_files(folder: Path, manifest: dict[str, Any]) -> dict[str, bytes]:
    """Read every file that the manifest names; InputError if a byte has changed."""
    files: dict[str, bytes] = {}
    for name, expected in manifest["sha256"].items():
        # A name is a name: a manifest from elsewhere must not point out of its folder.
        if Path(name).name != name or not (folder / name).is_file():
            raise InputError(folder / name, "is missing", then="export again: make train")
        files[name] = (folder / name).read_bytes()
        found = hashlib.sha256(files[name]).hexdigest()
        if found != expected:
            raise InputError(
                folder / name,
                f"was changed after the export (sha256 {found[:12]}...)",
                expected=f"{expected[:12]}...",
                then="export again: make train",
            )
    return files
