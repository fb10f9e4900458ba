"""Web pages: a file is one article, with title, date and outlet where the page says them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from pipeline.data.formats.encoding import decode
from pipeline.data.formats.rows import Reject, Row, read_document

# Where a page says in which encoding it is written; browsers look at its first bytes too.
DECLARED = re.compile(
    rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w.:-]{2,40})|<\?xml[^>]{0,100}encoding=["']([\w.:-]{2,40})"""
)


def read(stream: IO[bytes], where: str) -> Iterator[Row | Reject]:
    """Read the article of a page, without navigation, comments and tables."""
    from trafilatura import bare_extraction

    page = _decode(read_document(stream))
    try:
        article = bare_extraction(page, with_metadata=True, include_comments=False, include_tables=False)
    except Exception as error:  # a parser of other people's pages: whatever it trips on is a reject
        raise ValueError(f"the page cannot be parsed ({error})") from None
    if article is None or not (article.text or "").strip():
        raise ValueError("the page holds no article")
    fields = {"text": article.text, "title": article.title, "date": article.date, "outlet": article.sitename}
    yield Row(where, fields)


def _decode(content: bytes) -> str:
    """Decode as UTF-8, else as the page declares itself, else like any text."""
    declared = DECLARED.search(content[:4096].lower())
    if declared:
        for encoding in ("utf-8-sig", (declared[1] or declared[2]).decode()):
            try:
                return content.decode(encoding)
            except (UnicodeDecodeError, LookupError):
                continue
    return decode(content)
