"""Sentences made of parts, whose labels follow from these: `labels/patterns.yaml` says which go together.

They teach what a verb, a negation or a refusal does to a position, of which news has too few examples
(cf. the templates of Ribeiro et al., 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList").
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import Field

from pipeline.config import Section, check_content, read_mapping
from pipeline.data.examples import Example
from pipeline.data.splitting import normalize
from pipeline.errors import InputError

ORIGIN = "pattern"
NEUTRAL, ELSEWHERE = 0.1, 0.06  # shares of sentences that want nothing, and that are about somebody else
AGREEMENT = re.compile(r"\[([^|\]]*)\|([^\]]*)\]")
SLOT = re.compile(r"\{(do|doing|thing|who|speaker)\}")
ATTEMPTS = 20  # draws for each sentence that is wanted; equal ones and known ones do not count


class Side(Section):
    """What one side wants, and frames that fit its things alone."""

    actions: tuple[tuple[str, str], ...] = Field(min_length=1)  # the bare form and the one in -ing
    singular: tuple[str, ...] = Field(min_length=1)
    plural: tuple[str, ...] = Field(min_length=1)
    wanted: tuple[str, ...] = Field(default=(), alias="for")
    refused: tuple[str, ...] = Field(default=(), alias="against")


class Patterns(Section):
    """All parts."""

    sides: dict[str, Side] = Field(min_length=2, max_length=2)
    elsewhere: tuple[tuple[str, str], ...] = Field(min_length=1)
    who: tuple[str, ...] = Field(min_length=1)
    speakers: tuple[str, ...] = Field(min_length=1)
    wanted: tuple[str, ...] = Field(min_length=1, alias="for")
    refused: tuple[str, ...] = Field(min_length=1, alias="against")
    neutral: tuple[str, ...] = Field(min_length=1)


def make_sentences(
    file: Path, count: int, label_names: Sequence[str], random_state: int, known: Collection[str] = ()
) -> list[Example]:
    """Draw `count` different sentences from a file of parts; `known` are normalized texts that none may equal.

    InputError where the parts are broken, do not give so many, or have sides other than all labels but one.
    """
    parts = check_content(Patterns, file, read_mapping(file), "see labels/patterns.yaml")
    rest = set(label_names) - parts.sides.keys()
    if len(rest) != 1 or len(label_names) != len(parts.sides) + 1:
        raise InputError(file, f"has the sides {', '.join(parts.sides)}", expected=f"two of {', '.join(label_names)}")
    (neutral,) = rest
    draw, found = random.Random(random_state), dict[str, tuple[str, str]]()
    for _ in range(ATTEMPTS * count):
        if len(found) == count:
            return [_example(text, label, number) for number, (text, label) in enumerate(found.values())]
        text, label = _draw(parts, neutral, draw)
        if (key := normalize(text)) not in known:
            found.setdefault(key, (text, label))
    raise InputError(file, f"gives {len(found)} different sentences", expected=f"{count}", then="add parts")


def _draw(parts: Patterns, neutral: str, draw: random.Random) -> tuple[str, str]:
    """Return a sentence and its label."""
    names = list(parts.sides)
    own, for_it = draw.randrange(2), draw.random() < 0.5
    side, chance = parts.sides[names[own]], draw.random()
    frames = (*parts.wanted, *side.wanted) if for_it else (*parts.refused, *side.refused)
    label, actions = names[own if for_it else 1 - own], side.actions
    if chance < NEUTRAL:
        label, frames = neutral, parts.neutral
    elif chance < NEUTRAL + ELSEWHERE:
        label, actions = neutral, parts.elsewhere
        frames = tuple(frame for frame in frames if "{thing}" not in frame)
    return _fill(draw.choice(frames), draw.choice(actions), side, parts, draw), label


def _fill(frame: str, action: tuple[str, str], side: Side, parts: Patterns, draw: random.Random) -> str:
    things = [(thing, 1) for thing in side.singular] + [(thing, 2) for thing in side.plural]
    thing, number = draw.choice(things)
    words = {"do": action[0], "doing": action[1], "thing": thing}
    words |= {"who": draw.choice(parts.who), "speaker": draw.choice(parts.speakers)}
    text = SLOT.sub(lambda slot: words[slot[1]], AGREEMENT.sub(lambda forms: forms[number], frame))
    return text[0].upper() + text[1:]


def _example(text: str, label: str, number: int) -> Example:
    group = f"{ORIGIN}-{number}"
    return Example(group, 0, 0, len(text), text, label, "train", group, origin=ORIGIN)
