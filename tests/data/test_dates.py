from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.dates import parse_date

DAYS = st.dates(date(1900, 1, 1), date(2099, 12, 31))
FORMS = [
    *("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *("%d %B %Y", "%B %d, %Y"),
    *(
        "%b. %d, %Y",
        "%d-%b-%Y",
        "%A, %B %d, %Y",
        "%a, %d %b %Y %H:%M:%S GMT",
        "%d %B %Y at 5:00 pm",
        "%B %d, %Y | 5:04pm",
    ),
]


@pytest.mark.parametrize("form", FORMS)
@given(day=DAYS)
def test_a_day_is_found_however_it_is_written(form, day):
    assert parse_date(day.strftime(form)) == day.isoformat()


@given(DAYS)
def test_numbers_are_a_day_where_they_can_be_one_alone(day):
    either = day.strftime("%d/%m/%Y"), day.strftime("%m/%d/%Y")
    unclear = day.day < 13 and day.day != day.month
    assert {parse_date(written) for written in either} == {"" if unclear else day.isoformat()}


@given(st.text(max_size=30))
def test_what_comes_of_any_text_is_iso_or_nothing(text):
    found = parse_date(text)
    assert found == "" or date.fromisoformat(found + "-01-01"[len(found) - 4 :] if len(found) < 10 else found)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2019", "2019"),
        (2019, "2019"),
        (20190228.0, "2019-02-28"),
        ("2019-02", "2019-02"),
        ("Feb 2019", "2019-02"),
        ("12/2019", "2019-12"),
        ("May 1st, 2019", "2019-05-01"),
        (datetime(2019, 2, 28, 23, 59), "2019-02-28"),
        (date(2019, 2, 28), "2019-02-28"),
    ],
)
def test_months_years_and_values_of_tables_are_dates(value, found):
    assert parse_date(value) == found


@pytest.mark.parametrize(
    "value",
    [None, "", float("nan"), "yesterday", "2019-02-30", "2019-13-01", "3/4/2019", "3/4/19", 43525, "1551312000"],
)
def test_what_is_no_date_or_may_be_two_is_none(value):
    assert parse_date(value) == ""
