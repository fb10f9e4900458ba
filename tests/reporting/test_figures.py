from io import BytesIO

import numpy as np
import pytest
from conftest import LABEL_NAMES

from pipeline.reporting.figures import draw_classes, draw_confusion, draw_coverage, draw_reliability
from pipeline.scoring import metrics
from pipeline.scoring.abstention import risk_coverage

MATRIX = np.array([[8, 1, 1], [0, 3, 2], [0, 0, 0]])
RELIABILITY = metrics.reliability(np.array([0, 1, 0, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]), 2)


@pytest.fixture
def confusion():
    return draw_confusion(MATRIX, LABEL_NAMES, "soup, out of fold")


@pytest.fixture
def classes():
    return draw_classes(MATRIX, LABEL_NAMES, "soup, out of fold")


@pytest.fixture
def reliability():
    return draw_reliability(RELIABILITY, "soup, out of fold")


@pytest.fixture
def coverage():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    return draw_coverage(risk_coverage(np.array([0, 1, 0, 1]), probabilities), "soup, out of fold")


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("name", ["confusion", "classes", "reliability", "coverage"])
def test_a_figure_can_be_stored(name, request):
    stored = BytesIO()
    request.getfixturevalue(name).savefig(stored, format="png")
    assert stored.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["confusion", "classes", "reliability", "coverage"])
def test_a_figure_has_its_title(name, request):
    assert request.getfixturevalue(name).axes[0].get_title().startswith("soup, out of fold")


def test_the_confusion_says_counts_and_shares_of_the_true_label(confusion):
    assert words(confusion)[:3] == ["8\n80%", "1\n10%", "1\n10%"]


def test_a_label_that_never_occurs_has_a_row_of_zeros(confusion):
    assert words(confusion)[6:] == ["0\n0%"] * 3


def test_true_labels_go_down_and_predicted_ones_go_right(confusion):
    axes = confusion.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "labelled")


def test_dark_cells_have_white_words(confusion):
    assert [text.get_color() for text in confusion.axes[0].texts[:2]] == ["white", "black"]


def test_reliability_is_drawn_over_confidence(reliability):
    _, line = reliability.axes[0].lines
    assert line.get_xydata().round(3).tolist() == [[0.65, 1.0], [0.85, 0.5]]


def test_reliability_says_the_calibration_error(reliability):
    assert "expected calibration error 0.350" in reliability.axes[0].get_title()


def test_risk_is_drawn_over_coverage_and_its_area_said(coverage):
    (line,) = coverage.axes[0].lines
    assert line.get_xydata().round(3).tolist() == [[0.25, 0], [0.5, 0.5], [0.75, 0.333], [1, 0.25]]
    assert "area under the curve 0.271" in coverage.axes[0].get_title()


def test_bars_are_precision_recall_and_f1_of_each_label(classes):
    heights = [bar.get_height() for bar in classes.axes[0].patches]
    expected = [metrics.precision(MATRIX), metrics.recall(MATRIX), metrics.f1(MATRIX)]
    np.testing.assert_allclose(heights, np.concatenate(expected))


def test_a_label_that_is_nowhere_has_bars_of_no_height():
    figure = draw_classes(np.diag([3, 2, 0]), LABEL_NAMES, "soup")
    assert [bar.get_height() for bar in figure.axes[0].patches][2::3] == [0, 0, 0]


def test_labels_stand_with_their_number_of_rows(classes):
    ticks = [tick.get_text() for tick in classes.axes[0].get_xticklabels()]
    assert ticks == ["pro-sanctions\n(10)", "pro-dialogue\n(5)", "neutral\n(0)"]
