"""What a row of a filled batch speaks of, whatever a spreadsheet has made of its id, numbers, text and label."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from os.path import commonprefix

from pipeline.data.articles import Article
from pipeline.errors import InputError

SHOWN = 40  # characters of two texts that differ


class Missing(InputError):
    """What a whole file lacks: an analyst reads it once, not with every row."""


class Matcher:
    """The articles and labels that rows may name."""

    def __init__(self, articles: Mapping[str, Article], label_names: Sequence[str]) -> None:
        """Index articles by their ids, and these also without leading zeros."""
        self._articles, self._label_names = articles, label_names
        self._spelled = {_letters(name): name for name in label_names}
        self._without_zeros: dict[str, list[Article]] = defaultdict(list)
        for key, article in articles.items():
            self._without_zeros[key.lstrip("0")].append(article)

    def label(self, where: str, words: str) -> str:
        """Return the label that is meant, in any capitals and with any dashes; InputError if there is none."""
        label = self._spelled.get(_letters(words))
        if label is None:
            close = get_close_matches(words[:SHOWN].lower(), self._label_names, 1)
            then = f"did you mean {close[0]!r}?" if close else ""
            raise InputError(
                where, f"unknown label {words[:SHOWN]!r}", expected=", ".join(self._label_names), then=then
            )
        return label

    def article(self, where: str, key: str, start: int, end: int, text: str) -> Article:
        """Return the article whose span has the words of a text; InputError if there is none, or are several."""
        if not text.strip():
            raise InputError(where, "no text", expected="the sentence that was labelled")
        near = [self._articles[key]] if key in self._articles else self._without_zeros.get(key.lstrip("0"), [])
        if not near:
            then = "name its file with --articles, or restore the id (a spreadsheet may have changed it)"
            raise Missing(where, f"no article {key!r}", then=then)
        same = [a for a in near if 0 <= start < end <= len(a.text) and _same(a.text[start:end], text)]
        if len(same) > 1:
            ids = ", ".join(article.id for article in same)
            raise InputError(where, f"article {key!r} may be any of {ids}", then="restore the id")
        if not same:
            own = near[0].text[start:end] if start < end else ""
            # From shortly before the first difference, which may stand late in a long sentence.
            begin = max(0, len(commonprefix([own, text])) - SHOWN // 2)
            shown = [repr(words[begin:][:SHOWN]) for words in (own, text)]
            what = f"span {start}:{end} of {key} is {'...' * (begin > 0)}{shown[0]}, the row says {shown[1]}"
            then = "restore the row's text and span"
            raise InputError(where, what, expected="the text as it was suggested", then=then)
        return same[0]


def read_number(where: str, name: str, value: str) -> int:
    """Return a whole number, also one that a spreadsheet has given decimals."""
    number = re.fullmatch(r"\s*(\d{1,18})(\.0+)?\s*", value)
    if not number:
        raise InputError(where, f"`{name}` is {value[:SHOWN]!r}", expected="the number that the batch had")
    return int(number[1])


def _letters(label: str) -> str:
    return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFKC", label).strip().lower())


def _same(article: str, row: str) -> bool:
    """Say whether two texts have the same words; quotes, dashes and spaces are a spreadsheet's to change."""
    return article == row or _words(article) in (_words(row), _words(_unmangled(row)))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text))


def _unmangled(text: str) -> str:
    """Undo what comes of reading UTF-8 as Windows-1252: an apostrophe of three letters."""
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text
