"""What an exported model says of itself: typed, complete, and refused where a value cannot be."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from pipeline.config import Candidate, LabelNames, Language, Section, TopicWords
from pipeline.scoring.abstention import Abstention
from pipeline.scoring.calibration import Calibration
from pipeline.scoring.decision import DecisionRule

FileName = Annotated[str, Field(pattern=r"^\w[\w.-]{0,99}$")]  # a name is a name, and points nowhere else
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Probability = Annotated[float, Field(ge=0, le=1)]


class Facts(Section):
    """A part of a manifest: every number is finite."""

    model_config = ConfigDict(allow_inf_nan=False)


class TrainingData(Facts):
    """What the model has learned from."""

    digest: str
    rows: dict[str, int]  # by part/origin/label
    invented: tuple[str, ...]  # origins whose text was written for training


class Selection(Facts):
    """Why this candidate was selected, and its scores on held-out rows."""

    reason: str
    held_out: dict[str, float]


class FirstStageValues(Facts):
    """A first stage without its weights, which are a file, and its tokenizer, which is the classifier's."""

    step: float = Field(gt=0)
    intercept: float
    threshold: float
    rest: tuple[Probability, ...]


class Manifest(Facts):
    """All that is known of an exported model, and the checksum of each of its files."""

    format: Literal[2] = 2
    topic: str = "stance"
    # These came later: a manifest without them reads, and is summed up, as it was.
    topic_words: TopicWords | None = Field(default=None, exclude_if=lambda words: words is None)
    language: Language = Field(default="", exclude_if=lambda code: not code)  # what the model reads; empty: not said
    source: str = ""  # the table that was the whole data source
    label_names: LabelNames
    positive: tuple[str, ...] = ()  # the labels that count where a metric leaves one out
    targets: tuple[str, ...] = ()  # what the stances of the training were about
    metric: Literal["macro_f1", "positive_f1"] = "macro_f1"  # candidates were compared by it
    candidate: Candidate
    calibration: Calibration = Calibration()
    decision: DecisionRule = DecisionRule()
    abstention: Abstention
    first_stage: FirstStageValues | None = None
    config: str
    created: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    git_commit: str
    run_id: str = Field(pattern=r"^[\w-]*$")
    versions: dict[str, str]
    encoders: tuple[str, ...]  # the pretrained ones in the model
    data: TrainingData
    selection: Selection
    exported_form: dict[str, float] = {}  # how far it labels as the trained form does; nothing where both are one
    out_of_fold: dict[str, tuple[Probability, ...]] = {}  # predictions on held-out rows, by the example's key
    sha256: dict[FileName, Sha256] = {}
    checksum: str = ""  # of all the rest

    @model_validator(mode="after")
    def _agrees_with_its_labels(self) -> Manifest:
        size = len(self.label_names)
        if unknown := set(self.positive) - set(self.label_names):
            raise ValueError(f"positive: {min(unknown)!r} is no label")
        lengths = {"calibration.bias": len(self.calibration.bias) or size}
        lengths["decision.offsets"] = len(self.decision.offsets) or size
        lengths |= {f"out_of_fold of {key}": len(row) for key, row in self.out_of_fold.items()}
        if self.first_stage:
            lengths["first_stage.rest"] = len(self.first_stage.rest)
            if self.first_stage.rest.count(0) != 1 or abs(sum(self.first_stage.rest) - 1) > 1e-6:
                raise ValueError("first_stage.rest: expected 0 for one label and shares of 1 for the others")
        for name, length in lengths.items():
            if length != size:
                raise ValueError(f"{name}: {length} values for {size} labels")
        return self

    def checksum_of_rest(self) -> str:
        """Return the checksum of everything but itself: labels in another order would be other labels."""
        content = json.dumps(self.model_dump(mode="json", exclude={"checksum"}), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()
