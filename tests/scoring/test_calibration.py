import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring.calibration import Calibration, fit_calibration, softmax
from pipeline.scoring.metrics import log_losses

SCORES = st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 3), min_size=1, max_size=20).map(np.array)


def draw(temperature=1.0, bias=(0.0, 0.0, 0.0), size=3000):
    """Make scores, and labels drawn from softmax(scores / temperature + bias); five folds."""
    rng = np.random.default_rng(38)
    scores = rng.normal(0, 2, (size, 3))
    chances = softmax(scores / temperature + np.array(bias)).cumsum(1)
    y_true = (rng.random((size, 1)) > chances).sum(1)
    return scores, y_true, np.arange(size) % 5


@given(SCORES, st.floats(0.01, 100), st.tuples(*[st.floats(-50, 50)] * 3))
def test_probabilities_of_a_row_add_up_to_one(scores, temperature, bias):
    np.testing.assert_allclose(Calibration(temperature, bias).apply(scores).sum(1), 1)


def test_softmax_takes_scores_of_any_size():
    assert softmax(np.array([[1e9, 0.0], [-1e9, -1e9]])).tolist() == [[1, 0], [0.5, 0.5]]


def test_untouched_scores_go_through_softmax():
    scores = np.array([[2.0, 1.0, 0.0]])
    np.testing.assert_allclose(Calibration().apply(scores), softmax(scores))


def test_a_high_temperature_makes_a_model_less_sure():
    scores = np.array([[2.0, 1.0, 0.0]])
    assert Calibration(5.0).apply(scores).max() < Calibration(1.0).apply(scores).max()


def test_a_temperature_keeps_the_order_of_labels():
    scores = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]])
    assert Calibration(7.0).apply(scores).argsort(1).tolist() == scores.argsort(1).tolist()


def test_a_bias_makes_a_label_more_likely():
    scores = np.zeros((1, 3))
    assert Calibration(1.0, (0.0, 1.0, 0.0)).apply(scores).argmax() == 1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature):
    assert fit_calibration(*draw(temperature)).temperature == pytest.approx(temperature, rel=0.1)


def test_without_need_no_bias_is_taken():
    assert fit_calibration(*draw(2.0)).bias == ()


def test_a_bias_is_taken_where_it_helps():
    found = fit_calibration(*draw(2.0, bias=(0.0, 1.5, 0.0)))
    assert np.array(found.bias) == pytest.approx([0, 1.5, 0], abs=0.2)


def test_calibration_lowers_the_loss():
    scores, y_true, folds = draw(3.0, bias=(1.0, 0.0, 0.0))
    after = fit_calibration(scores, y_true, folds).apply(scores)
    assert log_losses(y_true, after).mean() < log_losses(y_true, softmax(scores)).mean()


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e6])
def test_scores_of_any_size_can_be_calibrated(scale):
    scores, y_true, folds = draw(size=60)
    assert np.isfinite(fit_calibration(scale * scores, y_true, folds).apply(scale * scores)).all()


def test_scores_that_are_always_right_can_be_calibrated():
    scores, _, folds = draw(size=60)
    found = fit_calibration(scores, scores.argmax(1), folds)
    assert (found.apply(scores).argmax(1) == scores.argmax(1)).mean() >= 0.9


@pytest.mark.parametrize("rows", [30, 240])
def test_rows_that_are_all_right_show_no_more_than_their_number(rows):
    """Scores that lie far apart; a text that lies between the labels gets an even chance."""
    y_true = np.arange(rows) % 2
    scores = 40.0 * np.eye(2)[y_true]
    found = fit_calibration(scores, y_true, np.arange(rows) % 5)
    confidence = found.apply(scores).max(1)
    assert confidence == pytest.approx((rows + 1) / (rows + 2), abs=1e-3)
    assert found.apply(np.array([[0.0, 5.0]]))[0, 1] < 0.75


def test_a_calibration_comes_back_from_the_manifest_as_it_was():
    calibration = Calibration(2.5, (0.1, -0.2, 0.0))
    assert Calibration.from_dict(calibration.to_dict()) == calibration
