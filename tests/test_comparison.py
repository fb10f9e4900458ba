"""Whether one model is better than another."""

import numpy as np
import pytest

from pipeline.bundle import Bundle
from pipeline.calibration import Calibration
from pipeline.comparison import compare
from pipeline.dataset import Example
from pipeline.errors import InputError

NAMES = ("for", "against")


class Told:
    """A classifier that is right wherever the text does not name it."""

    def __init__(self, name, order=NAMES):
        self.name, self.order = name, order

    def decision_function(self, texts):
        truth = [NAMES.index(text.split()[0]) for text in texts]
        said = [NAMES[1 - t] if self.name in text else NAMES[t] for t, text in zip(truth, texts, strict=True)]
        return 5.0 * np.array([[name == label for name in self.order] for label in said])


def bundle(name, order=NAMES):
    return Bundle({"label_names": list(order)}, Told(name, order), Calibration(), "digest")


def rows(number, *wrong):
    """Rows of which each model gets the share wrong that is given for it."""
    made = []
    for i in range(number):
        label = NAMES[i % 2]
        words = " ".join(name for name, every in wrong if i % every == 0)
        made.append(Example(f"a{i // 3}", 0, 0, 1, f"{label} {words}", label, "test", f"a{i // 3}"))
    return made


def test_a_better_model_is_called_better():
    found = compare(bundle("old"), bundle("new"), rows(300, ("old", 3), ("new", 50)))
    assert found.verdict.startswith("B is better by ")
    assert found.p_value < 0.001
    assert found.only_second > found.only_first


def test_a_worse_model_is_called_worse():
    assert compare(bundle("old"), bundle("new"), rows(300, ("new", 3))).verdict.startswith("A is better by ")


def test_no_model_is_called_better_when_the_interval_says_otherwise():
    found = compare(bundle("old"), bundle("new"), rows(60, ("old", 20), ("new", 30)))
    assert found.verdict.startswith("no difference is shown")


def test_a_model_does_not_differ_from_itself():
    found = compare(bundle("old"), bundle("old"), rows(60, ("old", 4)))
    assert (found.gain.value, found.gain.low, found.gain.high, found.p_value) == (0, 0, 0, 1)


def test_labels_in_another_order_are_the_same_labels():
    found = compare(bundle("old"), bundle("old", NAMES[::-1]), rows(60, ("old", 4)))
    assert found.gain.value == 0


def test_models_of_other_labels_cannot_be_compared():
    with pytest.raises(InputError, match="knows yes, no; expected for, against"):
        compare(bundle("old"), bundle("new", ("yes", "no")), rows(6))


def test_the_command_compares_two_folders(project, champion, capsys):
    from pipeline.cli import app

    app(["compare", str(champion), str(champion)], standalone_mode=False)
    assert "no difference is shown" in capsys.readouterr().out
