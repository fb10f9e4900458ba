"""What `stance tune` tries: one YAML file, checked against the config it tunes before any work is spent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from pipeline.classifiers import create
from pipeline.config import Candidate, Config, Section, check_content, read_config, read_mapping
from pipeline.errors import InputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


class Values(Section):
    """What an option may be: anything from `low` to `high`, or one of the `choices`."""

    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)
    log: bool = False  # whether 0.1 to 1 is as wide as 1 to 10
    choices: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Values:
        if self.choices and self.model_fields_set == {"choices"}:
            return self
        if self.choices or self.low is None or self.high is None:
            raise ValueError("needs either `low` and `high`, or `choices`")
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low:g} is not above 0, which `log` needs")
        return self


class _File(Section):
    config: Path
    trials: int = Field(default=30, ge=1)
    candidates: dict[str, dict[str, Values]] = Field(min_length=1)


@dataclass(frozen=True)
class Search:
    """The options to try for one candidate of the config."""

    candidate: Candidate
    options: dict[str, Values]
    whole: frozenset[str]  # the options that are whole numbers

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the options as Optuna knows them; choices, which may be lists, as JSON."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        found: dict[str, BaseDistribution] = {}
        for name, values in self.options.items():
            if values.low is None or values.high is None:
                found[name] = CategoricalDistribution(list(dict.fromkeys(map(json.dumps, values.choices))))
            elif name in self.whole:
                found[name] = IntDistribution(int(values.low), int(values.high), log=values.log)
            else:
                found[name] = FloatDistribution(values.low, values.high, log=values.log)
        return found

    def decode(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return Optuna's parameters as options, decimal numbers with the four digits that a reader can keep."""
        choices = {name: json.loads(value) for name, value in params.items() if isinstance(value, str)}
        numbers = {name: float(f"{value:.4g}") for name, value in params.items() if isinstance(value, float)}
        return params | choices | numbers

    def place(self, options: dict[str, Any]) -> Candidate:
        """Return the candidate with options in place of its own."""
        return self.candidate.model_copy(update={"options": self.candidate.options | options})

    def corners(self) -> list[Candidate]:
        """Return the candidate with each end and each choice of each option."""
        ends = {name: values.choices or (values.low, values.high) for name, values in self.options.items()}
        return [self.place({name: value}) for name, found in ends.items() for value in found]


@dataclass(frozen=True)
class Space:
    """A config and what to try for its candidates."""

    path: Path
    config_path: Path
    config: Config
    trials: int  # for each candidate
    searches: tuple[Search, ...]


def read_space(path: Path) -> Space:
    """Read and check a search space and its config; InputError names the key that is wrong."""
    file = check_content(_File, path, read_mapping(path), "see configs/tune/default.yaml")
    config = read_config(file.config)
    known = {candidate.name: candidate for candidate in config.candidates}
    searches = []
    for name, options in file.candidates.items():
        if name not in known:
            raise InputError(path, f"{file.config} has no candidate {name!r}", expected=", ".join(known))
        searches.append(_search(path, known[name], options))
    return Space(path, file.config, config, file.trials, tuple(searches))


def _search(path: Path, candidate: Candidate, options: dict[str, Values]) -> Search:
    where = f"{path}: candidate {candidate.name!r}"
    classifier = create(candidate)
    if classifier.combines:
        then = f"tune {', '.join(classifier.parts)}"
        raise InputError(where, "is built of others and has nothing to tune", then=then)
    fields = getattr(type(classifier), "__pydantic_fields__")  # noqa: B009 - no attribute that mypy knows
    types = {name: field.annotation for name, field in fields.items() if name != "random_state"}
    known = f"options of {candidate.kind}: {', '.join(types)}"
    if not options:
        raise InputError(where, "has no option to try", expected=known)
    for name, values in options.items():
        if name not in types:
            raise InputError(where, f"unknown option `{name}`", expected=known)
        if not values.choices and types[name] not in (int, float):
            raise InputError(where, f"option `{name}` is no number and has no range", expected="`choices`")
    search = Search(candidate, options, frozenset(name for name in options if types[name] is int))
    for corner in search.corners():
        try:
            create(corner)
        except InputError as error:
            raise InputError(f"{path}: {error.where}", error.what, expected=error.expected) from None
    return search
