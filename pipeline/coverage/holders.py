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
COPIED = ("article_id", "sentence_index", "start", "end", "outlet", "date", "label", "confidence")

Row = MutableMapping[str, Any]


class Holders:
    """Who takes a side in the rows seen so far."""

    def __init__(self, actors: Actors, sides: Sequence[str], stream: IO[str] | None = None) -> None:
        """Begin the table of speakers in a stream, if one is wanted."""
        self.actors, self.sides = actors, tuple(sides)
        self.counts: Counter[tuple[str, str]] = Counter()  # (actor, side) -> sentences
        self.quotations: Counter[str] = Counter()
        self.names: Counter[tuple[str, str]] = Counter()  # (actor, name) -> sentences
        self._writer = stream and csv.DictWriter(stream, (*COPIED, *COLUMNS, "text"), extrasaction="ignore")
        if self._writer:
            self._writer.writeheader()

    def add(self, rows: Sequence[Row]) -> None:
        """Say of each row that takes a side whose position it is, in columns of its own.

        The rows of an article stand together, and all of its sentences are among them: who "he" is stands before.
        """
        for _, group in groupby(rows, key=lambda row: (row.get("article_id"), row.get("target"))):
            article = sorted(group, key=lambda row: int(row["sentence_index"]))
            texts = [str(row.get("text") or "") for row in article]
            wanted = [i for i, row in enumerate(article) if row["label"] in self.sides and texts[i]]
            for i, speaker in find_speakers(texts, wanted, self.actors).items():
                self._count(article, i, speaker)

    def _count(self, article: Sequence[Row], i: int, speaker: Speaker) -> None:
        row = article[i]
        values = (speaker.words, *_place(article, speaker), speaker.name, speaker.actor, speaker.quotation)
        row.update(zip(COLUMNS, values, strict=True))
        self.counts[speaker.actor, row["label"]] += 1
        self.quotations[speaker.quotation] += 1
        if speaker.name:
            self.names[speaker.actor, speaker.name] += 1
        if self._writer:
            self._writer.writerow({name: shield_formula(value) for name, value in row.items()})

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
