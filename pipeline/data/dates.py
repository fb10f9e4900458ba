"""Dates as people and programs write them, as ISO 8601: a day, a month or a year; found, or missing, never guessed."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from pipeline.data.formats.columns import to_text

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NAME = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
YEAR, DAY = r"(?P<year>[12]\d{3})", r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?"
# What may stand behind a day: an hour, with or without its zone. The day is the one that is written.
HOUR = r"(?:[T,|\s]+(?:at\s+)?\d{1,2}(?::\d\d){0,2}.{0,40})?"
FORMS = [
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"{YEAR}(?:-(?P<month>\d\d)(?:-(?P<day>\d\d){HOUR})?)?",
        rf"{YEAR}(?P<between>[/.])(?P<month>\d{{1,2}})(?P=between)(?P<day>\d{{1,2}}){HOUR}",
        rf"{YEAR}-(?P<month>\d{{1,2}})-(?P<day>\d{{1,2}}){HOUR}",
        rf"{YEAR}(?P<month>\d\d)(?P<day>\d\d)(?:T?\d{{4,6}}Z?)?",
        rf"{WEEKDAY}{DAY}[\s-]+(?:of\s+)?{NAME},?[\s-]+{YEAR}{HOUR}",
        rf"{WEEKDAY}{NAME}\s+{DAY},?\s+{YEAR}{HOUR}",
        rf"{NAME},?\s+{YEAR}",
        rf"(?P<month>\d{{1,2}})/{YEAR}",
    )
]
# Which of the first two numbers is the month, only a number above twelve says.
EITHER = re.compile(rf"(?P<first>\d{{1,2}})(?P<between>[/.-])(?P<second>\d{{1,2}})(?P=between){YEAR}{HOUR}")


def parse_date(value: Any) -> str:
    """Return YYYY-MM-DD, YYYY-MM or YYYY; empty for what is no date, never was one or may be two."""
    written = " ".join(to_text(value).split())
    for form in FORMS:
        if match := form.fullmatch(written):
            parts = match.groupdict()
            name = parts.get("name")
            month = MONTHS.index(name[:3].lower()) + 1 if name else parts.get("month")
            return _iso(parts["year"], month, parts.get("day"))
    if match := EITHER.fullmatch(written):
        first, second = int(match["first"]), int(match["second"])
        if first == second or first > 12:
            return _iso(match["year"], second, first)
        return _iso(match["year"], first, second) if second > 12 else ""
    return ""


def _iso(year: str, month: int | str | None, day: int | str | None) -> str:
    try:
        whole = date(int(year), int(month or 1), int(day or 1)).isoformat()
    except ValueError:
        return ""
    return whole if day else whole[:7] if month else whole[:4]
