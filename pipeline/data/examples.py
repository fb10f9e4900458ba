"""A labelled sentence, and the one string that classifiers read of it: its target, if it has one, and its text."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

# What may stand between a target and a text, and in neither of them: their white space is single blanks.
BREAK = "\n"


@dataclass(frozen=True)
class Example:
    """A sentence with its label, where it stands, and where its article comes from."""

    article_id: str
    sentence_index: int
    start: int
    end: int
    text: str
    label: str
    split: str
    group: str  # near-duplicate articles share it
    origin: str = ""
    outlet: str = ""
    date: str = ""
    style: str = ""
    target: str = ""  # what the stance is about, where a data set asks about several things
    sampling: str = ""  # how it was chosen to be labelled; a strategy's name where a model's doubt chose it

    @property
    def id(self) -> str:
        """Name the sentence by article and span."""
        return f"{self.article_id}:{self.start}-{self.end}"

    @property
    def key(self) -> str:
        """Name the sentence by what is read as well: an id may come to mean another text."""
        return f"{self.id}#{hashlib.sha256(self.input.encode()).hexdigest()[:8]}"

    @property
    def input(self) -> str:
        """What a classifier reads."""
        return join(self.text, self.target)


def join(text: str, target: str = "") -> str:
    """Return what a classifier reads: the text in one line, and the target in a line before it."""
    text, target = " ".join(text.split()), " ".join(target.split())
    return f"{target}{BREAK}{text}" if target else text


def divide(given: str) -> tuple[str, str]:
    """Return the target ("" if there is none) and the text of what `join` returned."""
    target, _, text = given.rpartition(BREAK)
    return target, text


def segments(given: str) -> str | tuple[str, str]:
    """Return what a tokenizer takes: a text, or target and text as two segments."""
    target, text = divide(given)
    return (target, text) if target else text
