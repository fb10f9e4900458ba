"""Who counts as which actor: the names of people, offices and countries in an editable table."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field, ValidationError

from pipeline.config import Section, read_mapping
from pipeline.coverage.phrases import LETTERS, words
from pipeline.errors import InputError, describe_invalid, raise_problems

WRITER, UNKNOWN = "writer", "unknown"
PERSON, SURNAME, OFFICE, COUNTRY, MEDIUM = "person", "surname", "office", "country", "medium"
CACHED = 5_000  # texts whose names are remembered
WORDS = re.compile(r"\w+")
OF = re.compile(r"\s(?:of|for)\s")
HYPHEN = re.compile(r"-(\w)")
INITIAL = re.compile(r"(?<=\s)[A-Z]\.\s")
FORMER = re.compile(r"\b(?:former|ex|retired|late)\W*(?:[\w.']+\s){0,3}$", re.I)
FEMALE = re.compile(r"\b(?:Ms|Mrs|daughter|sister|mother|wife)\b|woman\b")
ARTICLE = re.compile(r"^(?:the|an?) ", re.I)

Names = tuple[Annotated[str, Field(min_length=2)], ...]


class Entry(Section):
    """An actor of the table."""

    title: str
    people: Names = ()  # with the surname in capitals, if it names this person alone
    offices: Names = ()
    countries: Names = ()
    media: Names = ()  # pass on what others say
    home: str | None = None  # the actor whose country's name its offices go with
    any_country: bool = False  # its offices stay its own behind the name of a country
    former: str | None = None  # the actor of whoever held such an office


class Table(Section):
    """The whole table."""

    actors: dict[str, Entry]
    women: Names = ()


class Known(NamedTuple):
    """A name of the table where it stands in a text."""

    start: int
    end: int
    kind: str
    actor: str
    name: str  # a person's full one


class Actors:
    """Names and the actor of each; what is compared is spelt without hyphens and curly apostrophes."""

    def __init__(self, table: Table) -> None:
        self.titles = {key: entry.title for key, entry in table.actors.items()}
        self._former = {key: entry.former for key, entry in table.actors.items() if entry.former}
        self._home = {key: entry.home for key, entry in table.actors.items()}
        self._anywhere = {key for key, entry in table.actors.items() if entry.any_country}
        self._women = {_spell(name) for name in table.women}
        # First word -> names that begin with it, the longest first, each with kind, actor and full name.
        self._names: dict[str, dict[str, tuple[str, str, str]]] = {}
        for key, entry in table.actors.items():
            people = [_spell(name) for name in entry.people]
            for name, spelt in zip(entry.people, people, strict=True):
                # Donald J. Trump and Donald Trump are one, where both stand in the table.
                short = INITIAL.sub("", spelt)
                full = short if short in people else spelt
                self._add(spelt, (PERSON, key, full))
                self._add(_surname(name), (SURNAME, key, full))
            for kind, names in ((OFFICE, entry.offices), (COUNTRY, entry.countries), (MEDIUM, entry.media)):
                for name in names:
                    self._add(name, (kind, key, name))
        self._scan = lru_cache(CACHED)(self._find_names)

    def _add(self, name: str, entry: tuple[str, str, str]) -> None:
        plain = _plain(name)
        if first := WORDS.search(plain):
            names = {plain: entry} | self._names.get(first[0], {})
            self._names[first[0]] = dict(sorted(names.items(), key=lambda item: -len(item[0])))

    def _find_names(self, text: str) -> tuple[Known, ...]:
        """Return the names that stand in a text, the longest where several begin."""
        plain, found, end = _plain(text), [], 0
        for word in WORDS.finditer(plain):
            if word.start() >= end:
                for name in self._names.get(word[0], ()):
                    end_of = word.start() + len(name)
                    known = Known(word.start(), end_of, *self._names[word[0]][name])
                    if plain.startswith(name, word.start()) and _stands_alone(plain, known):
                        found.append(known)
                        end = end_of
                        break
        return tuple(found)

    def _first(self, kind: str, text: str) -> Known | None:
        return next((known for known in self._scan(text) if known.kind == kind), None)

    def find(self, mention: str, beside: str) -> str:
        """Return the actor of a mention; `beside` is it and what the article says beside it.

        A full name decides, then the first office, then a surname, then the first country.
        """
        if known := self._first(PERSON, mention) or self._first(PERSON, beside.partition(";")[2].partition(",")[0]):
            return known.actor
        former, before = "", None
        for known in self._scan(beside):
            if known.kind == OFFICE:
                if FORMER.search(beside[: known.start]):
                    former = former or self._former.get(known.actor, known.actor)
                elif before and before.end + 1 == known.start and self._is_foreign(before.actor, known.actor):
                    return before.actor  # Chinese lawmakers
                else:
                    return known.actor
            before = known if known.kind == COUNTRY else None
        if former:
            return former
        if known := self._first(SURNAME, mention):
            return known.actor
        if known := self._first(COUNTRY, beside):
            is_former = FORMER.search(beside[: known.start])
            return self._former.get(known.actor, known.actor) if is_former else known.actor
        known = self._first(PERSON, beside) or self._first(SURNAME, beside) or self._first(MEDIUM, beside)
        return known.actor if known else UNKNOWN

    def _is_foreign(self, country: str, actor: str) -> bool:
        return actor not in self._anywhere and country not in (actor, self._home[actor])

    def has(self, kind: str, text: str) -> bool:
        """Say whether a mention holds a name of a kind: a medium passes on what others say."""
        return self._first(kind, text) is not None

    def is_group(self, text: str) -> bool:
        """Say whether a mention is a country, an institution or a medium."""
        head, names = OF.split(text)[0].split()[-1].lower(), self._scan(text)
        last = names[-1].kind if names and names[-1].end == len(text) else ""
        if last == COUNTRY and ARTICLE.sub("", text) == text[names[-1].start :]:
            return True
        return head not in words("persons") | words("plurals") and (
            head in words("groups") or last in (OFFICE, COUNTRY, MEDIUM)
        )

    def is_person(self, text: str) -> bool:
        """Say whether a mention is surely a person: a name that the table knows, a title, two capitals."""
        if self.is_group(text):
            return False
        parts = text.split()
        capitals = [part for part in parts if part[0].isupper() and not part.isupper() and not ARTICLE.match(text)]
        known = self._first(PERSON, text) or self._first(SURNAME, text)
        return bool(known) or len(capitals) > 1 or any(_is_title(part) for part in parts)

    def can_be(self, pronoun: str, text: str) -> bool:
        """Say whether a pronoun can mean a mention."""
        last = text.split()[-1].lower()
        if LETTERS.get(last) == "p":
            return False
        several, group = " and " in text or last in words("plurals"), self.is_group(text) or last in words("documents")
        if pronoun == "they":
            return several or group
        if several or group or pronoun == "it":
            return pronoun == "it" and not several and group
        known = self._first(PERSON, text) or self._first(SURNAME, text)
        woman = bool(FEMALE.search(text)) or (known is not None and known.name in self._women)
        return not woman if pronoun == "he" else woman or (known is None and "Mr" not in text)

    def full_name(self, text: str) -> str:
        """Return the name in a mention without titles; a person whom the table knows by the name that stands there."""
        parts = ARTICLE.sub("", text).split()
        if self.is_group(text):
            return " ".join(parts)
        if known := self._first(PERSON, text):
            return known.name
        known = self._first(SURNAME, text)
        if known and known.end == len(text) and all(map(_leads, text[: known.start].split())):
            return known.name
        titles = [i for i, word in enumerate(parts[:-1]) if _leads(word)]
        rest = parts[titles[-1] + 1 :] if titles else parts
        return " ".join(rest if all(word[0].isupper() for word in rest) and not _is_title(rest[-1]) else parts)


def read_actors(file: Path) -> Actors:
    """Read the table; InputError where it is none, and where a name stands in it twice."""
    try:
        table = Table.model_validate(read_mapping(file))
    except ValidationError as error:
        raise InputError(file, describe_invalid(error), expected="a table like configs/actors.yaml") from None
    owners: dict[str, str] = {}
    problems = []
    for key, entry in table.actors.items():
        for role, other in (("former", entry.former), ("home", entry.home)):
            if other and other not in table.actors:
                problems.append(f"{file}: `{role}` of `{key}` is `{other}`, which is no actor of the table")
        for name in (*map(_spell, entry.people), *entry.offices, *entry.countries, *entry.media):
            if _plain(name) in owners:
                problems.append(f"{file}: `{name}` is named twice, by `{owners[_plain(name)]}` and `{key}`; keep one")
            owners[_plain(name)] = key
    raise_problems(problems)
    return Actors(table)


def _plain(text: str) -> str:
    """Return a text of the same length whose names compare: newspapers differ in hyphens and apostrophes."""
    spelt = HYPHEN.sub(lambda match: " " + match[1].upper(), text) if "-" in text else text
    return spelt.replace("’", "'")


def _stands_alone(text: str, known: Known) -> bool:
    """Say whether a name is no part of a longer word or of somebody else's name."""
    if text[known.end : known.end + 1].isalnum():
        return False
    if known.kind != SURNAME:
        return True
    goes_on = re.match(r" [A-Z][^.]", text[known.end :])
    before = text[: known.start].split()[-1:]
    return not goes_on and (not before or before[0][0].islower() or _is_title(before[0]))


def _is_title(word: str) -> bool:
    return word.lower().rstrip(".,") in words("persons") | words("titles")


def _leads(word: str) -> bool:
    """Say whether a word stands before a name and is no part of it."""
    return _is_title(word) or word.lower() in words("modifiers") | words("groups")


def _is_surname(word: str) -> bool:
    return len(word) > 1 and word.isupper() and "." not in word


def _spell(name: str) -> str:
    """Return the name of a person, whose surname may stand in capitals, as it is written."""
    return " ".join(_capitalize(word) if _is_surname(word) else word for word in name.split())


def _surname(name: str) -> str:
    """Return the surname that stands in capitals, or the name."""
    return " ".join(_capitalize(word) for word in name.split() if _is_surname(word)) or name


def _capitalize(word: str) -> str:
    return re.sub(r"[^\W\d_]+", lambda part: part[0].capitalize(), re.sub("^MC(?=.)", "Mc-", word)).replace("Mc-", "Mc")
