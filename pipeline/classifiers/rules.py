"""The baselines: what one scores without learning anything about language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline.classifiers import STRICT, Classifier, State, index_labels
from pipeline.config import read_yaml
from pipeline.data.examples import Example, divide
from pipeline.errors import InputError, describe_invalid
from pipeline.progress import ProgressCallback


@dataclass(config=STRICT)
class Majority(Classifier):
    """Answer with how common each label was, whatever the text."""

    random_state: int = 0

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Count labels."""
        counts = np.bincount(index_labels(examples, label_names), minlength=len(label_names))
        self._scores = np.log((counts + 1) / (counts.sum() + len(label_names)))

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return the same row for each text."""
        return np.tile(self._scores, (len(texts), 1))

    def state(self) -> State:
        """Return the counts as log-shares."""
        return State(arrays={"scores": self._scores})

    def restore(self, state: State) -> None:
        """Take over log-shares."""
        self._scores = state.arrays["scores"]


@dataclass(config=STRICT)
class Keywords(Classifier):
    """Count the phrases of a small lexicon, which maps labels to regular expressions: what one tries without training.

    A label without phrases is the answer when no phrase, or equally many of each side, are found.
    """

    lexicon: Path
    random_state: int = 0

    @property
    def files(self) -> tuple[Path, ...]:
        """The lexicon."""
        return (self.lexicon,)

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Read the lexicon; nothing is learned."""
        phrases = read_yaml(self.lexicon)
        try:
            TypeAdapter(dict[str, list[re.Pattern[str]]]).validate_python(phrases)
        except ValidationError as error:
            what, expected = f"is no lexicon ({describe_invalid(error)})", "labels with lists of regular expressions"
            raise InputError(self.lexicon, what, expected=expected) from None
        if unknown := sorted(phrases.keys() - set(label_names)):
            raise InputError(self.lexicon, f"unknown label {unknown[0]!r}", expected=", ".join(label_names))
        self._phrases = [list(phrases.get(name, ())) for name in label_names]

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return phrase counts; a label without phrases scores a half, or 1.5 against a tie."""
        patterns = [re.compile("|".join(p) or r"(?!)", re.IGNORECASE) for p in self._phrases]
        counts = np.array([[len(pattern.findall(divide(text)[1])) for pattern in patterns] for text in texts], float)
        counts = counts.reshape(len(texts), len(patterns))
        default = np.array([not phrases for phrases in self._phrases])
        ranked = np.sort(counts, axis=1)
        tie = (ranked[:, -1] > 0) & (ranked[:, -1] == ranked[:, -2])
        return np.where(default, np.where(tie, ranked[:, -1] + 0.5, 0.5)[:, None], counts)

    def state(self) -> State:
        """Return the lexicon."""
        return State(values={"phrases": self._phrases})

    def restore(self, state: State) -> None:
        """Take over a lexicon."""
        self._phrases = state.value("phrases", list[list[str]])
