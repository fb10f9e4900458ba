"""Who is said to say, to want or to do something in a sentence: its cues, each a verb or noun and its subject."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.coverage.phrases import Mention, Sentence, infinitives, words

# Letters (phrases.py) between a subject and its verb: nothing but adverbs and auxiliaries ...
GAP = re.compile(r"(?:[c.]?w)?(?:[hv]|fv)*$")
# ... or an apposition, a clause, or what belongs to the noun.
BESIDE = re.compile(r"c[^SATq.s]*(?:w[^q.]*)?c[hv]*$|w[^SAqs]*$|[fo][^SATq.cs]*c?[hv]*$|c[hv]+$|c(?=[DM])[^SATq.sc]*$")
FAR = re.compile(r"c[^SAq.]*c[hv]*$")
SHARED = re.compile(r"a[hv]*$")  # he came and said
OWNED, PURPOSE = re.compile("g[Mxv]{0,2}[nSAT]"), re.compile("[fh]v*([SA])")  # his call; is at pains to stress
ACCORDING, BEGINS = re.compile(r"\b[Aa]ccording to "), re.compile("(?:^|qc?)$")
UNREAL = frozenset("should must could can may might".split())


class Cue(NamedTuple):
    """A verb or noun that makes a speaker of somebody."""

    kind: str  # S says, A wants, T does
    subject: Mention
    position: int
    hearsay: bool = False  # according to


def find_cues(sentence: Sentence) -> Iterator[Cue]:
    """Yield who says, wants or does something."""
    letters, found = sentence.letters, list[Cue]()
    for verb, kind in enumerate(letters):
        if kind not in "SAT" or (verb and letters[verb - 1] == "o"):
            continue
        subject = _find_subject(sentence, verb)
        if subject is None and SHARED.search(letters, 0, verb):
            subject = _find_shared(sentence, found, kind, verb)
        if subject is not None:
            found.append(Cue(kind, subject, verb))
    if not any(cue.kind in "SA" for cue in found):
        found += _find_purpose(sentence)
    yield from found
    owners = {mention.last: mention for mention in sentence.mentions} if "g" in letters else {}
    for match in OWNED.finditer(letters):
        if sentence.word(match.end() - 1) in words("deeds") and match.start() in owners:
            yield Cue("A", owners[match.start()], match.end() - 1)
    starts = {mention.start: mention for mention in sentence.mentions} if "ccording to " in sentence.text else {}
    for match in ACCORDING.finditer(sentence.text) if starts else ():
        if match.end() in starts:
            yield Cue("S", starts[match.end()], starts[match.end()].first, hearsay=True)


def _find_shared(sentence: Sentence, found: list[Cue], kind: str, verb: int) -> Mention | None:
    """Return the subject that a verb shares with one before it: he said that China came, and added."""
    same = [cue for cue in found if cue.kind == kind] if kind == "S" else []
    if same or found:
        return (same or found)[-1].subject
    return next((m for m in sentence.mentions if m.last < verb and not m.is_governed), None)


def _find_purpose(sentence: Sentence) -> Iterator[Cue]:
    """Yield who is at pains to stress something."""
    for match in PURPOSE.finditer(sentence.letters):
        verb = match.start(1)
        subject = next((m for m in sentence.mentions if m.last <= match.start() and not m.is_governed), None)
        if subject is not None and sentence.word(match.start()) == "to":
            yield Cue(match[1], subject, verb)


def _find_subject(sentence: Sentence, verb: int) -> Mention | None:
    """Return who does what the verb at this word says."""
    letters, mentions = sentence.letters, sentence.mentions
    before = [m for m in mentions if m.last <= verb]
    free = [m for m in before if not m.is_governed and letters[m.last] != "g"]
    if sentence.word(verb).endswith("ing"):
        return _find_subject_of_participle(sentence, verb, before, free)
    gap = letters[before[-1].last : verb] if before else "."
    if before and "," in before[-1].text:
        gap = gap.removeprefix("c")  # the minister, Kim Soup, said
    if before and GAP.match(gap) and (not before[-1].is_governed or "w" in gap):
        # Of one person or country "support" is a noun, "supports" a verb.
        is_noun = not gap and sentence.word(verb) in infinitives() and not _is_several(before[-1])
        return None if is_noun else before[-1]
    if not BEGINS.search(letters[:verb]):
        for pattern, order in ((BESIDE, free), (FAR, free[::-1])):
            for m in order:
                if pattern.match(letters[m.last : verb]):
                    return m
    after = next((m for m in mentions if m.first == verb + 1), None)
    # "...", said the minister
    return after if letters[verb] == "S" and (verb == 0 or letters[verb - 1] in "qc") else None


def _find_subject_of_participle(
    sentence: Sentence, verb: int, before: list[Mention], free: list[Mention]
) -> Mention | None:
    """Return who is saying, wanting or doing something."""
    letters, last = sentence.letters, before[-1] if before else None
    if last and free and last.text.split()[-1].lower() in words("documents"):
        return free[0]  # the ministry issued a statement saying
    gap = letters[last.last : verb] if last else "."
    if last and (GAP.match(gap) or (gap == "s" and sentence.word(verb - 1) == "as")):
        return last  # with the minister saying; quoted him as saying
    if letters[max(verb - 1, 0)] in "fo":
        return None
    later = (m for m in sentence.mentions if m.first > verb and letters[m.first - 1] in "c.")
    return next(iter(free), None) or next(later, None)


def _is_several(mention: Mention) -> bool:
    parts = mention.text.lower().split()
    return (
        "and" in parts
        or parts[-1].endswith("s")
        or bool({parts[0], parts[-1]} & (words("plurals") | words("several") | {"they", "we", "i"}))
    )


def nearest(sentence: Sentence, cues: list[Cue]) -> Cue:
    """Return the cue that stands nearest to a quotation; a verb of saying before others at the same place."""
    flags = [False, *sentence.quoted, False]
    edges = [i for i in range(len(flags) - 2) if flags[i + 1] and not (flags[i] and flags[i + 2])]
    said = [cue for cue in cues if cue.kind in "SA"]
    best = min(said, key=lambda cue: min((abs(cue.position - edge) for edge in edges), default=0))
    return outer(best, cues)


def outer(cue: Cue, cues: list[Cue]) -> Cue:
    """Return the earlier cue that names whom a pronoun means: the minister said that she wants."""
    if not cue.subject.is_pronoun and not re.match(r"(?:their|its|our)\b", cue.subject.text):
        return cue
    before = (c for c in cues if c.position < cue.position and c.subject.first < cue.subject.first)
    earlier = (c for c in before if c.kind != "T" or not c.subject.is_pronoun)
    return cue._replace(subject=next(earlier, cue).subject)


def is_unreal(sentence: Sentence, cue: Cue) -> bool:
    """Say whether somebody only might or should do it."""
    before = re.search("[hvSAT]*$", sentence.letters[: cue.position])
    if before and any(sentence.word(i) in UNREAL for i in range(before.start(), cue.position)):
        return True
    first = cue.subject.first
    return first > 0 and sentence.word(first - 1) in ("if", "unless", "until", "whether")
