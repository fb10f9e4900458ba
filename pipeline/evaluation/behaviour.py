"""Behaviour tests: small sentences whose answer is beyond doubt (Ribeiro et al., 2020, "Beyond Accuracy").

A sentence must get a label; sentences that differ in nothing that matters must get the same label; a change must move
a probability one way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import read_yaml
from pipeline.errors import InputError, raise_problems
from pipeline.scoring.decision import DecisionRule

LIKELIEST = DecisionRule().decide
# Keys of a case, by its kind.
SHAPES = {"minimum": {"text", "label"}, "invariance": {"same"}, "direction": {"text", "than", "more"}}


@dataclass(frozen=True)
class Case:
    """One test: its texts, and the label that it is about ("" for an invariance)."""

    capability: str
    kind: str
    texts: tuple[str, ...]
    label: str = ""

    @property
    def wanted(self) -> str:
        """Say in words what passes."""
        words = {"minimum": f"is {self.label}", "invariance": "all get the same label"}
        return words.get(self.kind, f"the first is more {self.label}")


@dataclass(frozen=True)
class CaseResult:
    """A case as a model met it: probabilities of shape (texts, k)."""

    case: Case
    probabilities: np.ndarray
    labels: tuple[str, ...]
    passed: bool


@dataclass(frozen=True)
class Suite:
    """All cases as a model met them."""

    results: tuple[CaseResult, ...]

    @property
    def rate(self) -> float:
        """The share that passes."""
        return sum(result.passed for result in self.results) / len(self.results)

    @property
    def capabilities(self) -> dict[str, tuple[int, int]]:
        """Passed cases and all cases by capability, in the order of the files."""
        total = Counter(result.case.capability for result in self.results)
        passed = Counter(result.case.capability for result in self.results if result.passed)
        return {name: (passed[name], count) for name, count in total.items()}

    @property
    def failures(self) -> list[CaseResult]:
        """The cases that did not pass."""
        return [result for result in self.results if not result.passed]


def read_cases(folder: Path | None, label_names: Sequence[str]) -> list[Case]:
    """Read every `*.yaml` of a folder, if any (capability -> list of cases); InputError lists what is wrong."""
    cases: list[Case] = []
    problems: list[InputError] = []
    for file in sorted(folder.glob("*.yaml")) if folder else ():
        content = read_yaml(file)
        if not isinstance(content, dict):
            raise InputError(file, "not a mapping", expected="capability: list of cases")
        for capability, rows in content.items():
            for number, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
                where = f"{file}: {capability!r}, case {number}"
                try:
                    cases.append(_case(str(capability), row, where, label_names))
                except InputError as error:
                    problems.append(error)
    raise_problems(problems)
    return cases


def _case(capability: str, row: Any, where: str, label_names: Sequence[str]) -> Case:
    keys = set(row) if isinstance(row, dict) else set()
    kind = next((kind for kind, shape in SHAPES.items() if shape == keys), None)
    if kind is None:
        known = " or ".join("{" + ", ".join(sorted(shape)) + "}" for shape in SHAPES.values())
        raise InputError(where, f"has the keys {', '.join(sorted(map(str, keys))) or 'none'}", expected=known)
    label = row.get("label", row.get("more", ""))
    if label and label not in label_names:
        raise InputError(where, f"unknown label {label!r}", expected=", ".join(label_names))
    texts = row["same"] if kind == "invariance" else [row[key] for key in ("text", "than") if key in row]
    if not isinstance(texts, list) or any(not isinstance(text, str) or not text.strip() for text in texts):
        raise InputError(where, "holds something that is no text", expected="sentences, quoted where they hold a colon")
    if kind == "invariance" and len(texts) < 2:
        raise InputError(where, f"`same` holds {len(texts)} sentence", expected="two or more")
    return Case(capability, kind, tuple(texts), label)


def try_cases(
    cases: Sequence[Case],
    predict_proba: Callable[[Sequence[str]], np.ndarray],
    label_names: Sequence[str],
    decide: Callable[[np.ndarray], np.ndarray] = LIKELIEST,
) -> Suite | None:
    """Put all cases to a model in one batch; None where there is no case.

    `predict_proba` maps n texts to probabilities, shape (n, k), and `decide` these to label indices, shape (n,).
    """
    if not cases:
        return None
    probabilities = predict_proba([text for case in cases for text in case.texts])
    ends = np.cumsum([len(case.texts) for case in cases])
    labels = np.array(label_names)[decide(probabilities)]
    parts = zip(cases, np.split(probabilities, ends[:-1]), np.split(labels, ends[:-1]), strict=True)
    return Suite(tuple(_check(case, own, given.tolist(), label_names) for case, own, given in parts))


def _check(case: Case, probabilities: np.ndarray, labels: list[str], label_names: Sequence[str]) -> CaseResult:
    if case.kind == "minimum":
        passed = labels[0] == case.label
    elif case.kind == "invariance":
        passed = len(set(labels)) == 1
    else:
        first, second = probabilities[:, list(label_names).index(case.label)]
        passed = bool(first > second)
    return CaseResult(case, probabilities, tuple(labels), passed)
