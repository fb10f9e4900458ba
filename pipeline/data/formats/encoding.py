"""From bytes to text, whatever encoding they are in."""

from __future__ import annotations

import codecs

BYTE_ORDER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decode(content: bytes) -> str:
    """Decode a text; ValueError as in `find_encoding`, or where UTF-8 is broken at the end."""
    try:
        return content.decode(find_encoding(content))
    except UnicodeDecodeError as error:
        raise ValueError(f"broken {error.encoding.upper()} at byte {error.start}") from None


def find_encoding(content: bytes) -> str:
    """Return UTF-8 or, where a text holds no UTF-8 at all, Windows-1252 or the encoding that fits it best.

    ValueError: binary content, or UTF-8 that is broken in places (a guess would be wrong there). A text that
    ends within a character is UTF-8: it may be the beginning of a longer one.
    """
    if content.startswith(BYTE_ORDER_MARKS):
        return "utf-16"
    if b"\0" in content:
        raise ValueError("holds NUL bytes, so it is no text")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
        return "utf-8-sig"
    except UnicodeDecodeError as error:
        if any(ord(character) > 127 for character in content.decode("utf-8", "ignore")):
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
