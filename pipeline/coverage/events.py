"""What happened meanwhile: dated events that stand as marks in the chart over time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.coverage.rows import read_date
from pipeline.data.formats.rows import Reject
from pipeline.data.tables import read_rows
from pipeline.errors import InputError

NAME = "events.csv"  # beside the config


@dataclass(frozen=True, order=True)
class Event:
    """A day, or a month, and what happened."""

    date: str
    title: str


def read_events(folder: Path) -> list[Event]:
    """Return the events that lie beside a config, in order; none where there is no such file.

    InputError: a line has no date or no title.
    """
    if not (folder / NAME).is_file():
        return []
    events = []
    for row in read_rows(folder / NAME, ("date", "title")):
        if isinstance(row, Reject):
            raise InputError(row.where, row.why, expected="a table with the columns date, title")
        date, title = read_date(row.fields["date"]), " ".join(str(row.fields["title"] or "").split())
        if not date or not title:
            raise InputError(row.where, "no date or no title", expected="a day such as 2017-09-03, and what happened")
        events.append(Event(date, title))
    return sorted(events)
