"""Documents, one article a file: bytes to text in the right encoding, a page to its article."""

from __future__ import annotations

import re
from typing import Any

# Where a page says in which encoding it is written; browsers look at its first bytes too.
DECLARED = re.compile(
    rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w.:-]{2,40})|<\?xml[^>]{0,100}encoding=["']([\w.:-]{2,40})"""
)


def decode(content: bytes) -> str:
    """Decode UTF-8 or, where a text holds no UTF-8 at all, Windows-1252 or the encoding that fits it best.

    ValueError: binary content, or UTF-8 that is broken in places (a guess would be wrong there).
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    if b"\0" in content:
        raise ValueError("holds NUL bytes, so it is no text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        partly = any(ord(character) > 127 for character in content.decode("utf-8", "ignore"))
        if partly or error.end == len(content):
            raise ValueError(f"broken UTF-8 at byte {error.start}") from None
    # English prose with a few bytes beyond ASCII: a guess takes its quotes for letters of any alphabet.
    if 4 * sum(byte > 127 for byte in content) < len(content):
        try:
            return content.decode("cp1252")
        except UnicodeDecodeError:
            pass
    from charset_normalizer import from_bytes

    guess = from_bytes(content).best()
    if guess is None:
        raise ValueError("is in no known encoding")
    return str(guess)


def decode_page(content: bytes) -> str:
    """Decode a page: as UTF-8, else as it declares itself, else like any text; ValueError as in `decode`."""
    declared = DECLARED.search(content[:4096].lower())
    if declared:
        for encoding in ("utf-8-sig", (declared[1] or declared[2]).decode()):
            try:
                return content.decode(encoding)
            except (UnicodeDecodeError, LookupError):
                continue
    return decode(content)


def extract(page: str) -> dict[str, Any]:
    """Return text, title, date and outlet of a page's article; ValueError: it holds none."""
    from trafilatura import bare_extraction

    try:
        found = bare_extraction(page, with_metadata=True, include_comments=False, include_tables=False)
    except Exception as error:  # a parser of other people's pages: whatever it trips on is a reject
        raise ValueError(f"the page cannot be parsed ({error})") from None
    if found is None or not (found.text or "").strip():
        raise ValueError("the page holds no article")
    return {"text": found.text, "title": found.title, "date": found.date, "outlet": found.sitename}
