from datetime import date

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from pipeline.coverage.periods import (
    DIMENSIONS,
    EVENTS,
    PERIODS,
    Event,
    check_dimensions,
    choose_period,
    fill_gaps,
    first_days,
    name_period,
    read_events,
)
from pipeline.errors import InputError


@pytest.mark.parametrize(
    ("day", "names"),
    [
        ("2017-08-12", {"week": "2017-08-07", "month": "2017-08", "quarter": "2017-Q3", "year": "2017"}),
        ("2017-12-31", {"week": "2017-12-25", "month": "2017-12", "quarter": "2017-Q4", "year": "2017"}),
        ("2018-01-01", {"week": "2018-01-01", "month": "2018-01", "quarter": "2018-Q1", "year": "2018"}),
        ("2018-03", {"week": "", "month": "2018-03", "quarter": "2018-Q1", "year": "2018"}),  # a month has no week
        ("", {"week": "", "month": "", "quarter": "", "year": ""}),
    ],
)
def test_a_day_lies_in_its_periods(day, names):
    assert {dimension: name_period(day, dimension) for dimension in PERIODS} == names


@pytest.mark.parametrize(
    ("dimension", "names", "filled"),
    [
        ("month", ["2018-02", "2017-11"], ["2017-11", "2017-12 to 2018-01", "2018-02"]),
        ("month", ["2017-11", "2018-01", "2018-02"], ["2017-11", "2017-12", "2018-01", "2018-02"]),
        ("quarter", ["2017-Q4", "2018-Q2"], ["2017-Q4", "2018-Q1", "2018-Q2"]),
        ("year", ["1999", "2020"], ["1999", "2000 to 2019", "2020"]),
        ("week", ["2017-12-25", "2018-01-15"], ["2017-12-25", "2018-01-01 to 2018-01-08", "2018-01-15"]),
        ("month", ["0001-01", "9999-12"], ["0001-01", "0001-02 to 9999-11", "9999-12"]),
        ("month", [], []),
    ],
)
def test_a_gap_is_one_line_with_its_ends(dimension, names, filled):
    assert fill_gaps(names, dimension) == filled


@given(st.lists(st.dates(), min_size=1, max_size=20), st.sampled_from(PERIODS))
def test_periods_come_in_order_and_none_is_lost(days, dimension):
    names = [name_period(day.isoformat(), dimension) for day in days]
    filled = fill_gaps(names, dimension)
    assert filled == sorted(filled)
    assert set(names) <= set(filled)


@given(st.dates(), st.sampled_from(PERIODS))
def test_a_day_lies_between_the_first_days_of_its_period_and_of_the_next(day, dimension):
    begin, end = first_days(name_period(day.isoformat(), dimension), dimension)
    assert begin <= day < end or end == date.max
    assert name_period(begin.isoformat(), dimension) == name_period(day.isoformat(), dimension)
    assert end == date.max or name_period(end.isoformat(), dimension) != name_period(day.isoformat(), dimension)


@pytest.mark.parametrize(
    ("days", "dimension"),
    [
        (["2017-03-06"] * 5 + ["2017-03-16"] * 5, "week"),
        (["2017-03-06", "2017-03-16"] * 3, "month"),
        (["2017-03"] * 5, "month"),
        (["2017-03-06"] * 5 + [f"2017-{day}" for day in "03-13 03-20 03-27 04-03 04-10 04-17".split()], "month"),
        (["2017-01-01", "2017-02-01"] * 3, "quarter"),
        (["2017-03-06"] * 5 + ["2019-03-06"] * 5, "month"),
        (["1990-03-06"] * 5 + ["2019-03-06"] * 5, "year"),
        (["1990-03-06"], "year"),
        (["", ""], ""),
    ],
)
def test_the_finest_period_in_which_most_articles_stand_together_is_chosen(days, dimension):
    assert choose_period(days, 5) == dimension


def test_what_can_be_grouped_by_is_named():
    assert check_dimensions("month, outlet,month") == ["month", "outlet"]
    assert check_dimensions("") == []
    with pytest.raises(InputError, match="--by: unknown 'weather'; expected " + ", ".join(DIMENSIONS)):
        check_dimensions("outlet,weather")


def test_events_come_in_order(tmp_path):
    (tmp_path / EVENTS).write_text("title,date\nTea party,2018-05\n Biscuit   summit ,2017-03-02\n", encoding="utf-8")
    assert read_events(tmp_path) == [Event("2017-03-02", "Biscuit summit"), Event("2018-05", "Tea party")]


def test_without_a_file_there_are_none(tmp_path):
    assert read_events(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("date,title\n2017-02-30,Tea party\n", "no date or no title; expected a day such as 2017-09-03"),
        ("date,title\n2017-02-03,\n", "no date or no title"),
        ("day,title\n2017-02-03,Tea party\n", "no `date`"),
    ],
)
def test_an_event_without_date_or_title_is_one_line(tmp_path, content, message):
    (tmp_path / EVENTS).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_events(tmp_path)


def test_those_that_ship_can_be_read():
    assert len(read_events(ROOT / "configs")) >= 12
