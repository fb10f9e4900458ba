"""Markdown: a file is one article, its text without the markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from pipeline.data.formats.rows import Reject, Row, read_document
from pipeline.data.formats.text import decode

if TYPE_CHECKING:
    from markdown_it.token import Token

# Settings that some programs keep before the text.
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
CELLS, TEXT = ("th_open", "td_open"), ("text", "code_inline")


def read(stream: IO[bytes], where: str) -> Iterator[Row | Reject]:
    """Read headings, paragraphs and list items, a line each, one at the top as title; no tables, code and pictures."""
    from markdown_it import MarkdownIt

    content = decode(read_document(stream)).replace("\r\n", "\n")
    tokens = MarkdownIt("commonmark").enable("table").parse(FRONT_MATTER.sub("", content))
    before = ["", *(token.type for token in tokens)]
    lines = [_words(token) for token, last in zip(tokens, before, strict=False) if last not in CELLS]
    title = _words(tokens[1]) if tokens and tokens[0].tag == "h1" else ""
    yield Row(where, {"text": "\n\n".join(line for line in lines if line), "title": title})


def _words(token: Token) -> str:
    if token.type == "inline":
        return "".join(map(_words, token.children or ()))
    if token.type in ("html_block", "html_inline"):
        return html.unescape(re.sub(r"<[^>]*>", " ", token.content))
    return {"softbreak": " ", "hardbreak": "\n"}.get(token.type, token.content if token.type in TEXT else "")
