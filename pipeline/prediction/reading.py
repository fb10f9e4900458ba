"""Articles cut into chunks of sentences, by a thread that reads ahead of who scores them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from queue import Full, Queue
from threading import Event, Thread
from typing import Generic, NamedTuple, TypeVar

from pipeline.config import TopicWords
from pipeline.data.articles import Article, Source, read_source
from pipeline.data.formats.rows import Reject
from pipeline.data.language import foreign_language
from pipeline.data.sentences import Dropped, Sentence, read_prose
from pipeline.data.tables import ByteCounter
from pipeline.data.topic import on_topic
from pipeline.errors import InputError

T = TypeVar("T")
Cut = tuple[list[Sentence], list[Dropped]]
NO_TARGET = "no `target`, which this model reads with each text"


class Needs(NamedTuple):
    """What a model wants of an article."""

    targets: bool = False  # each article must have one; else they are passed over
    language: str = ""  # as `en`; empty: any
    topic_words: TopicWords | None = None


class Cursor(NamedTuple):
    """How much of the inputs has been taken: whole sources, articles of the next, sentences of the next."""

    source: int = 0
    article: int = 0
    sentence: int = 0
    seen: str = ""  # digest of the articles before it on standard input, which has no name and no date


@dataclass
class Chunk:
    """What is scored and committed together. Its borders depend on the inputs alone."""

    sentences: list[tuple[Article, Sentence]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)  # keys of the articles that begin here
    rejects: list[Reject] = field(default_factory=list)
    dropped: list[tuple[str, Dropped]] = field(default_factory=list)  # article, and a line of it that is no sentence
    unclear: list[str] = field(default_factory=list)  # dates of the articles that begin here, if no day is sure
    cursor: Cursor = Cursor()  # behind it
    read: int = 0  # bytes

    def begin(self, article: Article, dropped: Iterable[Dropped]) -> None:
        """Add what is said once of an article."""
        self.ids.append(article.key)
        self.dropped += [(article.id, line) for line in dropped]
        self.unclear += [article.unclear_date] if article.unclear_date else []

    def ended(self, cursor: Cursor, meter: ByteCounter) -> Chunk:
        """Return it with its end."""
        self.cursor, self.read = cursor, meter.read
        return self


def fingerprint_inputs(sources: Iterable[Source]) -> tuple[str, int | None]:
    """Return a digest of the names, sizes and dates of all files, and their bytes (None: unknown)."""
    digest, total, known = hashlib.sha256(), 0, True
    for source in sources:
        size, date = _size_and_date(source)
        digest.update(repr((source.name, str(source.file), size, date)).encode())
        total += size
        known = known and source.file is not None
    return digest.hexdigest(), total if known else None


def _size_and_date(source: Source) -> tuple[int, int]:
    try:
        found = source.file.stat() if source.file else None
    except OSError:
        found = None  # reading it will be a reject
    return (found.st_size, found.st_mtime_ns) if found else (0, 0)


def read_chunks(
    sources: Iterable[Source],
    unit: str,
    size: int,
    begin: Cursor,
    seen: set[str],
    meter: ByteCounter,
    needs: Needs,
) -> Iterator[Chunk]:
    """Yield chunks of `size` sentences from a cursor on; the last one may hold fewer, or none.

    Args:
        sources: what to read.
        unit: `article` (cut into sentences) or `sentence` (each row is one already).
        size: sentences, or articles and rejects, that fill a chunk.
        begin: where an earlier chunk ended.
        seen: keys of the articles before it; grows.
        meter: counts the bytes that were read.
        needs: of the model.

    """
    chunk = Chunk(cursor=begin)
    for number, source in enumerate(sources):
        if number < begin.source:
            meter.read += _size_and_date(source)[0]
            continue
        here = begin if number == begin.source else Cursor(number)
        for item, (sentences, dropped), cursor in _cut_source(source, meter, here, unit, seen, needs):
            if isinstance(item, Reject):
                chunk.rejects.append(item)
            elif not cursor.sentence:
                chunk.begin(item, dropped)
            for index in range(cursor.sentence, len(sentences)):
                assert isinstance(item, Article)
                chunk.sentences.append((item, sentences[index]))
                if len(chunk.sentences) == size:
                    yield chunk.ended(cursor._replace(sentence=index + 1), meter)
                    chunk = Chunk()
            if len(chunk.rejects) + len(chunk.ids) >= size:
                yield chunk.ended(cursor._replace(article=cursor.article + 1, sentence=0), meter)
                chunk = Chunk()
        chunk.cursor = Cursor(number + 1)
    yield chunk.ended(chunk.cursor, meter)


def _cut_source(
    source: Source, meter: ByteCounter, begin: Cursor, unit: str, seen: set[str], needs: Needs
) -> Iterator[tuple[Article | Reject, Cut, Cursor]]:
    """Yield the articles of a source from a cursor on, what they were cut into, and where to begin in it."""
    for position, (found, digest) in enumerate(_remaining(source, meter, begin), begin.article):
        first = begin.sentence if position == begin.article else 0
        item, cut = _cut(found, unit, seen if not first else (), needs)
        if isinstance(item, Article):
            seen.add(item.key)
        yield item, cut, Cursor(begin.source, position, first, digest)


def _remaining(source: Source, meter: ByteCounter, begin: Cursor) -> Iterator[tuple[Article | Reject, str]]:
    """Yield the articles of a source from a cursor on, each with a digest of standard input up to it.

    InputError if standard input is not what it was before the cursor.
    """
    running, position = hashlib.sha256(), 0

    def check(digest: str) -> None:
        if begin.seen not in ("", digest):
            raise InputError(source.name, "is not what it was when the batch began", then="--restart begins anew")

    before = after = running.hexdigest() if source.file is None else ""
    for position, found in enumerate(read_source(source, meter), 1):
        if source.file is None:
            before = after
            running.update(repr(found).encode())
            after = running.hexdigest()
        if position == begin.article + 1:
            check(after if begin.sentence else before)
        if position > begin.article:
            yield found, after
    if position <= begin.article:
        check("" if position < begin.article or begin.sentence else after)


def _cut(found: Article | Reject, unit: str, seen: Collection[str], needs: Needs) -> tuple[Article | Reject, Cut]:
    """Return an article without its text, and what it was cut into; or why there are no sentences."""
    if isinstance(found, Reject):
        return found, ([], [])
    if not needs.targets:
        found = replace(found, target="")
    elif not found.target.strip():
        return Reject(found.id, NO_TARGET), ([], [])
    if found.key in seen:
        return Reject(found.id, "a second article with this id; expected unique ids"), ([], [])
    if reject := refuse_language(found, needs):
        return reject, ([], [])
    sentences, dropped = (
        ([Sentence(0, 0, len(found.text), found.text)], [])
        if unit == "sentence"
        else read_prose(found.text, found.title)
    )
    if not sentences:
        return Reject(found.id, "the article holds no sentence"), ([], [])
    return replace(found, text=""), (mark_topic(sentences, found.title, needs.topic_words), dropped)


def refuse_language(article: Article, needs: Needs) -> Reject | None:
    """Return why an article cannot be read where it is plainly in another language."""
    language = foreign_language(article.text, needs.language)
    return Reject(article.id, f"is in {language}, which the model does not read") if language else None


def mark_topic(sentences: list[Sentence], title: str, words: TopicWords | None) -> list[Sentence]:
    """Return the sentences of an article, each with whether it has to do with the topic."""
    if words is None:
        return sentences
    texts = [sentence.text for sentence in sentences]
    added = [title] if title and texts and not sentences[0].is_title else []
    marks = on_topic([*added, *texts], words, titled=bool(title))[len(added) :]
    return [replace(sentence, on_topic=mark) for sentence, mark in zip(sentences, marks, strict=True)]


class Prefetcher(Generic[T]):
    """An iterator that is run in a thread, a few items ahead; its error is raised where items are taken."""

    def __init__(self, items: Iterator[T], most: int = 2) -> None:
        """Take what yields items, and how many may wait."""
        self._items, self._stop = items, Event()
        self._queue: Queue[tuple[list[T], BaseException | None]] = Queue(most)
        # A daemon, because it may be waiting for standard input for ever.
        self._thread = Thread(target=self._work, name="reading", daemon=True)

    def __enter__(self) -> Iterator[T]:
        """Begin to run ahead."""
        self._thread.start()
        return self._take()

    def __exit__(self, *error: object) -> None:
        """Stop after the item at hand."""
        self._stop.set()
        self._thread.join(1.0)

    def _take(self) -> Iterator[T]:
        while True:
            items, error = self._queue.get()
            if error is not None:
                raise error
            if not items:
                return
            yield from items

    def _work(self) -> None:
        end: BaseException | None = None
        try:
            for item in self._items:
                if not self._put([item]):
                    return
        except BaseException as error:  # raised again in `_take`
            end = error
        self._put([], end)

    def _put(self, items: list[T], error: BaseException | None = None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put((items, error), timeout=0.1)
            except Full:
                continue
            return True
        return False
