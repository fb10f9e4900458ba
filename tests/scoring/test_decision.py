import numpy as np
import pytest

from pipeline.scoring.decision import DecisionRule, fit_decision_rule
from pipeline.scoring.metrics import confusion, macro_f1


def soups(rows, seed=0):
    """Bowls whose two rare soups are told from broth by a shy taster: right in order, too sure of broth."""
    rng = np.random.default_rng(seed)
    y_true = rng.choice(3, rows, p=(0.8, 0.1, 0.1))
    return y_true, taste(y_true, rng)


def taste(y_true, rng):
    """What the taster thinks of each bowl."""
    exponents = np.exp(rng.normal(size=(len(y_true), 3)) + 1.5 * np.eye(3)[y_true] + (3.0, 0.0, 0.0))
    return exponents / exponents.sum(1, keepdims=True)


def f1_of(y_true, y_pred, labels=None):
    return float(macro_f1(confusion(y_true, y_pred, 3), labels))


FOLDS = np.arange(600) % 5


def test_without_offsets_the_likeliest_label_is_given():
    probabilities = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    assert DecisionRule().decide(probabilities).tolist() == [1, 0]
    assert DecisionRule((0.0, 0.0, 0.0)).decide(probabilities).tolist() == [1, 0]


def test_an_offset_is_added_to_the_logarithm():
    probabilities = np.array([[0.2, 0.5, 0.3], [0.0, 0.9, 0.1]])
    doubled = DecisionRule((0.0, 0.0, float(np.log(2))))
    assert doubled.decide(probabilities).tolist() == [2, 1]


def test_the_same_offset_for_all_changes_nothing():
    _, probabilities = soups(600)
    assert (DecisionRule((1.5, 1.5, 1.5)).decide(probabilities) == probabilities.argmax(1)).all()


def test_an_impossible_label_stays_a_number():
    assert DecisionRule((0.0, 3.0)).decide(np.array([[1.0, 0.0]])).tolist() == [0]


def test_rare_labels_are_given_more_often_and_new_rows_gain():
    y_true, probabilities = soups(600)
    rule, held_out = fit_decision_rule(y_true, probabilities, FOLDS)
    new_true, new = soups(5000, seed=1)
    assert f1_of(new_true, rule.decide(new)) > f1_of(new_true, new.argmax(1)) + 0.1
    # What it promises on its own rows is no more than what new rows bear out.
    assert f1_of(y_true, held_out) < f1_of(new_true, rule.decide(new)) + 0.04


def test_labels_that_are_as_rare_keep_their_order():
    y_true = np.repeat([0, 1, 2], (500, 50, 50))
    rule, _ = fit_decision_rule(y_true, taste(y_true, np.random.default_rng(2)), FOLDS)
    assert rule.offsets[0] == 0 and rule.offsets[1] == rule.offsets[2] > 0


def test_one_row_does_not_move_the_rule_far():
    y_true, probabilities = soups(600)
    rule, _ = fit_decision_rule(y_true, probabilities, FOLDS)
    for row in range(0, 600, 60):
        rest = np.arange(600) != row
        other, _ = fit_decision_rule(y_true[rest], probabilities[rest], FOLDS[rest])
        assert np.abs(np.array(other.offsets) - rule.offsets).max() <= 0.25


def test_a_row_is_decided_by_a_rule_without_its_fold():
    y_true, probabilities = soups(600)
    rule, held_out = fit_decision_rule(y_true, probabilities, FOLDS)
    wrong = y_true.copy()
    wrong[FOLDS == 0] = (wrong[FOLDS == 0] + 1) % 3
    _, other = fit_decision_rule(wrong, probabilities, FOLDS)
    assert (held_out[FOLDS == 0] == other[FOLDS == 0]).all()
    assert rule != fit_decision_rule(wrong, probabilities, FOLDS)[0]


def test_a_gain_on_its_own_rows_alone_is_no_gain():
    rng = np.random.default_rng(3)
    probabilities, y_true = rng.dirichlet((5, 5, 5), 40), rng.integers(0, 3, 40)
    rule, held_out = fit_decision_rule(y_true, probabilities, np.arange(40) % 5)
    assert rule == DecisionRule() and (held_out == probabilities.argmax(1)).all()


def test_what_is_right_already_needs_no_rule():
    y_true = np.arange(30) % 3
    assert fit_decision_rule(y_true, 0.1 + 0.7 * np.eye(3)[y_true], np.arange(30) % 2)[0] == DecisionRule()


def test_only_the_labels_of_the_metric_count():
    y_true, probabilities = soups(600)
    rule, _ = fit_decision_rule(y_true, probabilities, FOLDS, labels=[1])
    new_true, new = soups(5000, seed=1)
    assert f1_of(new_true, rule.decide(new), [1]) > f1_of(new_true, new.argmax(1), [1]) + 0.1


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 1, 0)])
def test_the_order_of_the_labels_does_not_matter_to_the_score(order):
    y_true, probabilities = soups(600)
    rule, _ = fit_decision_rule(y_true, probabilities, FOLDS)
    turned = np.argsort(order)[y_true]
    other, _ = fit_decision_rule(turned, probabilities[:, order], FOLDS)
    scores = [f1_of(y_true, rule.decide(probabilities)), f1_of(turned, other.decide(probabilities[:, order]))]
    assert scores[1] == pytest.approx(scores[0], abs=0.02)
