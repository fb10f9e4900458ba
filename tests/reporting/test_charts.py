import re
from xml.etree import ElementTree

import numpy as np
import pytest

from pipeline.reporting import charts
from pipeline.reporting.charts import Mark
from pipeline.scoring.abstention import RiskCoverage
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.metrics import Reliability
from pipeline.scoring.scores import LabelScores

NASTY = "<script>alert('goose')</script> & \"honk\""
HALF = Interval(0.5, 0.4, 0.6)
DRAWN = {
    "intervals": charts.draw_intervals(
        [Mark(NASTY, HALF), Mark("few", note=NASTY), Mark("x", kind="head")], NASTY, 0.5
    ),
    "confusion": charts.draw_confusion(np.array([[3, 1], [0, 0]]), [NASTY, "b"], NASTY),
    "reliability": charts.draw_reliability(Reliability(np.array([0.9]), np.array([0.5]), np.array([2])), NASTY),
    "coverage": charts.draw_risk_coverage(RiskCoverage(*np.array([[0.5, 1.0], [1.0, 0.5], [0.9, 0.6]])), NASTY),
    "classes": charts.draw_label_scores([LabelScores(NASTY, 0.8, 0.6, 0.7, 10), LabelScores("b", 0, 0, 0, 0)], NASTY),
    "rates": charts.draw_rates([(NASTY, 0, 3, None), ("b", 3, 3, 1)], NASTY),
}
every_chart = pytest.mark.parametrize("svg", DRAWN.values(), ids=DRAWN)


@every_chart
def test_a_chart_is_well_formed_and_runs_nothing(svg):
    names = {element.tag for element in ElementTree.fromstring(svg).iter()}  # noqa: S314 - our own text
    assert "svg" in names and "script" not in names


@every_chart
def test_a_chart_says_what_it_shows(svg):
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own text
    assert root.get("role") == "img" and root.get("aria-label") == NASTY
    assert root.findtext("title") == NASTY and root.findtext("desc")


def test_a_dot_stands_where_its_value_is():
    root = ElementTree.fromstring(charts.draw_intervals([Mark("a", HALF), Mark("b", Interval(1, 1, 1))], "t"))  # noqa: S314
    first, second = (float(dot.get("cx")) for dot in root.iter("circle"))
    assert first == pytest.approx((236 + second) / 2)


def test_in_a_narrow_chart_names_stand_above_their_track_and_nothing_reaches_out():
    rates = [("noodles", 2, 4, 1), ("tea", 0, 3, None)]
    whiskers = [Mark("noodles", HALF, "30"), Mark("tea", note="too few"), Mark("cups", kind="head")]
    for draw, what in ((charts.draw_intervals, whiskers), (charts.draw_rates, rates)):
        wide, narrow = re.findall(r"<svg.*?</svg>", charts.fit_screens(draw, what, "t"))
        root = ElementTree.fromstring(narrow)  # noqa: S314 - our own text
        places = [float(e.get(name)) for e in root.iter() for name in ("x", "x1", "x2", "cx") if e.get(name)]
        assert 0 <= min(places) and max(places) <= charts.NARROW < charts.WIDTH == float(
            ElementTree.fromstring(wide).get("width")  # noqa: S314
        )
        (name,) = (text for text in root.iter("text") if text.text == "noodles")
        assert name.get("x") == "0.0" and name.get("text-anchor") == "start"


# A file of its own


@every_chart
def test_a_chart_can_stand_alone_with_its_colours(svg):
    root = ElementTree.fromstring(charts.standalone(svg))  # noqa: S314 - our own text
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    style = root.findtext("{http://www.w3.org/2000/svg}style")
    assert "prefers-color-scheme: dark" in style and "--own" in style
    assert len(list(root.iter())) == len(list(ElementTree.fromstring(svg).iter())) + 2  # noqa: S314


def used(svg):
    """Classes of a chart's elements, and classes and colours that a style sheet knows."""
    return {name for element in ElementTree.fromstring(svg).iter() for name in element.get("class", "").split()}  # noqa: S314


def test_each_class_of_a_chart_has_its_rule_and_each_colour_its_value():
    style = charts.STYLE.read_text()
    classes = set().union(*map(used, DRAWN.values())) - {"chart", "own", "name"}
    assert {name for name in classes if not re.search(rf"\.{name}\b", style)} == set()
    colours = set(re.findall(r"var\((--[a-z]+)\)", style))
    assert colours and all(style.count(f"{colour}:") == 2 for colour in colours)  # light and dark


def words(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("text") if element.text]  # noqa: S314


def test_the_confusion_says_counts_and_shares_of_the_true_label():
    svg = charts.draw_confusion(np.array([[8, 1, 1], [0, 3, 2], [0, 0, 0]]), "abc", "soup")
    cells = [word for word in words(svg) if word[0].isdigit()]
    assert cells[:6] == ["8", "80%", "1", "10%", "1", "10%"] and cells[12:] == ["0", "0%"] * 3


def test_each_label_shows_its_rows_and_its_three_scores():
    shown = words(DRAWN["classes"])
    assert f"{NASTY} (10)" in shown and [word for word in shown if "." in word][-6:] == [
        *("0.80", "0.60", "0.70"),
        *("0.00", "0.00", "0.00"),
    ]


def test_the_curve_runs_over_the_share_that_is_answered():
    curve = RiskCoverage(np.arange(1, 101) / 100, np.linspace(1, 0.6, 100), np.linspace(1, 0.4, 100))
    root = ElementTree.fromstring(charts.draw_risk_coverage(curve, "soup"))  # noqa: S314
    points = [tuple(map(float, point.split(","))) for point in root.find("polyline").get("points").split()]
    assert points == sorted(points) and points[-1][0] == 52 + 250  # to the right end, and down
    assert points[0][1] < points[-1][1]
