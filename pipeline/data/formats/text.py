"""Plain text, whatever encoding it is in: a file is one article."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import IO

from pipeline.data.formats.rows import Reject, Row, read_document

BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SAMPLE = 1 << 16  # bytes that show where UTF-16 has its zeros


def read(stream: IO[bytes], where: str) -> Iterator[Row | Reject]:
    """Read the text as it stands."""
    yield Row(where, {"text": decode(read_document(stream))})


def decode(content: bytes) -> str:
    """Decode a text; ValueError as in `find_encoding`, or where UTF-8 is broken at the end."""
    try:
        return content.decode(find_encoding(content))
    except UnicodeDecodeError as error:
        raise ValueError(f"broken {error.encoding.upper()} at byte {error.start}") from None


def find_encoding(content: bytes, *, mixed: bool = False) -> str:
    """Return UTF-8 or, where a text holds no UTF-8 at all, Windows-1252 or the encoding that fits it best.

    ValueError: binary content, or UTF-8 that is broken in places (a guess would be wrong there), unless it may
    be `mixed`. A text that ends within a character is UTF-8: it may be the beginning of a longer one.
    """
    if marked := next((name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark)), ""):
        return marked
    if b"\0" in content:
        return _find_utf16(content[:SAMPLE])
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
        return "utf-8-sig"
    except UnicodeDecodeError as error:
        if any(ord(character) > 127 for character in content.decode("utf-8", "ignore")):
            if mixed:
                return "utf-8-sig"
            raise ValueError(f"broken UTF-8 at byte {error.start}") from None
    # English prose with a few bytes beyond ASCII: a guess takes its quotes for letters of any alphabet.
    if 4 * sum(byte > 127 for byte in content) < len(content):
        try:
            content.decode("cp1252")
            return "cp1252"
        except UnicodeDecodeError:
            pass
    from charset_normalizer import from_bytes

    guess = from_bytes(content).best()
    if guess is None:
        raise ValueError("is in no known encoding")
    return guess.encoding


def _find_utf16(sample: bytes) -> str:
    """Return UTF-16 without a mark, where every second byte of a Western text is zero; ValueError where it is not."""
    even, odd = (sample[side::2].count(0) / max(len(sample[side::2]), 1) for side in (0, 1))
    if max(even, odd) < 0.5 or min(even, odd) > 0.1:
        raise ValueError("holds NUL bytes, so it is no text")
    return "utf-16-le" if odd > even else "utf-16-be"
