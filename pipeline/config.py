"""One YAML file becomes one frozen, validated configuration."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import InputError

COLUMNS = ("id", "text", "label", "target", "split", "article", "source", "outlet", "date")  # of a labelled table


def probability_column(label: str) -> str:
    """Return the column of a label's probability: `p_` and the label, its hyphens and blanks as underscores."""
    return "p_" + label.replace("-", "_").replace(" ", "_")


def _check_name(name: str) -> str:
    if not name.strip():
        raise ValueError("is empty; expected a name")
    if name != name.strip() or not name.isprintable():
        raise ValueError(f"{name!r} has blanks at an end or invisible characters; remove them")
    return name


def _check_unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    names = [getattr(value, "name", value) for value in values]
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise ValueError(f"duplicate {', '.join(duplicates)}")
    return values


def _check_columns(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Check that each label has a column of its own, also where capitals do not count."""
    owners: dict[str, str] = {}
    for label in labels:
        column = probability_column(label).casefold()
        if (owner := owners.setdefault(column, label)) != label:
            raise ValueError(f"{owner!r} and {label!r} would share the column {column}; rename one")
    return labels


def _check_known(columns: dict[str, str]) -> dict[str, str]:
    if unknown := [name for name in columns if name not in COLUMNS]:
        raise ValueError(f"unknown column {unknown[0]}; expected {', '.join(COLUMNS)}")
    return columns


def _check_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression ({error})") from None
    if pattern != pattern.lower():
        raise ValueError(f"{pattern!r} has capitals; write small letters, which match both")
    return pattern


def _check_options(options: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(options)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"no manifest can hold it: {error}; expected numbers, texts and lists of them") from None
    return options


def _check_output(output: Path) -> Path:
    if output.name in ("", "..") or output.suffix in (".previous", ".challenger"):
        raise ValueError(f"{str(output)!r} cannot be the model's folder; expected one such as models/champion")
    return output


Name = Annotated[str, AfterValidator(_check_name)]
Unique = AfterValidator(_check_unique)
Pattern = Annotated[str, AfterValidator(_check_pattern)]
Language = Annotated[str, Field(pattern=r"^([a-z]{2,3})?$")]
LabelNames = Annotated[tuple[Name, ...], Field(min_length=2), Unique, AfterValidator(_check_columns)]


class Section(BaseModel):
    """A part of the configuration: frozen, and every key known."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Data(Section):
    """Where the text and its labels come from: articles and annotations, or one labelled table."""

    seeds: Path = Path("seeds")
    labels: Path = Path("labels")
    # A labelled file, or a folder that `datasets` loads, as the whole data in place of seeds and labels.
    table: Path | None = None
    # The same as a data set of the Hugging Face hub; taken where `table` is not.
    hub: str | None = None
    # Its subsets, target -> name, where it has one for each target.
    subsets: dict[str, str] = Field(default_factory=dict)
    # Names of columns where they differ from ours.
    columns: Annotated[dict[str, str], AfterValidator(_check_known)] = Field(default_factory=dict)
    # Sentences of real documents, brought here by `stance train` or `stance corpora`; none unless named.
    corpora: Path | None = None
    # Where they are asked for (STANCE_CORPORA_HOST says another place); null: nobody is asked, as by STANCE_OFFLINE=1.
    corpora_host: str | None = Field(default="https://raw.githubusercontent.com", pattern="^https?://")
    # Share of the rows that `stance split` gives to the test part.
    test_share: float = Field(default=0.2, gt=0, lt=1)
    # Share of the rows of a table without a split column that candidates are compared on.
    validation_share: float = Field(default=0.1, ge=0, lt=1)
    # Origins whose text was written for training: events, quotes and figures are invented.
    invented: tuple[str, ...] = ("authored", "contrast", "pattern", "single")
    # Take no more articles than this from each origin and part (0: all); for quick tries.
    limit: int = Field(default=0, ge=0)

    @property
    def external(self) -> Path:
        """The folder of labels that name their texts by place."""
        return self.labels / "external"

    @property
    def source(self) -> str:
        """Name the table that is the whole data source; empty where there is none."""
        return str(self.hub if self.hub and not (self.table and self.table.exists()) else self.table or "")

    @model_validator(mode="after")
    def _leaves_a_train_part(self) -> Data:
        if self.test_share + self.validation_share >= 1:
            raise ValueError("test_share and validation_share leave no row to train on")
        return self


class Selection(Section):
    """How candidates are compared: on real text, by cross-validation or on a validation part."""

    folds: int = Field(default=5, ge=2)
    # Too few real rows to calibrate on: below this all rows are used.
    real_rows: int = Field(default=200, ge=1)
    # Whether a simpler candidate wins when the best one is not shown to be better.
    prefer_simple: bool = True
    resamples: int = Field(default=1000, ge=100)
    # What is compared: the mean F1 over all labels, or over the positive ones.
    metric: Literal["macro_f1", "positive_f1"] = "macro_f1"


class EvaluationSettings(Section):
    """What a model is tried on beside its test part, where there is something for its labels."""

    lexicon: Path | None = None  # of the keyword list that it should beat
    behaviour: Path | None = None  # a folder of sentences whose answer is beyond doubt
    obvious: Path | None = None  # words that anybody would search for


class Abstain(Section):
    """When a prediction may say `uncertain` (`stance predict --abstain`)."""

    # The share of the answered rows that shall be right.
    precision: float = Field(default=0.9, gt=0, lt=1)


class TopicWords(Section):
    """Regular expressions in small letters that say what a sentence is about; configs/topic.yaml is an example."""

    topic: Annotated[tuple[Pattern, ...], Field(min_length=1)]  # names the topic
    related: tuple[Pattern, ...] = ()  # names it in a text that has one of these, and in a short one
    other: tuple[Pattern, ...] = ()  # names another topic, where nothing names this one


class Candidate(Section):
    """One classifier to try: its kind, and the options of that kind."""

    name: Name
    kind: str
    options: Annotated[dict[str, Any], AfterValidator(_check_options)] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        """Take every key beside `name` and `kind` as an option; the name defaults to the kind."""
        if not isinstance(value, dict) or "options" in value:
            return value
        options = dict(value)
        kind = options.pop("kind", None)
        return {"kind": kind, "name": options.pop("name", kind), "options": options}


class Config(Section):
    """Everything a training depends on, beside the data itself."""

    name: Name
    topic: str = "stance"  # what the model card and the report say it is about
    # A file of `TopicWords`: `stance predict` marks sentences that have nothing to do with the topic.
    topic_words: Path | None = None
    # What the model reads, as `en`: articles in other languages are rejects. Empty: none are.
    language: Language = ""
    label_names: LabelNames
    # The labels that count where a metric leaves one out, as the official ones of stance detection do.
    positive: Annotated[tuple[str, ...], Unique] = ()
    random_state: int = Field(default=0, ge=0, lt=2**32)
    data: Data = Data()
    selection: Selection = Selection()
    evaluation: EvaluationSettings = EvaluationSettings()
    abstain: Abstain = Abstain()
    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1), Unique]
    output: Annotated[Path, AfterValidator(_check_output)] = Path("models/champion")
    # Names the registered model and the experiment in MLflow, for data of your own the config's name unless given; its
    # aliases are named after `output`.
    registered_model: str = Field(default="stance", pattern=r"^[\w-]{1,100}$")
    cache: Path = Path(".cache")

    @model_validator(mode="after")
    def _known_positives(self) -> Config:
        if unknown := [name for name in self.positive if name not in self.label_names]:
            raise ValueError(f"positive: {unknown[0]!r} is no label; expected some of {', '.join(self.label_names)}")
        if self.selection.metric == "positive_f1" and not self.positive:
            raise ValueError("positive: none is named, though selection.metric is positive_f1")
        return self


