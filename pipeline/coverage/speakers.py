"""Whose position a sentence gives: who holds it, resolved within the article, and how it is put.

Rules, in the order in which they are tried: who speaks a quotation, who wants something, who says something, who does
something; where nobody does, it is the writer's own voice. benchmarks/speakers.py says how often they are right.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from pipeline.coverage.actors import MEDIUM, PERSON, SURNAME, UNKNOWN, WRITER, Actors
from pipeline.coverage.cues import Cue, find_cues, is_unreal, nearest, outer
from pipeline.coverage.phrases import CLOSING, OPENING, Mention, Sentence, curl, words

DIRECT, INDIRECT, MIXED, ACT, VOICE = "direct", "indirect", "mixed", "act", "voice"
BACK = 12  # sentences in which whom a pronoun means is looked for
PLACES = 20  # sentences in which it is looked for who somebody is
AROUND = 4  # sentences between a quotation and whoever speaks it
OWN_WORDS, REPORTS = 0.05, 0.1  # in an opinion, for each sentence: "we" at least, "said" at most
NESTED = 7  # words from "said" to whoever is said to want something

OTHERS = frozenset("critics counterpart counterparts opponents rivals".split())
OWNERS = {"his": "he", "her": "she", "their": "they", "its": "it"}
FIRST_PERSON, REPORTED = re.compile(r"\b(?:I|[Ww]e|[Oo]ur|us)\b"), re.compile(r"\b(?:said|says|told|according)\b")
QUOTED = re.compile(f"{OPENING}[^{CLOSING}]*{CLOSING}")
MARK = re.compile(f"[{OPENING}{CLOSING}]")
SIGNED = re.compile(
    r"(?:.*\s)?[—–-]+\s*([A-Z][^()@]{2,60}?)\s*\(@|[—–]+\s*([A-Z][^().!?]{2,60})$"
)  # a post, a quotation
BYLINE = re.compile(r"([A-Z][^,:“”]{2,40}), [A-Z][^:“”]{2,40}(?<![.!?])$")  # under a quotation: Ann Soup, Noodle Post
NAME = r"[A-Z][\w.'’-]*(?: [A-Z][\w.'’-]*){0,3}"
TURN = re.compile(rf"({NAME})(?:, [^:]{{1,40}})?:(?=\s|$)|({NAME})$")  # in a transcript: Ann Soup: We need talks.
# What an article says right after a mention: an apposition, a clause, where somebody works.
APPOSITION = re.compile(
    r",\s(?!and |but |who (?!is |was |heads |leads |runs |studies |teaches )|which )([^,;:“”\"]+)"
    r"|\s(?:(?:issued|released|published)\s)?(?:at|by|from|in|with)\s([^,;:“”\"]+)"
)
FIRST_NAME = re.compile(r"[A-Z][\w.’'-]*\s$")
LAST_NAME = re.compile(r"(?:^|\s)([A-Z][\w’'-]+)$")


@dataclass(frozen=True)
class Speaker:
    """Who holds the position of a sentence; nobody is named where `words` is empty."""

    actor: str
    quotation: str
    words: str = ""
    name: str = ""
    sentence: int = -1  # in which the words stand, at characters `start` to `end`
    start: int = 0
    end: int = 0


def find_speakers(texts: Sequence[str], wanted: Iterable[int], actors: Actors) -> dict[int, Speaker]:
    """Return who holds the position of each sentence that is asked for, by its number.

    Args:
        texts: all sentences of an article, in order.
        wanted: numbers of those that take a side.
        actors: who counts as what.

    """
    article = _Article(texts, actors)
    return {i: article.find_speaker(i) for i in wanted}


class _Article:
    """The sentences of an article, taken apart only where a speaker asks for it."""

    def __init__(self, texts: Sequence[str], actors: Actors) -> None:
        self.texts, self.actors = [curl(text) for text in texts], actors
        self._sentences: dict[int, Sentence] = {}
        self._cues: dict[int, list[Cue]] = {}

    def sentence(self, i: int) -> Sentence:
        if i not in self._sentences:
            self._sentences[i] = Sentence(self.texts[i], in_quotation=self._is_continued(i))
        return self._sentences[i]

    def cues(self, i: int) -> list[Cue]:
        if i not in self._cues:
            self._cues[i] = sorted(find_cues(self.sentence(i)), key=lambda cue: cue.position)
        return self._cues[i]

    def _is_continued(self, i: int) -> bool:
        """Say whether a sentence begins inside a quotation that was opened before it and is closed after it begins."""
        earlier = next((text for text in reversed(self.texts[max(i - AROUND, 0) : i]) if MARK.search(text)), "")
        if earlier.rfind(OPENING) <= earlier.rfind(CLOSING):
            return False
        marks = (MARK.search(text) for text in self.texts[i : i + 1 + AROUND])
        following = next((mark[0] for mark in marks if mark), "")
        # A mark that ends a sentence opens what follows, though a paragraph of a quotation is not closed.
        return following == CLOSING or (
            following == OPENING and earlier.endswith(OPENING) and not MARK.match(self.texts[i])
        )

    @cached_property
    def is_opinion(self) -> bool:
        """Whether the article speaks for itself: in the first person, and hardly anybody is quoted."""
        text = " ".join(self.texts)
        if len(REPORTED.findall(text)) >= REPORTS * len(self.texts):
            return False
        return len(FIRST_PERSON.findall(QUOTED.sub("", text))) >= OWN_WORDS * len(self.texts)

    def find_speaker(self, i: int) -> Speaker:
        """Return who holds the position of a sentence."""
        sentence, cues = self.sentence(i), self._worthy(self.cues(i))
        quoted = sum(sentence.quoted)
        outside = len(sentence.words) - quoted
        says = any(cue.kind in "SA" for cue in cues)
        if quoted and not says and quoted > outside:
            return self._find_around(i)
        if quoted and says:
            whole = quoted > outside or sentence.quoted[0] or ".q" in sentence.letters  # said: "..."
            cue = nearest(sentence, cues) if whole else self._holder(i, cues)
            if cue is not None:
                return self._resolve(i, cue.subject, DIRECT if whole else MIXED)
        cue = self._holder(i, cues)
        signed = self._find_signature(i) if cue is None or cue.kind == "T" else None
        if cue is None or signed is not None:
            return signed or Speaker(WRITER, VOICE)
        return self._resolve(i, cue.subject, ACT if cue.kind == "T" else MIXED if quoted else INDIRECT)

    def _worthy(self, cues: list[Cue]) -> list[Cue]:
        """Leave out who only passes on what somebody else in the sentence says."""
        others = [cue for cue in cues if not self.actors.has(MEDIUM, cue.subject.text)]
        hearsay = {cue.subject for cue in others if cue.hearsay}
        own = [cue for cue in others if cue.subject not in hearsay]
        for kept in (own, others):
            if any(cue.kind in "SA" and (kept is others or not cue.subject.is_pronoun) for cue in kept):
                return kept
        return cues

    def _holder(self, i: int, cues: list[Cue]) -> Cue | None:
        """Return the cue of whoever holds the position: who is said to want something, else who says, else who does."""
        sentence = self.sentence(i)
        says = [cue for cue in cues if cue.kind == "S"]
        wants = [cue for cue in cues if cue.kind == "A" and not is_unreal(sentence, cue)]
        if says and wants:
            first, inner = says[0], outer(wants[0], cues)
            if first.position < inner.position and not self._is_nested(i, first, inner):
                return outer(first, cues)
            return inner
        if says or wants:
            return outer((says + wants)[0], cues)
        if self.is_opinion:
            return None
        acts = (cue for cue in cues if not is_unreal(sentence, cue) and cue.subject.text.lower() not in ("it", "i"))
        return next((cue for cue in acts if self._is_actor(i, cue.subject)), None)

    def _is_actor(self, i: int, mention: Mention) -> bool:
        is_somebody = mention.text.split()[-1].lower() in words("roles") or self.actors.is_person(mention.text)
        return is_somebody or self._resolve(i, mention, ACT).actor != UNKNOWN

    def _is_nested(self, i: int, first: Cue, inner: Cue) -> bool:
        """Say whether somebody tells what somebody else wants; what they say of their own country is their own word."""
        if inner.subject.first - first.position > NESTED:
            return False
        own = self.actors.is_group(inner.subject.text)
        return not own or self._resolve(i, first.subject, "").actor != self._resolve(i, inner.subject, "").actor

    def _find_signature(self, i: int) -> Speaker | None:
        """Return whose turn it is in a transcript, or who signed the post or quotation that a sentence belongs to."""
        if turn := next((turn for turn in reversed(self._turns) if turn[0] <= i), None):
            return self._sign(i, *turn)
        for j in range(i + 1, min(i + 1 + AROUND, len(self.texts))):
            match = SIGNED.match(self.texts[j])
            if match is None and all(all(self.sentence(k).quoted) for k in range(i, j)):
                match = BYLINE.match(self.texts[j])
            if match and self.actors.is_person(match[match.lastindex or 0]):
                return self._sign(i, j, *match.span(match.lastindex or 0))
        return None

    @cached_property
    def _turns(self) -> list[tuple[int, int, int]]:
        """Return where in a transcript names stand that begin turns: sentence, start, end; each name comes again."""
        found = [(j, match) for j, text in enumerate(self.texts) if (match := TURN.match(text))]
        names = Counter(match[1] or match[2] for _, match in found)
        turns = [(j, *match.span(1 if match[1] else 2)) for j, match in found if names[match[1] or match[2]] > 1]
        return turns if len(turns) > 3 and all(self.actors.is_person(self.texts[j][a:b]) for j, a, b in turns) else []

    def _sign(self, i: int, j: int, start: int, end: int) -> Speaker:
        """Return the speaker of sentence i who is named in sentence j; "I" of the sentence itself are their words."""
        name = self.texts[j][start:end]
        actor, full = self.actors.find(name, self.texts[j][start:]), self.actors.full_name(name)
        own = next((m for m in self.sentence(i).mentions if m.text in ("I", "We")), None)
        place = (own.text, full, i, own.start, own.end) if own else (name, full, j, start, end)
        return Speaker(actor, DIRECT, *place)

    def _find_around(self, i: int) -> Speaker:
        """Return the speaker of a sentence that is nothing but quotation: named beside it."""
        if signed := self._find_signature(i):
            return signed
        ahead = range(i + 1, min(i + 1 + AROUND, len(self.texts))) if self.sentence(i).ends_open else ()
        for j in (*ahead, *range(i - 1, max(i - 1 - AROUND, -1), -1)):
            cues = self._worthy([cue for cue in self.cues(j) if cue.kind in "SA"])
            if cues:
                return self._resolve(j, nearest(self.sentence(j), cues).subject, DIRECT, keep=False)
            if j < i and not all(self.sentence(j).quoted):
                break
        for j in range(i - 1, max(i - 1 - BACK, -1), -1):
            if said := [cue for cue in self.cues(j) if cue.kind == "S" and any(self.sentence(j).quoted)]:
                return self._resolve(j, said[0].subject, DIRECT, keep=False)
        before = self._find_antecedent(i - 1, "he")
        return self._resolve(*before, DIRECT, keep=False) if before else Speaker(UNKNOWN, DIRECT)

    def _resolve(self, i: int, mention: Mention, quotation: str, *, keep: bool = True) -> Speaker:
        """Return the speaker whom a mention in sentence i names; `keep` the words, though a fuller mention is found."""
        at, full = i, mention
        if mention.is_pronoun:
            low = mention.text.lower()
            if low in ("i", "we", "you"):
                return self._find_signature(i) or Speaker(WRITER, VOICE)
            meant = self._find_antecedent(i, low, mention.first)
            if meant is None:
                return Speaker(UNKNOWN, quotation, mention.text, "", i, mention.start, mention.end)
            at, full = meant
        name, description = self._describe(at, full)
        shown, where = (mention, i) if keep else (full, at)
        actor = self.actors.find(full.text, description)
        if actor == UNKNOWN:
            actor = self._find_kin(at, full)
        return Speaker(actor, quotation, shown.text, name, where, shown.start, shown.end)

    def _find_kin(self, i: int, mention: Mention) -> str:
        """Return the actor of "her brother" by who she is, that of "both sides" by whom the article just spoke of."""
        parts = mention.text.lower().split()
        before = None
        if parts[-1] in OTHERS:
            return UNKNOWN
        if parts[0] in OWNERS:
            before = self._find_antecedent(i, OWNERS[parts[0]], mention.first)
        elif parts[0] in ("the", "both") and parts[-1] in words("roles") - words("groups"):
            places = [(j, m) for j in (i, i - 1, i - 2) if j >= 0 for m in self.sentence(j).mentions]
            free = [(j, m) for j, m in places if (j, m.first) < (i, mention.first) and not m.is_governed]
            # Whoever spoke comes before whoever was spoken of.
            free.sort(key=lambda place: all(cue.subject != place[1] for cue in self.cues(place[0])))
            found = (self.actors.find(m.text, m.text) for _, m in free if not m.is_pronoun)
            return next((actor for actor in found if actor != UNKNOWN), UNKNOWN)
        return self.actors.find(before[1].text, before[1].text) if before else UNKNOWN

    def _find_antecedent(self, i: int, pronoun: str, before: int = 10**6) -> tuple[int, Mention] | None:
        """Return whom a pronoun means: the last subject before word `before` of sentence i who can be meant."""
        for j in range(i, max(i - BACK, -1), -1):
            mentions = [m for m in self.sentence(j).mentions if j < i or m.last <= before]
            subjects = [cue.subject for cue in self.cues(j) if cue.subject in mentions]
            free = [m for m in mentions if not m.is_governed]
            same = next((m for m in (*subjects, *free[:1]) if m.text.lower() == pronoun), None)
            if same is not None and (j < i or same.first < before):
                i, before = j, same.first
                mentions = [m for m in mentions if m.last <= before]
            fit = [m for m in mentions if self.actors.can_be(pronoun, m.text)]
            sure = [m for m in fit if self.actors.is_person(m.text) or pronoun in ("it", "they")]
            for group in ([m for m in fit if m in subjects], [m for m in sure if m in free], sure):
                if group:
                    return j, group[0]
        return None

    def _describe(self, i: int, mention: Mention) -> tuple[str, str]:
        """Return the full name of whom a sentence mentions, and all that the article says beside it."""
        text = mention.text
        beside = self._beside(i, mention)
        if (fuller := self._find_fuller(i, text)) is not None:
            j, full = fuller
            text = full.text.rpartition(" and ")[2]
            beside = f"{beside}; {text}{self._beside(j, full)[len(full.text) :]}"
        if (surname := LAST_NAME.search(text)) and self.actors.find(text, beside) == UNKNOWN:
            places = self._find_places(range(len(self.texts)), surname[1])
            others = ((j, m) for j in places for m in self.sentence(j).mentions if m.text.endswith(surname[1]))
            beside = "; ".join([beside, *(self._beside(j, m) for j, m in others)])
        return self.actors.full_name(text), beside

    def _beside(self, i: int, mention: Mention) -> str:
        """Return a mention and what stands right after it, or before it: the minister, Kim Soup."""
        sentence = self.sentence(i)
        after = APPOSITION.match(sentence.text, mention.end)
        before = (m for m in sentence.mentions if m.last + 1 == mention.first and sentence.letters[m.last] == "c")
        role = next((f", {m.text}" for m in before if m.text.split(" of ")[0].split()[-1] in words("persons")), "")
        return mention.text + (after[0] if after else "") + role

    def _find_fuller(self, i: int, text: str) -> tuple[int, Mention] | None:
        """Return the first mention that spells a surname out, or the last that says who "the minister" is."""
        if surname := LAST_NAME.search(text):
            if self.actors.is_group(text) or self.actors.has(PERSON, text):
                return None
            part, places = surname[1], range(len(self.texts))
        elif text[:4] in ("the ", "The ") and text[1:].islower():
            part, places = text.split()[-1], range(i - 1, -1, -1)
        else:
            return None
        for j in self._find_places(places, part):
            for m in self.sentence(j).mentions if not surname or _has_full_name(self.texts[j], part) else ():
                if len(m.text) > len(text) and _spells_out(m.text, part, surname) and self._agrees(text, m.text):
                    return j, m
        return None

    def _find_places(self, order: Iterable[int], part: str) -> Iterable[int]:
        """Return the first sentences that hold a word, in an order."""
        return islice((j for j in order if part in self.texts[j] or part.title() in self.texts[j]), PLACES)

    def _agrees(self, text: str, fuller: str) -> bool:
        """Say whether the table does not speak against one mention for another."""
        if self.actors.has(SURNAME, text):
            return self.actors.has(PERSON, fuller)
        return self.actors.find(text, text) in (UNKNOWN, self.actors.find(fuller, fuller))


def _has_full_name(text: str, surname: str) -> bool:
    """Say whether a word with a capital stands before a surname somewhere; most sentences need no closer look."""
    at = text.find(surname)
    while at >= 0 and not FIRST_NAME.search(text, 0, at):
        at = text.find(surname, at + 1)
    return at >= 0


def _spells_out(mention: str, part: str, surname: re.Match[str] | None) -> bool:
    """Say whether a mention has a first name before a surname, or a name behind an office."""
    if surname:
        return mention.endswith(part) and FIRST_NAME.search(mention, 0, len(mention) - len(part)) is not None
    return part.lower() in mention.lower() and re.search(rf"\b{part}\s[A-Z]", mention, re.I) is not None
