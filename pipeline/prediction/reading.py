"""Articles cut into chunks of sentences, by a thread that reads ahead of who scores them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Any, NamedTuple, TypeVar

from pipeline.config import TopicWords
from pipeline.data.articles import Article, Source, read_source
from pipeline.data.formats.rows import Reject
from pipeline.data.language import foreign_language
from pipeline.data.sentences import Sentence, read_prose
from pipeline.data.tables import ByteCounter
from pipeline.data.topic import on_topic
from pipeline.errors import InputError

T = TypeVar("T")
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
class Notes:
    """What is said of articles beside their sentences."""

    rejects: list[Reject] = field(default_factory=list)
    dropped: list[dict[str, Any]] = field(default_factory=list)  # lines that are no sentences, each with its article
    unclear: list[str] = field(default_factory=list)  # dates, if no day is sure

    def add(self, other: Notes) -> None:
        """Take in what another one holds."""
        self.rejects += other.rejects
        self.dropped += other.dropped
        self.unclear += other.unclear


@dataclass
class Chunk(Notes):
    """What is scored and committed together. Its borders depend on the inputs alone."""

    sentences: list[tuple[Article, Sentence]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)  # keys of the articles that begin here
    cursor: Cursor = Cursor()  # behind it
    read: int = 0  # bytes


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
    sources: Iterable[Source], unit: str, size: int, begin: Cursor, seen: set[str], meter: ByteCounter, needs: Needs
) -> Iterator[Chunk]:
    """Yield chunks of `size` sentences from a cursor on; the last one may hold fewer, or none.

    As many articles and rejects fill a chunk too. `seen` has the keys of the articles before the cursor, and grows.
    """
    chunk = Chunk(cursor=begin)
    for number, source in enumerate(sources):
        if number < begin.source:
            meter.read += _size_and_date(source)[0]
            continue
        here = begin if number == begin.source else Cursor(number)
        for item, digest in _remaining(source, meter, here):
            piece = _cut(item, unit, () if here.sentence else seen, needs)
            seen.update(piece.ids)
            if piece.rejects or not here.sentence:
                chunk.add(piece)
                chunk.ids += piece.ids
            for place, sentence in enumerate(piece.sentences[here.sentence :], here.sentence + 1):
                chunk.sentences.append(sentence)
                if len(chunk.sentences) == size:
                    yield replace(chunk, cursor=here._replace(sentence=place, seen=digest), read=meter.read)
                    chunk = Chunk()
            here = Cursor(number, here.article + 1, 0, digest)
            if len(chunk.rejects) + len(chunk.ids) >= size:
                yield replace(chunk, cursor=here, read=meter.read)
                chunk = Chunk()
        chunk.cursor = Cursor(number + 1)
    chunk.read = meter.read
    yield chunk


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


def _cut(found: Article | Reject, unit: str, seen: Collection[str], needs: Needs) -> Chunk:
    """Return all that comes of an article: its sentences, or why there are none."""
    if isinstance(found, Reject):
        return Chunk([found])
    if not needs.targets:
        found = replace(found, target="")
    elif not found.target.strip():
        return Chunk([Reject(found.id, NO_TARGET)])
    if found.key in seen:
        return Chunk([Reject(found.id, "a second article with this id; expected unique ids")])
    if reject := refuse_language(found, needs):
        return Chunk([reject])
    whole = Sentence(0, 0, len(found.text), found.text)
    sentences, lines = ([whole], []) if unit == "sentence" else read_prose(found.text, found.title)
    if not sentences:
        return Chunk([Reject(found.id, "the article holds no sentence")])
    dropped = [{"article_id": found.id, **vars(line)} for line in lines]
    unclear = [found.unclear_date] if found.unclear_date else []
    article, marked = replace(found, text=""), mark_topic(sentences, found.title, needs.topic_words)
    return Chunk([], dropped, unclear, [(article, sentence) for sentence in marked], [found.key])


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
    return [
        sentence if mark else replace(sentence, on_topic=False) for sentence, mark in zip(sentences, marks, strict=True)
    ]


@contextmanager
def read_ahead(items: Iterable[T], most: int = 2) -> Iterator[Iterator[T]]:
    """Run an iterator in a thread, `most` items ahead; its error is raised where items are taken."""
    queue: SimpleQueue[tuple[list[T], BaseException | None]] = SimpleQueue()
    room, stopped = Semaphore(most), Event()

    def work() -> None:
        end: BaseException | None = None
        try:
            for item in items:
                queue.put(([item], None))
                room.acquire()
                if stopped.is_set():
                    return
        except BaseException as error:  # raised again in `take`
            end = error
        queue.put(([], end))

    def take() -> Iterator[T]:
        while True:
            taken, error = queue.get()
            if error is not None:
                raise error
            if not taken:
                return
            room.release()
            yield from taken

    # A daemon, because it may be waiting for standard input for ever.
    thread = Thread(target=work, name="reading", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        stopped.set()
        room.release()
        thread.join(1.0)
