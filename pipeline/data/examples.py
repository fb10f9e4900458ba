"""A labelled sentence, and the one string that classifiers read of it: its target, if it has one, and its text."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

# What may stand between a target and a text, and in neither of them: their white space is single blanks.
BREAK = "\n"
BROKEN = re.compile(r"\b(?P<first>[^\W\d_]+)[-\u00ad][ \t]*\r?\n[ \t]*(?P<second>[a-z]+)")
# What stands before a hyphen that belongs to the word.
WHOLE = frozenset(
    "self anti non two three four five six seven eight nine first second third well long high low vice cross medium "
    "hard full half much".split()
)
ENDING = re.compile("t?er|ers|ment|dent|ing|ed|al|ton|tion|ly|ity|ous|ism|ist|ence|ance")


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
    own: bool = False  # real text that was labelled here: it neither ships with this project nor was fetched

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
    text, target = " ".join(rejoin(text).split()), " ".join(target.split())
    return f"{target}{BREAK}{text}" if target else text


def rejoin(text: str) -> str:
    """Return a text whose words that were cut at the end of a line are whole; two words with a hyphen keep it."""
    return BROKEN.sub(_rejoin, text).replace("\u00ad", "") if "-" in text or "\u00ad" in text else text


def _rejoin(broken: re.Match[str]) -> str:
    first, second = broken["first"], broken["second"]
    # "Kim Jong-un" and the like: capitals before, and no ending of an English word behind.
    is_name = first[:1].isupper() and len(first) < 6 and len(second) < 5 and not ENDING.fullmatch(second)
    return f"{first}-{second}" if is_name or first.lower() in WHOLE else first + second


def divide(given: str) -> tuple[str, str]:
    """Return the target ("" if there is none) and the text of what `join` returned."""
    target, _, text = given.rpartition(BREAK)
    return target, text


def segments(given: str) -> str | tuple[str, str]:
    """Return what a tokenizer takes: a text, or target and text as two segments."""
    target, text = divide(given)
    return (target, text) if target else text
