"""What sentences are grouped by: outlet, target, speaker, or the time of their date; and what happened in that time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipeline.data.dates import parse_date
from pipeline.data.formats.rows import Reject
from pipeline.data.tables import read_rows
from pipeline.errors import InputError

PARTS = {"month": 12, "quarter": 4, "year": 1}  # of a year
PERIODS = ("week", *PARTS)
SPEAKER = "speaker"
DIMENSIONS = ("outlet", "target", SPEAKER, *PERIODS)
MOST_PERIODS = 40  # of a chart that chooses for itself
EVENTS = "events.csv"  # beside the config


def check_dimensions(words: str) -> list[str]:
    """Return what `outlet,month` names; InputError where there is no such thing to group by."""
    names = list(dict.fromkeys(filter(None, (word.strip() for word in words.split(",")))))
    if unknown := [name for name in names if name not in DIMENSIONS]:
        raise InputError("--by", f"unknown {unknown[0]!r}", expected=", ".join(DIMENSIONS))
    return names


def choose_period(days: Sequence[str], fewest: int) -> str:
    """Return the finest kind of period in which most articles lie among at least `fewest`; empty without dates."""
    known = [day for day in days if day]
    for dimension in PERIODS:
        numbers = [_number(day, dimension) for day in known]
        counts = Counter(number for number in numbers if number is not None)
        if counts and max(counts) - min(counts) < MOST_PERIODS:
            if 2 * sum(count for count in counts.values() if count >= fewest) >= len(known):
                return dimension
    return PERIODS[-1] if known else ""


def first_days(name: str, dimension: str) -> tuple[date, date]:
    """Return the first day of a period, by its name, and of the next one, or the last day there is."""
    first = _first_day(name, dimension)
    begin = date.fromisoformat(first if len(first) == 10 else f"{first}-01")
    number = _number(first, dimension)
    try:
        after = _first_day(_name((number or 0) + 1, dimension), dimension)
        return begin, date.fromisoformat(after if len(after) == 10 else f"{after}-01")
    except ValueError:
        return begin, date.max


def name_period(day: str, dimension: str) -> str:
    """Return the period that an ISO day or month lies in; empty where the date does not say."""
    number = _number(day, dimension)
    return "" if number is None else _name(number, dimension)


def fill_gaps(names: Sequence[str], dimension: str) -> list[str]:
    """Return periods in order, and between them the name of each gap: its first and last period."""
    numbers = {_number(_first_day(name, dimension), dimension): name for name in names}
    known = sorted(number for number in numbers if number is not None)
    filled: list[str] = []
    for number, previous in zip(known, [None, *known], strict=False):
        if previous is not None and number > previous + 1:
            ends = dict.fromkeys((_name(previous + 1, dimension), _name(number - 1, dimension)))
            filled.append(" to ".join(ends))
        filled.append(numbers[number])
    return filled


def _number(day: str, dimension: str) -> int | None:
    """Count periods from the year 0 on, or weeks from the first Monday of the calendar on."""
    if dimension == "week":
        try:
            return (date.fromisoformat(day).toordinal() - 1) // 7
        except ValueError:
            return None
    return (int(day[:4]) * 12 + int(day[5:7]) - 1) * PARTS[dimension] // 12 if day else None


def _name(number: int, dimension: str) -> str:
    if dimension == "week":
        return date.fromordinal(number * 7 + 1).isoformat()
    year, part = divmod(number, PARTS[dimension])
    return {"month": f"{year:04}-{part + 1:02}", "quarter": f"{year:04}-Q{part + 1}", "year": f"{year:04}"}[dimension]


def _first_day(name: str, dimension: str) -> str:
    """Return the first day, or month, of a period by its name."""
    return {"quarter": f"{name[:4]}-{3 * int(name[-1]) - 2:02}", "year": f"{name}-01"}.get(dimension, name)


def read_date(value: object) -> str:
    """Return the day or month that a date names; empty for a year alone, and for what is no date."""
    day = parse_date(value)
    return day if len(day) > 4 else ""


@dataclass(frozen=True, order=True)
class Event:
    """A day, or a month, and what happened."""

    date: str
    title: str


def read_events(folder: Path) -> list[Event]:
    """Return the events that lie beside a config, in order; none where there is no such file.

    InputError: a line has no date or no title.
    """
    if not (folder / EVENTS).is_file():
        return []
    events = []
    for row in read_rows(folder / EVENTS, ("date", "title")):
        if isinstance(row, Reject):
            raise InputError(row.where, row.why, expected="a table with the columns date, title")
        day, title = read_date(row.fields["date"]), " ".join(str(row.fields["title"] or "").split())
        if not day or not title:
            raise InputError(row.where, "no date or no title", expected="a day such as 2017-09-03, and what happened")
        events.append(Event(day, title))
    return sorted(events)
