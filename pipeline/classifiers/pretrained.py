"""The pretrained models that ship, as they are or with their last layer moved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from pipeline.classifiers import STRICT, Classifier, State, T, index_labels
from pipeline.classifiers.cascade import FirstStage, SecondStage, SecondValues, restore
from pipeline.classifiers.encoders import LinearOverFrozen
from pipeline.classifiers.expert import Expert, Router, Routing, restore_router
from pipeline.classifiers.held_out_vectors import read_vectors, write_vectors
from pipeline.classifiers.onnx import Precision
from pipeline.classifiers.pretrained_folder import (
    ADAPTER,
    EXPERT,
    FIRST_STAGE,
    HEAD,
    PREFIX,
    REBUILD,
    SECOND_STAGE,
    Head,
    checkpoint_files,
    digest_files,
    find_folder,
    read_head,
)
from pipeline.data.examples import Example
from pipeline.data.files import write_whole
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback
from pipeline.scoring.abstention import Abstention
from pipeline.scoring.calibration import Calibration, softmax
from pipeline.scoring.decision import DecisionRule

if TYPE_CHECKING:
    from pipeline.classifiers.encoding import FrozenEncoder

SECOND, BESIDE = "second", "expert"  # what other models are named in a state; their parts begin with it


class WithOthers(LinearOverFrozen):
    """A linear layer over an encoder, and perhaps others beside it.

    An expert reads some texts in its place; a smaller model has a share in what it says.
    """

    _expert: Expert | None = None
    _second: SecondStage | None = None

    def second_stage(self) -> SecondStage | None:
        """Return the smaller model, which may answer alone where it is confident."""
        return self._second

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return logits, shape (n, k): its own, the expert's, or its own and those of the smaller model."""
        alone = super().decision_function
        scores = self._expert.read(texts, alone) if self._expert else alone(texts)
        return self._second.mix(texts, scores) if self._second else scores

    def state(self) -> State:
        """Return weights and encoder, and those of the others."""
        state = super().state()
        if self._expert:
            state = _add(BESIDE, self._expert.router.to_dict(), self._expert.classifier, state)
            state.arrays["router"] = self._expert.router.weights
        return _add(SECOND, self._second.to_dict(), self._second.classifier, state) if self._second else state

    def restore(self, state: State) -> None:
        """Take over weights and encoder, and those of the others."""
        if SECOND in state.values:
            values = dict(state.value(SECOND, SecondValues))
            smaller, state = _take(SECOND, state)
            self._second = SecondStage(smaller, **values)
        if BESIDE in state.values:
            values, tokenizer = state.value(BESIDE, Routing).model_dump(), state.blobs[f"{BESIDE}_tokenizer.json"]
            expert, state = _take(BESIDE, state)
            self._expert = Expert(restore_router(values, state.arrays.pop("router"), tokenizer), expert)
        super().restore(state)
        # What tries a model when it is loaded need not be what an expert reads.
        if self._expert and self._expert.classifier.decision_function([""]).shape != (1, len(self._weights[1])):
            raise ValueError("the expert knows other labels")


def _add(name: str, values: dict[str, Any], other: Classifier, state: State) -> State:
    """Return a state with another model's in it, and what is known of that one."""
    inner = other.state()
    return State(
        state.values | {name: values} | _under(f"{name}_", inner.values),
        state.arrays | _under(f"{name}_", inner.arrays),
        state.blobs | _under(f"{name}_", inner.blobs),
    )


def _take(name: str, state: State) -> tuple[WithOthers, State]:
    """Return another model, restored, and the state without it."""
    prefix, parts, other = f"{name}_", vars(state).values(), Pretrained()
    other.restore(
        State(*({k.removeprefix(prefix): v for k, v in part.items() if k.startswith(prefix)} for part in parts))
    )
    rest = ({k: v for k, v in part.items() if k != name and not k.startswith(prefix)} for part in parts)
    return other, State(*rest)


