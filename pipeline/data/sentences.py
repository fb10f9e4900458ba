"""From the text of an article to its sentences, with exact character spans into that text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# Lines that a web page puts around an article's own prose. Each is tested on a text that has it.
FURNITURE = [
    r"\d+ (replies|comments|responses|thoughts) (on|to) .*",
    r"comments are closed\.?",
    r"(leave a (reply|comment)|post a comment)\b.{0,40}",
    r"advertisement",
    r"stor(y|ies) continues? below.{0,30}",
    r"continue reading the main story.{0,30}",
    r"(read|see|watch) (more|also|next)( on this)?\W*",
    r"(read|watch) more: .*",
    r"more( on this)?\W*",
    r"slideshow \(\d+ images?\)",
    r"(sign up|subscribe) (for|to) .{0,80}newsletters?\b.{0,40}",
    r"(follow|like) .{1,60} on (twitter|facebook|instagram|x)\W*",
    r"(click here|copyright ©|© \d{4}|all rights reserved).{0,120}",
    r"(facebook|twitter|pinterest|email|share this|share)(\s+(facebook|twitter|pinterest|email|share))*\W*",
    r"(.{0,160} )?contributed (reporting|to this (report|story|article))\b.{0,40}",
    r"media playback is (un|not )supported on (your|this) device.*",
    r"\W*",
]
# What marks a line as the caption of a picture: a credit, nearly always at its end.
CAPTIONS = [
    r".*\b(photo(graph)?|image|picture|file photo|credit)s?\s*(by|credit)?\s*:\s*\S.{1,60}",
    r".*\((photo|image|picture|ap photo|file)\b.{0,60}\)\W*",
    r".*\b(reuters|getty images|afp|ap photo)\s*/\s*[^.!?]{2,50}",
    r"(image copyright|enlarge this image).*",
]
NOT_PROSE = re.compile("|".join(f"(?:{rule})" for rule in FURNITURE + CAPTIONS), re.IGNORECASE)
# How two pieces of one sentence end and begin: "the North Korea-U." and "S. summit", the number of a list and its
# point, "5 p.m." and "Seoul time".
ONE_SENTENCE = [
    (r"[A-Z]\.$", r"[A-Z]"),
    (r"(^|[:;])\s*\d{1,2}[.)]\s*$", r""),
    (r"\d [ap]\.m\.\s*$", r"([A-Z]\w+ ){1,3}time\b|[A-Z]{1,3}T\b"),
]
# Only a caption is long; a paragraph of this many characters that ends like one is an article's own.
LONGEST_CAPTION = 500


@dataclass(frozen=True)
class Sentence:
    """A sentence and its place: `article_text[start:end] == text`."""

    index: int
    start: int
    end: int
    text: str


def paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Yield the span of each paragraph: a line, or a block of lines that was wrapped at a width."""
    for block in re.finditer(r"\S.*(?:\n(?!\s*\n).*)*", text):
        lines = [line for line in re.finditer(r"[^\n]+", block.group()) if not line.group().isspace()]
        wrapped = len(lines) > 2 and all(40 <= len(line.group()) <= 100 for line in lines[:-1])
        for match in [re.match(r"(?s).*", block.group())] if wrapped else lines:
            assert match
            start, end = block.start() + match.start(), block.start() + match.end()
            inner = text[start:end]
            yield start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())


def prose(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of an article's own paragraphs: no captions, credits or page furniture."""
    seen: set[str] = set()
    for start, end in paragraphs(text):
        paragraph = text[start:end]
        if NOT_PROSE.fullmatch(paragraph[: LONGEST_CAPTION + 1]) or paragraph in seen:
            continue
        seen.add(paragraph)
        yield start, end


def cut(text: str) -> list[Sentence]:
    """Cut the text of an article into the sentences of its own prose, in order, not overlapping."""
    from sentencex import segment

    sentences: list[Sentence] = []
    for start, end in prose(text):
        position = start
        # Wrapped lines read as one: a space is as long as the line break that it stands for.
        for piece in _join(segment("en", text[start:end].replace("\n", " "))):
            stripped = piece.strip()
            if any(character.isalnum() for character in stripped):
                begin = position + piece.index(stripped)
                stop = begin + len(stripped)
                sentences.append(Sentence(len(sentences), begin, stop, text[begin:stop]))
            position += len(piece)
    return sentences


def _join(pieces: Iterable[str]) -> Iterator[str]:
    """Put together what was cut inside a sentence."""
    held = ""
    for piece in pieces:
        if held and not any(re.search(end, held) and re.match(begin, piece) for end, begin in ONE_SENTENCE):
            yield held
            held = ""
        held += piece
    if held:
        yield held
