"""Word documents (.docx): a file is one article, a paragraph a line."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import IO
from zipfile import BadZipFile, ZipFile

from pipeline.data.formats.rows import Reject, Row, check_size, read_document

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
WORDS = {f"{W}t": None, f"{W}tab": " ", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
# Text that is there twice, for older programs, or is no longer there.
PASSED_OVER = {"{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback", f"{W}del", f"{W}moveFrom"}


def read(stream: IO[bytes], where: str) -> Iterator[Row | Reject]:
    """Read paragraphs, headings and cells of tables in their order; the title is the first one that is styled so."""
    from lxml import etree

    content = BytesIO(read_document(stream))
    try:
        check_size(content)
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        with ZipFile(content) as archive:
            body = etree.fromstring(archive.read("word/document.xml"), parser)
    except (BadZipFile, KeyError, RuntimeError, NotImplementedError, zlib.error, etree.XMLSyntaxError) as error:
        raise ValueError(f"is no Word document ({error})") from None
    title, lines = "", []
    for paragraph in body.iter(f"{W}p"):
        if any(above.tag in PASSED_OVER for above in paragraph.iterancestors()):
            continue
        line = "".join(_words(paragraph)).strip()
        style = paragraph.find(f"{W}pPr/{W}pStyle")
        if line and not title and style is not None and re.match("(?i)title|heading ?1$", style.get(f"{W}val", "")):
            title = " ".join(line.split())
        lines.append(line)
    yield Row(where, {"text": "\n\n".join(filter(None, lines)), "title": title})


def _words(element: object) -> Iterator[str]:
    """Yield the words of a paragraph; those of paragraphs within it, in text boxes, come by themselves."""
    for child in element:  # type: ignore[attr-defined]
        if child.tag in PASSED_OVER or child.tag == f"{W}p":
            continue
        if child.tag in WORDS:
            yield WORDS[child.tag] or child.text or ""
        else:
            yield from _words(child)