def _under(prefix: str, parts: dict[str, T]) -> dict[str, T]:
    return {prefix + name: part for name, part in parts.items()}


@dataclass(config=STRICT)
class Pretrained(WithOthers):
    """A pretrained model as it is: nothing is learned from the examples."""

    chosen_on_real_text: ClassVar[bool] = True

    model: str = "small"  # or `accurate`, or the folder of another one
    checkpoint: str = ""  # a folder with its encoder, where that is not to be fetched
    max_length: int = 128
    precision: Precision = "int8"
    random_state: int = 0

    @property
    def encoder(self) -> str:
        """The pretrained model's name as a checkpoint, or its folder."""
        return self.model if find_folder(self.model) else PREFIX + self.model

    @property
    def folder(self) -> Path:
        """Where it lies."""
        folder = find_folder(self.encoder)
        assert folder
        return folder

    @property
    def knows_invented_text(self) -> bool:
        """It was trained on it."""
        return True

    @property
    def files(self) -> tuple[Path, ...]:
        """Its own, and its encoder's where that lies in a folder."""
        return checkpoint_files(self.encoder) + (checkpoint_files(self.checkpoint) if self.checkpoint else ())

    def own_abstention(self) -> Abstention | None:
        """Return what was found on the validation part that it was calibrated on."""
        stored = self._facts["abstain"]
        return Abstention.from_dict(stored) if stored else None

    def own_decision(self, label_names: Sequence[str]) -> DecisionRule:
        """Return the rule that serves macro-F1 best on the part that it was calibrated on."""
        offsets = dict(
            zip(read_head(self.folder).label_names, self._facts["decision"].get("offsets", ()), strict=False)
        )
        return DecisionRule(tuple(offsets[name] for name in label_names) if offsets else ())

    @property
    def _facts(self) -> dict[str, Any]:
        """What was found on the validation part: of both models, where a smaller one is beside it."""
        return _read_second_facts(self.folder) or read_head(self.folder).facts

    @property
    def tokenizer(self) -> bytes:
        """Its encoder's, as a file."""
        return self._encoder_blobs()["tokenizer.json"]

    def first_stage(self, label_names: Sequence[str]) -> FirstStage | None:
        """Return the first stage that ships with it."""
        return read_first_stage(self.folder, label_names, self.tokenizer)

    def score_held_out(self) -> tuple[Sequence[Example], np.ndarray] | None:
        """Score the vectors that ship with it."""
        held_out = read_vectors(self.folder, model_digest(self.folder))
        return (held_out.examples, self._score(held_out.vectors)) if held_out else None

    def write_held_out(self, examples: Sequence[Example]) -> int:
        """Put the vectors of sentences that it never learned from beside it, but for those that its expert reads.

        Return how many those are that it reads itself.
        """
        expert = read_expert(self.folder, read_head(self.folder).label_names)
        takes = expert.router.takes([row.input for row in examples]) if expert else np.zeros(len(examples), bool)
        kept = list(compress(examples, ~takes))
        write_vectors(self.folder, model_digest(self.folder), kept, self._embed([row.input for row in kept]))
        return len(kept)

    def _frozen(self) -> FrozenEncoder:
        from pipeline.classifiers.encoding import frozen_encoder

        return frozen_encoder(self.encoder, self.max_length, self.precision, self.checkpoint)

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Take over the head that ships; InputError if it knows other labels."""
        head = read_head(self.folder)
        if sorted(head.label_names) != sorted(label_names):
            raise InputError(
                "the pretrained model", f"knows {', '.join(head.label_names)}", expected=", ".join(label_names)
            )
        self._weights = calibrated_weights(head, label_names)
        self._expert = read_expert(self.folder, label_names)
        self._second = _read_second_stage(self.folder, label_names)


@dataclass(config=STRICT)
class Adapted(Pretrained):
    """The pretrained head, moved by labels of one's own as far as they outweigh a pull back to it.

    Minimizes the sum of cross-entropies plus strength/2 times the squared distance from the pretrained weights:
    with few examples it stays near where it was (cf. L2-SP, Li et al., 2018, here for the last layer alone).
    """

    chosen_on_real_text: ClassVar[bool] = False
    learns_from_own_labels: ClassVar[bool] = True

    strength: float = 200.0

    def own_abstention(self) -> None:
        """Its scores are not those that a threshold was found on."""

    def first_stage(self, label_names: Sequence[str]) -> None:
        """Its labels are not those that a first stage was distilled from."""

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Move the head, and that of the expert by what it reads; without examples they stay the pretrained ones."""
        super().fit(examples, label_names, on_progress)
        self._second = None  # its labels are not those that a smaller model was compared with
        takes = np.zeros(len(examples), bool)
        if self._expert and examples:
            takes = self._expert.router.takes([example.input for example in examples])
            _move(self._expert.classifier, list(compress(examples, takes)), label_names, self.strength)
        on_progress(0.5, "move the head")
        _move(self, list(compress(examples, ~takes)), label_names, self.strength)


