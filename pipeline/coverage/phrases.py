"""Who is mentioned in a sentence: a small grammar over one letter a word.

A word's letter comes from the lists of words.yaml; a capital that none of them knows is a name, and what is quoted is
`q`. A mention is then a pattern of letters. No parser: thousands of sentences a second, and each rule can be read.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import yaml

# The letter of each list; the first that knows a word decides.
LISTS = {"determiners": "D", "prepositions": "f", "conjunctions": "s", "auxiliaries": "h", "adverbs": "v", "says": "S"}
LISTS |= {"wants": "A", "does": "T", "roles": "R", "modifiers": "M", "deeds": "n"}
LETTERS = dict.fromkeys(("he", "she", "they", "it", "i", "we", "you"), "p") | dict.fromkeys(("and", "&"), "a")
LETTERS |= dict.fromkeys(("of", "for"), "o") | dict.fromkeys(("who", "which", "whose", "whom"), "w")
SIGNS = {",": "c", "’s": "g", "'s": "g", "'": "g", "’": "g"} | dict.fromkeys(";:—–()-", ".")
OPENING, CLOSING = "“", "”"
STRAIGHT = re.compile(r'"(?<![^\s(\[—–-]")(?=\S)')  # a mark that opens
LONG = re.compile(r"(?<![\w’'-])[^\W\d_]{4,}(?![\w-])")  # words that no headline leaves small
SMALL = re.compile(r"(?<![\w’'-])[a-z][^\W\d_]{3,}(?![\w-])")
HEADLINE = 4  # such words that it has at least
SHOUTED = 4  # a longer word in capitals begins no sentence, but names a place
LONGEST = 400  # words of a sentence that are looked at
CACHED = 20_000  # words whose letters are remembered


@cache
def _lists() -> dict[str, str]:
    return yaml.safe_load(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))


@cache
def infinitives() -> frozenset[str]:
    """Return all verbs that the lists inflect."""
    return frozenset(" ".join(_lists()[name] for name in ("says", "wants", "does")).split())


@cache
def words(name: str) -> frozenset[str]:
    """Return a list of words.yaml in lower case, verbs in all their forms."""
    if name == "roles":
        return words("persons") | words("groups") | words("documents") | words("plurals")
    lists = _lists()
    found = set(lists[name].lower().split())
    if name == "plurals":
        found |= {f"{word}s" for kind in ("persons", "groups", "documents") for word in words(kind)}
    if f"{name} forms" in lists:
        found = {form for verb in found for form in _inflect(verb)} | set(lists[f"{name} forms"].split())
    return frozenset(found)


def _inflect(verb: str) -> set[str]:
    """Return the forms of a regular verb, and some that no verb has."""
    stem, doubled = verb.removesuffix("e"), verb + verb[-1]
    forms = {verb, f"{verb}s", f"{verb}es", f"{stem}ed", f"{stem}ing", f"{doubled}ed", f"{doubled}ing"}
    return forms | {f"{verb[:-1]}ied", f"{verb[:-1]}ies"} if verb.endswith("y") else forms


@cache
def _verbs() -> frozenset[str]:
    return words("says") | words("wants") | words("does")


@cache
def _word_pattern() -> re.Pattern[str]:
    """Return what a word is: an abbreviation with its full stops, a possessive, any other word, a sign."""
    short = "|".join(map(str.title, words("titles") | words("months") | {"jr"}))
    return re.compile(
        rf"(?=[A-Z])(?:(?:[A-Z]\.){{2,}}|(?:{short})\.|[A-Z]\.(?= [A-Z]))|\w+(?:[-’'](?!s\b)\w+)*|['’]s\b|\S"
    )


@lru_cache(CACHED)
def _letter(word: str, begins: bool) -> str:
    """Return the letter of a word that is not quoted, `x` if it plays no part; some words begin a sentence."""
    low = word.lower()
    if word in SIGNS:
        return SIGNS[word]
    known = LETTERS.get(low) or next((letter for name, letter in LISTS.items() if low in words(name)), "")
    if word[0].isupper():
        if low.rstrip(".") in words("months"):
            return "v"
        # A capital inside a sentence is a name, unless it is one of the small words.
        known = known if begins or known in set("Dpfsv") else "N"
    if known or word[0].isupper():
        return known or ("v" if low.endswith("ly") else "N")
    return "v" if low.endswith("ly") else "M" if "-" in word else "x"


HEAD = "(?:[NRM]+g[Mx]{0,2})*[NRM]*[NR]"
MENTION = re.compile(
    f"p(?:aD?{HEAD})?|D?{HEAD}(?:oD?{HEAD})*(?:(?<=R)cN{{1,4}}(?=c)|aD?{HEAD})?|D[Mx]{{1,4}}(?=[hv]*S)|Dx(?=[hv]+A)|M(?=[hv]*[SA])"
)


class Mention(NamedTuple):
    """Who is mentioned: words `first` to `last`, characters `start` to `end`, both exclusive."""

    first: int
    last: int
    start: int
    end: int
    text: str
    is_governed: bool = False  # by a preposition: no subject

    @property
    def is_pronoun(self) -> bool:
        """Whether it is one word that stands for somebody else."""
        return LETTERS.get(self.text.lower()) == "p"


def curl(text: str) -> str:
    """Return a text of the same length whose quotation marks say whether they open or close."""
    if '"' not in text and OPENING not in text:
        return text
    if '"' in text:
        text = STRAIGHT.sub(OPENING, text).replace('"', CLOSING)
    for sign in ",.!?":
        text = text.replace(sign + OPENING, sign + CLOSING)
    return text


class Sentence:
    """A sentence as words, a letter for each, and who is mentioned outside quotations; its marks are curled."""

    def __init__(self, text: str, *, in_quotation: bool = False) -> None:
        self.text = text
        self._found = list(islice(_word_pattern().finditer(text), LONGEST))
        self.words = [word[0] for word in self._found]
        self.quoted, self.ends_open = self._find_quotations(in_quotation)
        self.letters = self._find_letters()
        found = MENTION.finditer(self.letters)
        # An adjective alone is nobody, but for some and many.
        self.mentions = [self._mention(m) for m in found if m[0] != "M" or self.word(m.start()) in words("several")]

    def word(self, position: int) -> str:
        """Return a word in lower case."""
        return self.words[position].lower()

    def _find_letters(self) -> str:
        letters, begins, dateline, aside = "", True, True, False
        long = [] if SMALL.search(self.text) else LONG.findall(self.text)
        headline = len(long) >= HEADLINE and all(word[0].isupper() for word in long)
        for text, quoted in zip(self.words, self.quoted, strict=True):
            aside = aside or text == "("
            if quoted or aside:
                letter = "q" if quoted else "v"
            else:
                letter = _letter(text.lower() if headline and text.lower() in _verbs() else text, begins)
            aside = aside and text != ")"
            if letter in "SAT" and letters[-1:] in ("D", "g"):
                letter = "R" if text.lower() in words("roles") else "n"  # a report, his call
            if letter == "g" and letters[-1:] == "p":
                letter = "h"  # he's
            dateline = dateline and ((len(text) > SHOUTED and text.isupper()) or not text[0].isalnum())
            letters += "x" if dateline and letter == "N" else letter
            begins = letter in "q."
        return letters

    def _find_quotations(self, inside: bool) -> tuple[list[bool], bool]:
        """Say of each word whether it is quoted, the marks too, and whether the last quotation stays open."""
        flags, since = [inside] * len(self.words), 0
        if OPENING not in self.text and CLOSING not in self.text:
            return flags, inside
        flags, seen = [False] * len(self.words), inside
        for i, word in enumerate(self.words):
            if word == OPENING and not inside:
                inside, since = True, i
            elif word == CLOSING:
                # What closes without having opened was opened in an earlier sentence.
                if inside or not seen:
                    flags[since : i + 1] = [True] * (i + 1 - since)
                inside = False
            seen = seen or word in (OPENING, CLOSING)
        if inside:
            flags[since:] = [True] * (len(flags) - since)
        return flags, inside

    def _mention(self, match: re.Match[str]) -> Mention:
        first, last = match.span()
        start, end = self._found[first].start(), self._found[last - 1].end()
        governed = first > 0 and self.letters[first - 1] in "fo"
        return Mention(first, last, start, end, self.text[start:end], governed)
