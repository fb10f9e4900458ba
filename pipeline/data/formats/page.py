"""Web pages: a file is one article, with title, date and outlet where the page says them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import IO, Any

from pipeline.data.formats.rows import Reject, Row, read_document
from pipeline.data.formats.text import decode

# Where a page says in which encoding it is written; browsers look at its first bytes too.
DECLARED = re.compile(
    rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w.:-]{2,40})|<\?xml[^>]{0,100}encoding=["']([\w.:-]{2,40})"""
)
# What browsers take for what a page declares: the larger encoding that its author had (encoding.spec.whatwg.org).
MEANT = {"ascii": "cp1252", "iso8859-1": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949"}
MEANT |= {"shift_jis": "cp932", "big5": "big5hkscs", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874"}
# What is larger than any article, and takes a parser minutes; scripts and embedded pictures are passed over.
MOST_TAGS, MOST_TAG = 50_000, 100_000
MOST_PAIRS = 200_000_000  # of attributes' names and values: a parser compares each with all others of its tag
ATTRIBUTE, LONG_TAG = re.compile(r""""[^"]*"|'[^']*'|[^\s/"'=]+"""), 200
SCRIPT, EMBEDDED = re.compile("</?script", re.IGNORECASE), re.compile("data:[^\\s\"'>]+")
# Where a page says when it was published, most certain first. A date that stands anywhere else may be any day's.
PUBLISHED = (
    "//meta[@property='article:published_time' or @name='article:published_time']/@content",
    "//meta[@itemprop='datePublished' or @property='og:published_time']/@content",
    "//*[@itemprop='datePublished']/@datetime",
    "//time[@pubdate]/@datetime",
    "//meta[re:test(@name, '^(pubdate|publishdate|publish[-_]date|publication_date|parsely-pub-date|sailthru.date|"
    "dc.date|dc.date.issued|dcterms.(date|created|issued)|article.published|citation_(publication_)?date|date)$', 'i')]"
    "/@content",
)
JSON_LD = re.compile(r'"datePublished"\s*:\s*"([^"]{4,40})"')


def read(stream: IO[bytes], where: str) -> Iterator[Row | Reject]:
    """Read the article of a page, without navigation, comments and tables."""
    from trafilatura import bare_extraction, load_html

    page = _decode(read_document(stream))
    tags = re.findall("<[^<>]*", EMBEDDED.sub("", "".join(SCRIPT.split(page)[::2])))
    pairs = sum(len(ATTRIBUTE.findall(tag)) ** 2 for tag in tags if LONG_TAG < len(tag) <= MOST_TAG)
    if len(tags) > MOST_TAGS or pairs > MOST_PAIRS or any(len(tag) > MOST_TAG for tag in tags):
        raise ValueError("the page is no article: it has more tags than a browser would show")
    try:
        tree = load_html(page)
        date = "" if tree is None else _find_date(tree, page)
        # Its own date is a guess from the text, the address or the copyright line.
        options = {"with_metadata": True, "include_comments": False, "include_tables": False}
        article = bare_extraction(tree, date_extraction_params={"extensive_search": False}, **options)
    except Exception as error:  # a parser of other people's pages: whatever it trips on is a reject
        raise ValueError(f"the page cannot be parsed ({error})") from None
    if article is None or not (article.text or "").strip():
        raise ValueError("the page holds no article")
    yield Row(where, {"text": article.text, "title": article.title, "date": date, "outlet": article.sitename})


def _find_date(tree: Any, page: str) -> str:
    """Return the day of publication as the page states it; empty where it does not, or states several."""
    names = {"re": "http://exslt.org/regular-expressions"}
    for place in PUBLISHED:
        if stated := tree.xpath(place, namespaces=names):
            return str(stated[0]).strip()
    days = {day[:10] for day in JSON_LD.findall(page) or map(str, tree.xpath("//time/@datetime"))}
    return days.pop() if len(days) == 1 else ""


def _decode(content: bytes) -> str:
    """Decode as UTF-8, else as browsers read what the page declares, else like any text."""
    declared = DECLARED.search(content[:4096].lower())
    if declared:
        for encoding in ("utf-8-sig", (declared[1] or declared[2]).decode()):
            try:
                name = codecs.lookup(encoding).name
                return content.decode(MEANT.get(name, name))
            except (UnicodeDecodeError, LookupError):
                continue
    return decode(content)