def _move(model: LinearOverFrozen, examples: Sequence[Example], label_names: Sequence[str], strength: float) -> None:
    """Move a model's head by examples, against a pull back to where it is."""
    from scipy.optimize import minimize

    if not examples:
        return
    features = model._embed([example.input for example in examples]).astype(float)
    features = np.hstack([features, np.ones((len(features), 1))])
    truth = np.eye(len(label_names))[index_labels(examples, label_names)]
    anchor = np.hstack([model._weights[0], model._weights[1][:, None]]).astype(float)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        head = flat.reshape(anchor.shape)
        probabilities = softmax(features @ head.T)
        cross = -np.log(np.clip((probabilities * truth).sum(1), 1e-12, None)).sum()
        away = head - anchor
        slope = (probabilities - truth).T @ features + strength * away
        return cross + strength / 2 * (away**2).sum(), slope.ravel()

    moved = minimize(loss, anchor.ravel(), jac=True, method="L-BFGS-B").x.reshape(anchor.shape)
    model._weights = moved[:, :-1], moved[:, -1]


def ordered_calibration(head: Head, label_names: Sequence[str], stored: dict[str, Any] | None = None) -> Calibration:
    """Return a head's calibration, or one that is stored in the order of its labels, in the order of these."""
    calibration = Calibration.from_dict(stored or head.facts["calibration"])
    bias = dict(zip(head.label_names, calibration.bias, strict=False))
    return replace(calibration, bias=tuple(bias[name] for name in label_names) if bias else ())


