"""What a batch is made of: one row a sentence, with its place, its context and room for an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.data.articles import Article
from pipeline.data.sentences import Sentence, cut

# In the order in which a spreadsheet shows them. What the model thinks stands last, and hidden where it can be.
COLUMNS = (
    *("article_id", "start", "end", "previous", "text", "label", "note", "votes", "annotator", "time"),
    *("sampling", "codebook", "title", "date", "outlet", "guess", "confidence"),
)


def make_row(article: Article, start: int, end: int, **fields: Any) -> dict[str, Any]:
    """Return the row of one span, all columns present; `fields` fill what is known."""
    row = dict.fromkeys(COLUMNS, "") | {"article_id": article.id, "start": start, "end": end}
    row |= {"text": article.text[start:end]}
    return row | {name: getattr(article, name) for name in ("title", "date", "outlet")} | fields


def previous_sentence(sentences: Sequence[Sentence], start: int) -> str:
    """Return the last sentence that ends before a place, empty at the beginning of an article."""
    return next((sentence.text for sentence in reversed(sentences) if sentence.end <= start), "")


class Contexts:
    """The sentence before a span, each article cut once."""

    def __init__(self, articles: Mapping[str, Article]) -> None:
        """Remember the articles; nothing is cut before it is asked for."""
        self._articles = articles
        self._cut: dict[str, list[Sentence]] = {}

    def previous(self, article_id: str, start: int) -> str:
        """Return the sentence before a place in an article."""
        if article_id not in self._cut:
            self._cut[article_id] = cut(self._articles[article_id].text)
        return previous_sentence(self._cut[article_id], start)


def codebook_version(labels: Path) -> str:
    """Return the version that the heading of `CODEBOOK.md` names, empty where there is none."""
    try:
        first, _, _ = (labels / "CODEBOOK.md").read_text(encoding="utf-8").partition("\n")
    except OSError:
        return ""
    found = re.search(r"version (\d+(?:\.\d+)*)", first)
    return found.group(1) if found else ""
