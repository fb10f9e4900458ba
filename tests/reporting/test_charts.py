from xml.etree import ElementTree

import numpy as np
import pytest

from pipeline.reporting import charts
from pipeline.reporting.charts import Mark
from pipeline.scoring import metrics

NASTY = "<script>alert('goose')</script> & \"honk\""
HALF = metrics.Interval(0.5, 0.4, 0.6)
DRAWN = {
    "intervals": charts.draw_intervals(
        [Mark(NASTY, HALF), Mark("few", note=NASTY), Mark("x", kind="head")], NASTY, 0.5
    ),
    "confusion": charts.draw_confusion(np.array([[3, 1], [0, 0]]), [NASTY, "b"], NASTY),
    "reliability": charts.draw_reliability(metrics.reliability(np.array([0, 1]), np.array([[0.9, 0.1]] * 2)), NASTY),
    "coverage": charts.draw_coverage(np.array([0.5, 1.0]), np.array([1.0, 0.5]), NASTY),
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
    root = ElementTree.fromstring(charts.draw_intervals([Mark("a", HALF), Mark("b", metrics.Interval(1, 1, 1))], "t"))  # noqa: S314
    first, second = (float(dot.get("cx")) for dot in root.iter("circle"))
    assert first == pytest.approx((236 + second) / 2)
