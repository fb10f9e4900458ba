"""The chart over time: gaps stay empty, neighbours are joined, no number covers another."""

import re
from datetime import date

from pipeline.reporting.timeline import Period, draw_timeline
from pipeline.scoring.bootstrap import Interval

SIDE = Interval(0.6, 0.5, 0.7)


def month(number, side=SIDE, **known):
    return Period(f"2017-{number:02}", date(2017, number, 1), date(2017, number + 1, 1), 7, side, **known)


def draw(periods, events=(), width=800.0):
    return draw_timeline(periods, events, ("coffee", "tea"), "Share of coffee <&>", width)


def test_only_neighbours_are_joined():
    assert draw([month(1), month(2), month(5), month(6, None), month(7)]).count('class="join"') == 1


def test_a_period_without_an_estimate_has_its_count_and_no_block():
    drawn = draw([month(1), month(2, None), month(3, is_useful=False)])
    assert [drawn.count(f'class="{kind}"') for kind in ("band own", "band baseline", "count")] == [1, 1, 3]
    assert "2017-02: no estimate, 7 articles" in drawn


def test_a_block_spans_its_days_and_its_interval():
    drawn = draw([month(1), month(11)])
    first, second = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" rx="2"', drawn)
    assert float(second[0]) - float(first[0]) > 20 * float(first[2]) / 3  # ten months apart
    assert first[3] == second[3]


def test_numbers_of_events_on_one_day_stand_above_each_other():
    days = [(date(2017, 3, 5), "Tea"), (date(2017, 3, 5), "Biscuits"), (date(2017, 3, 6), "Milk")]
    for width in (800.0, 330.0):
        drawn = draw([month(1), month(6)], days, width)
        heights = re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)" r="8.5"', drawn)
        assert len(set(heights)) == 3


def test_words_stay_words_and_all_lies_inside():
    drawn = draw([month(1), month(6)], [(date(2017, 3, 5), "Tea")], 330.0)
    assert "Share of coffee &lt;&amp;&gt;" in drawn
    assert max(float(x) for x in re.findall(r' (?:x|x1|x2|cx)="([\d.]+)"', drawn)) <= 330