def calibrated_weights(head: Head, label_names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return weights in the order of these labels, with the calibration in them: scores are calibrated logits."""
    order, calibration = [head.label_names.index(name) for name in label_names], ordered_calibration(head, label_names)
    intercepts = head.intercepts[order] / calibration.temperature + np.array(calibration.bias or 0.0)
    return head.coefficients[order] / calibration.temperature, intercepts


def read_first_stage(folder: Path, label_names: Sequence[str], tokenizer: bytes) -> FirstStage | None:
    """Return the first stage of a pretrained model for labels in this order, None where it has none.

    InputError if it was made for another adapter.
    """
    from safetensors.numpy import load_file

    if not (folder / FIRST_STAGE[0]).exists():
        return None
    values = json.loads((folder / FIRST_STAGE[0]).read_text(encoding="utf-8"))
    if values["adapter"] != model_digest(folder):
        raise InputError(folder / FIRST_STAGE[0], "belongs to another adapter", then=f"{REBUILD} --first-stage")
    values["rest"] = [values["rest"][values["label_names"].index(name)] for name in label_names]
    return restore(values, load_file(folder / FIRST_STAGE[1])["weights"], tokenizer)


def write_first_stage(stage: FirstStage, label_names: Sequence[str], facts: dict[str, object], folder: Path) -> None:
    """Put a first stage beside the adapter that it was made for; the weights first, as the rest names both."""
    from safetensors.numpy import save_file

    values = {"adapter": model_digest(folder), "label_names": list(label_names), **stage.to_dict(), **facts}
    with write_whole(folder / FIRST_STAGE[1]) as weights, write_whole(folder / FIRST_STAGE[0]) as described:
        save_file({"weights": stage.weights}, weights)
        described.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def read_expert(folder: Path, label_names: Sequence[str]) -> Expert | None:
    """Return the expert beside a pretrained model, for labels in this order, None where it has none.

    InputError if one of the two has been trained anew since.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    file = folder / EXPERT[0]
    if not file.exists():
        return None
    try:
        facts, weights = json.loads(file.read_text(encoding="utf-8")), load_file(folder / EXPERT[1])["weights"]
        expert, bound = Pretrained(model=facts["model"]), [facts["adapter"], facts["expert"]]
        values = Routing(**facts).model_dump()
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        raise InputError(file, f"names no expert ({error!r})", then=REBUILD) from None
    if bound != [adapter_digest(folder), adapter_digest(expert.folder)]:
        raise InputError(file, "belongs to other adapters", then=REBUILD)
    expert.fit([], label_names, lambda share, words: None)
    return Expert(restore_router(values, weights, expert.tokenizer), expert)


def write_expert(model: str, router: Router, facts: dict[str, Any], folder: Path) -> None:
    """Put an expert's name and the router beside the adapter that it helps; the weights first."""
    from safetensors.numpy import save_file

    expert = adapter_digest(Pretrained(model=model).folder)
    values = {"adapter": adapter_digest(folder), "model": model, "expert": expert, **router.to_dict(), **facts}
    with write_whole(folder / EXPERT[1]) as weights, write_whole(folder / EXPERT[0]) as described:
        save_file({"weights": router.weights}, weights)
        described.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _read_second_facts(folder: Path) -> dict[str, Any] | None:
    """Return what is known of a smaller model beside a pretrained one, None where there is none.

    InputError if one of the two has been trained anew since.
    """
    if not (folder / SECOND_STAGE).exists():
        return None
    facts = json.loads((folder / SECOND_STAGE).read_text(encoding="utf-8"))
    smaller = model_digest(Pretrained(model=facts["model"]).folder)
    if [facts["adapter"], facts["smaller"]] != [adapter_digest(folder), smaller]:
        raise InputError(folder / SECOND_STAGE, "belongs to other adapters", then=REBUILD)
    return facts


def _read_second_stage(folder: Path, label_names: Sequence[str]) -> SecondStage | None:
    """Return the smaller model beside a pretrained one, for labels in this order."""
    facts = _read_second_facts(folder)
    if not facts:
        return None
    smaller = Pretrained(model=facts["model"])
    smaller.fit([], label_names, lambda share, words: None)
    head = read_head(folder)
    own = ordered_calibration(read_head(smaller.folder), label_names), ordered_calibration(head, label_names)
    joint = ordered_calibration(head, label_names, facts["calibration"])
    return SecondStage(smaller, facts["least"], facts["share"], own, joint)


def write_second_stage(model: str, stage: dict[str, Any], facts: dict[str, Any], folder: Path) -> None:
    """Put a smaller model's name beside the adapter that it is asked before, with what was found of the two."""
    smaller = model_digest(Pretrained(model=model).folder)
    values = {"adapter": adapter_digest(folder), "model": model, "smaller": smaller, **stage, **facts}
    with write_whole(folder / SECOND_STAGE) as partial:
        partial.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def adapter_digest(folder: Path) -> str:
    """Name an adapter and its head by their content."""
    return digest_files(folder, (ADAPTER[1], HEAD[1], HEAD[0]))


def model_digest(folder: Path) -> str:
    """Name a pretrained model by its adapter and head, and by the others beside it if there are any."""
    return digest_files(folder, (ADAPTER[1], HEAD[1], HEAD[0], *EXPERT, SECOND_STAGE))
