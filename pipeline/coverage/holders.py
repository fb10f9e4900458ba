"""Which actor takes which side: the speakers of predicted rows, article by article, counted and written down."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, MutableMapping, Sequence
from itertools import groupby
from typing import IO, Any

from pipeline.coverage.actors import UNKNOWN, WRITER, Actors
from pipeline.coverage.speakers import Speaker, find_speakers
from pipeline.data.formats.columns import shield_formula

NAME = "speakers.csv"
# What is written into a row, and what of it stands in the table beside the speaker.
COLUMNS = ("speaker", "speaker_start", "speaker_end", "speaker_name", "actor", "quotation")
WRITTEN = ("article_id", "sentence_index", "start", "end", "outlet", "date", "label", "confidence", *COLUMNS, "text")

Row = MutableMapping[str, Any]


class Holders:
    """Who takes a side in the rows seen so far."""

    def __init__(self, actors: Actors, sides: Sequence[str], stream: IO[str] | None = None) -> None:
        """Begin the table of speakers in a stream, if one is wanted."""
        self.actors, self.sides = actors, tuple(sides)
        self.counts: Counter[tuple[str, str]] = Counter()  # (actor, side) -> sentences
        self.names: Counter[tuple[str, str]] = Counter()  # (actor, name) -> sentences
        self._writer = csv.writer(stream) if stream else None
        if self._writer:
            self._writer.writerow(WRITTEN)

    def add(self, rows: Sequence[Row]) -> list[str]:
        """Say of each row that takes a side whose position it is, in columns of its own; return the actor of each row.

        The rows of an article stand together, and all of its sentences are among them: who "he" is stands before.
        A row that takes no side has no actor, one without text an unknown one.
        """
        actors = [UNKNOWN if row["label"] in self.sides else "" for row in rows]
        for _, group in groupby(range(len(rows)), key=lambda i: (rows[i].get("article_id"), rows[i].get("target"))):
            order = sorted(group, key=lambda i: int(rows[i]["sentence_index"]))
            article = [rows[i] for i in order]
            texts = [str(row.get("text") or "") for row in article]
            wanted = [at for at, i in enumerate(order) if actors[i] and texts[at]]
            for at, speaker in find_speakers(texts, wanted, self.actors).items():
                actors[order[at]] = speaker.actor
                self._count(article, at, speaker)
        return actors

    def _count(self, article: Sequence[Row], i: int, speaker: Speaker) -> None:
        row = article[i]
        values = (speaker.words, *_place(article, speaker), speaker.name, speaker.actor, speaker.quotation)
        row.update(zip(COLUMNS, values, strict=True))
        self.counts[speaker.actor, row["label"]] += 1
        if speaker.name:
            self.names[speaker.actor, speaker.name] += 1
        if self._writer:
            self._writer.writerow(tuple(shield_formula(row.get(name, "")) for name in WRITTEN))

    def title(self, actor: str) -> str:
        """Return an actor's title."""
        return {**self.actors.titles, WRITER: "the writers", UNKNOWN: "somebody else or unknown"}[actor]

    def table(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Yield each actor's title and its sentences of each side; those who say most first, unknown ones last."""
        totals: Counter[str] = Counter()
        for (actor, _), count in self.counts.items():
            totals[actor] += count
        for actor in sorted(totals, key=lambda actor: (actor == UNKNOWN, -totals[actor], actor)):
            yield self.title(actor), {side: self.counts[actor, side] for side in self.sides}


def _place(article: Sequence[Row], speaker: Speaker) -> tuple[object, object]:
    """Return where in the article the speaker's words stand; empty where there are none, or no places."""
    try:
        start = int(article[speaker.sentence]["start"])
    except (KeyError, TypeError, ValueError):
        return "", ""
    return (start + speaker.start, start + speaker.end) if speaker.words else ("", "")