T = TypeVar("T", bound=BaseModel)


def read_yaml(path: Path) -> Any:
    """Read a YAML file; InputError where it cannot be read or is none."""
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(path, error.strerror or "cannot be read") from None
    except RecursionError:
        raise InputError(path, "invalid YAML: brackets within brackets without end") from None
    # PyYAML passes on what `int` and `date` say of a value: "month must be in 1..12".
    except (yaml.YAMLError, ValueError, AttributeError) as error:
        raise InputError(path, f"invalid YAML: {error}") from None


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file of keys and values."""
    if not path.exists():
        beside = sorted(path.parent.glob("*.yaml")) if path.parent != Path() else []
        known = ", ".join(map(str, beside or sorted(Path("configs").glob("*.yaml"))))
        then = f"there are: {known}" if known else "give one with --config; the README shows how to write it"
        raise InputError(path, "No such file or directory", then=then)
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(path, "is no mapping", expected="keys such as `candidates:`")
    for key in content:
        if not isinstance(key, str):
            raise InputError(path, f"key {key!r} is no word", expected='quotes around a key such as "no" or "on"')
    return content


def read_config(path: Path | str) -> Config:
    """Read and check a configuration file; InputError names the key that is wrong."""
    path = Path(path)
    content = read_mapping(path)
    config = check_content(Config, path, {"name": path.stem} | content)
    if config.data.source and "registered_model" not in content:
        own = re.sub(r"[^\w-]+", "-", config.name)[:100]
        return config.model_copy(update={"registered_model": own})
    return config


def read_topic_words(path: Path) -> TopicWords:
    """Read the words that name a topic and others; InputError names the one that is wrong."""
    return check_content(TopicWords, path, read_mapping(path), "see configs/topic.yaml")


def check_content(model: type[T], path: Path, content: Any, then: str = "see configs/default.yaml") -> T:
    """Return the content of a file as a model of it; InputError names the first key that is wrong."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise _refusal(model, path, error.errors()[0], then) from None


def _refusal(model: Any, path: Path, problem: Any, then: str) -> InputError:
    *parents, _ = place = problem["loc"] or ("",)
    key, value = ".".join(map(str, place)), problem["input"]
    if problem["type"] == "extra_forbidden":
        for name in parents:
            inner = [model.model_fields[name].annotation] if hasattr(model, "model_fields") else get_args(model)
            model = [each for each in inner if each is not ...][-1]
        return InputError(path, f"unknown key `{key}`", expected=f"one of {', '.join(sorted(model.model_fields))}")
    if problem["type"] in ("string_type", "path_type") and isinstance(value, bool | int | float | date):
        kind = "a yes or no" if isinstance(value, bool) else f"the {type(value).__name__} {value}"
        quotes = 'quotes around a text such as "no", "on" or "1"'
        return InputError(path, f"`{key}`: YAML reads {kind}", expected=quotes)
    what, _, expected = problem["msg"].removeprefix("Value error, ").partition("; expected ")
    where = f"`{key}`: " if key else ""  # what concerns several keys names them itself
    return InputError(path, f"{where}{what}", expected=expected, then=then)
