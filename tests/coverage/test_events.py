import pytest
from conftest import ROOT

from pipeline.coverage.events import NAME, Event, read_events
from pipeline.errors import InputError


def test_events_come_in_order(tmp_path):
    (tmp_path / NAME).write_text("title,date\nTea party,2018-05\n Biscuit   summit ,2017-03-02\n", encoding="utf-8")
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
    (tmp_path / NAME).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_events(tmp_path)


def test_those_that_ship_can_be_read():
    assert len(read_events(ROOT / "configs")) >= 12
