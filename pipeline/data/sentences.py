"""From the text of an article to its sentences, with exact character spans into that text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.data.furniture import find_kind, is_repeat

# How two pieces of one sentence end and begin: "the North Korea-U." and "S. summit", the number of a list and its
# point, "5 p.m." and "Seoul time".
ONE_SENTENCE = [
    (re.compile(end), re.compile(begin))
    for end, begin in (
        (r"[A-Z]\.$", r"[A-Z]"),
        (r"(^|[:;])\s*\d{1,2}[.)]\s*$", r""),
        (r"\d [ap]\.m\.\s*$", r"([A-Z]\w+ ){1,3}time\b|[A-Z]{1,3}T\b"),
    )
]
# The beginning of a line of a list.
LISTED = re.compile(r"(?:[-*•·‣–—]|\(?(?:\d{1,2}|[A-Za-z]|[ivx]+)[.)])\s")
# A headline: a line that does not end like a sentence, before text that does.
TITLE = re.compile(r"[^\n]{5,150}")
SENTENCE_END = re.compile(r"[.,;:!?…][”\"’')\]]*\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Sentence:
    """A sentence and its place: `article_text[start:end] == text`, or in the title where that is not in the text."""

    index: int
    start: int
    end: int
    text: str
    is_title: bool = False
    on_topic: bool = True  # whether it has to do with what the model is about, as far as anybody asked


@dataclass(frozen=True)
class Dropped:
    """What an article holds that is no sentence of its own: its place, and what it is."""

    start: int
    end: int
    text: str
    kind: str


def paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Yield the span of each paragraph: a line, or a block of lines that was wrapped at a width."""
    for block in re.finditer(r"\S.*(?:\n(?!\s*\n).*)*", text):
        lines = [line for line in re.finditer(r"[^\n]+", block.group()) if not line.group().isspace()]
        wrapped = _is_wrapped([line.group().strip() for line in lines])
        for match in [re.match(r"(?s).*", block.group())] if wrapped else lines:
            assert match
            start, end = block.start() + match.start(), block.start() + match.end()
            inner = text[start:end]
            yield start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())


def _is_wrapped(lines: list[str]) -> bool:
    """Say whether lines are a paragraph that was wrapped at a width, and no list: they end within sentences."""
    if len(lines) < 3 or not all(40 <= len(line) <= 100 for line in lines[:-1]):
        return False
    go_on = sum(line[0].islower() for line in lines[1:])
    items = sum(bool(LISTED.match(line)) for line in lines)
    ends = sum(line[-1] in ".;!?" for line in lines[:-1])
    return 3 * go_on >= len(lines) - 1 and 2 * max(items, ends) < len(lines)


def find_title(text: str) -> str:
    """Return the headline that a text begins with; empty where its first line is a sentence of it or furniture."""
    spans = paragraphs(text)
    start, end = next(spans, (0, 0))
    line = text[start:end]
    if not TITLE.fullmatch(line) or " " not in line or SENTENCE_END.search(line) or LISTED.match(line):
        return ""
    return line if SENTENCE_END.search(text, end) and not find_kind(line) else ""


def read_prose(text: str, title: str = "") -> tuple[list[Sentence], list[Dropped]]:
    """Cut an article into the sentences of its title and its own prose, and say what else stands in it.

    Sentences are in order and do not overlap. A title that the text does not begin with is the first sentence.
    """
    from sentencex import segment

    sentences: list[Sentence] = []
    dropped: list[Dropped] = []
    seen: set[str] = set()
    heading = _words(title)
    for start, end in paragraphs(text):
        paragraph = text[start:end]
        is_title = not seen and bool(heading) and _is_title(_words(paragraph), heading)
        goes_on = text[max(0, start - 2) : start].strip(" \t\r") not in ("", "\n\n")
        kind = "" if is_title else find_kind(paragraph, goes_on=goes_on)
        if not kind and not goes_on and paragraph in seen and (paragraph == title or is_repeat(paragraph)):
            kind = "repeated"
        if kind:
            dropped.append(Dropped(start, end, paragraph, kind))
            continue
        if heading and not seen and not is_title:
            sentences.append(Sentence(0, 0, len(title), title, True))
            seen.add(title)
        seen.add(paragraph)
        position = start
        # Wrapped lines read as one: a space is as long as the line break that it stands for.
        for piece in _join(segment("en", paragraph.replace("\n", " "))):
            stripped = piece.strip()
            begin = position + piece.index(stripped)
            stop = begin + len(stripped)
            if any(character.isalpha() for character in stripped):
                sentences.append(Sentence(len(sentences), begin, stop, text[begin:stop], is_title))
            elif stripped:
                dropped.append(Dropped(begin, stop, text[begin:stop], "no words"))
            position += len(piece)
    if heading and not seen:
        sentences.append(Sentence(0, 0, len(title), title, True))
    return sentences, dropped


def cut(text: str, title: str = "") -> list[Sentence]:
    """Cut an article into sentences, as `read_prose` does."""
    return read_prose(text, title)[0]


def _is_title(words: list[str], title: list[str]) -> bool:
    """Say whether a line has the words of a title, behind which a page may name itself."""
    return words == title or len(words) > 2 and words == title[: len(words)] and len(title) - len(words) < 5


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _join(pieces: Iterable[str]) -> Iterator[str]:
    """Put together what was cut inside a sentence."""
    held = ""
    for piece in pieces:
        if held and not any(begin.match(piece) and end.search(held) for end, begin in ONE_SENTENCE):
            yield held
            held = ""
        held += piece
    if held:
        yield held
