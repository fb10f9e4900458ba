"""Whether one model is better than another."""

import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import make_manifest
from refusals import refused

from pipeline.bundle import Bundle
from pipeline.config import Candidate, Config, Selection
from pipeline.data.dataset import Example
from pipeline.evaluation.comparison import compare_models, describe_gain
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.calibration import Calibration
from pipeline.scoring.decision import DecisionRule
from pipeline.scoring.metrics import MACRO_F1, METRICS, difference
from pipeline.training.results import CandidateResult
from pipeline.training.scores import against_tfidf

NAMES = ("for", "against")


class Told:
    """A classifier that is right wherever the text does not name it."""

    def __init__(self, name, order=NAMES):
        self.name, self.order = name, order

    def decision_function(self, texts):
        truth = [NAMES.index(text.split()[0]) for text in texts]
        said = [NAMES[1 - t] if self.name in text else NAMES[t] for t, text in zip(truth, texts, strict=True)]
        return 5.0 * np.array([[name == label for name in self.order] for label in said])

    def second_stage(self):
        return None


def bundle(name, order=NAMES):
    return Bundle(make_manifest(label_names=tuple(order)), Told(name, order))


def rows(number, *wrong):
    """Rows of which each model gets the share wrong that is given for it."""
    made = []
    for i in range(number):
        label = NAMES[i % 2]
        words = " ".join(name for name, every in wrong if i % every == 0)
        made.append(Example(f"a{i // 3}", 0, 0, 1, f"{label} {words}", label, "test", f"a{i // 3}"))
    return made


def test_a_better_model_is_called_better():
    found = compare_models(bundle("old"), bundle("new"), rows(300, ("old", 3), ("new", 50)))
    assert re.fullmatch(r"B is better by \d+\.\d points, 95 % interval \d+\.\d to \d+\.\d", found.verdict)
    assert found.p_value < 0.001
    assert found.only_second > found.only_first


def test_a_worse_model_is_called_worse():
    better = compare_models(bundle("new"), bundle("old"), rows(300, ("new", 3))).verdict
    worse = compare_models(bundle("old"), bundle("new"), rows(300, ("new", 3))).verdict
    assert worse.startswith("A is better by ") and worse[1:] == better[1:]


def test_no_model_is_called_better_when_the_interval_says_otherwise():
    found = compare_models(bundle("old"), bundle("new"), rows(60, ("old", 20), ("new", 30)))
    assert found.verdict.startswith("no difference is shown")


def test_a_model_does_not_differ_from_itself():
    found = compare_models(bundle("old"), bundle("old"), rows(60, ("old", 4)))
    assert {(gain.value, gain.low, gain.high) for gain in found.gains.values()} == {(0, 0, 0)} and found.p_value == 1


def test_every_metric_is_compared():
    found = compare_models(bundle("old"), bundle("new"), rows(300, ("old", 3), ("new", 50)))
    assert list(found.gains) == [metric.key for metric in METRICS]
    for metric, interval in found.first:
        gain = found.gains[metric.key]
        assert gain.value == pytest.approx(found.second[metric.key].value - interval.value)
        assert (gain.low > 0) if metric.higher_is_better else (gain.high < 0)


def test_labels_in_another_order_are_the_same_labels():
    found = compare_models(bundle("old"), bundle("old", NAMES[::-1]), rows(60, ("old", 4)))
    assert found.gains["macro_f1"].value == 0


def test_models_of_other_labels_cannot_be_compared():
    error = refused(compare_models, bundle("old"), bundle("new", ("yes", "no")), rows(6))
    assert "knows yes, no" in error.what and error.expected == "for, against"


def test_the_command_compares_two_folders(project, champion, capsys):
    from pipeline.cli.main import app

    app(["compare", str(champion), str(champion)], standalone_mode=False)
    out = capsys.readouterr().out
    assert "of 2 articles: no difference is shown: B scores +0.0 points, 95 % interval +0.0 to +0.0" in out


# Words


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (Interval(0.021, 0.004, 0.039), "B is better by 2.1 points, 95 % interval 0.4 to 3.9"),
        (Interval(-0.021, -0.039, -0.004), "B is worse by 2.1 points, 95 % interval 0.4 to 3.9"),
        (
            Interval(0.021, -0.004, 0.046),
            "no difference is shown: B scores +2.1 points, 95 % interval -0.4 to +4.6",
        ),
        (Interval(0.021, 0.0, 0.046), "no difference is shown: B scores +2.1 points, 95 % interval +0.0 to +4.6"),
        (Interval(-0.021, -0.046, 0.0), "no difference is shown: B scores -2.1 points, 95 % interval -4.6 to +0.0"),
        (
            Interval(0.2, 0.1, 0.3, "sentences"),
            "B is better by 20.0 points, 95 % interval 10.0 to 30.0 (over sentences: few articles)",
        ),
    ],
)
def test_a_gain_is_said_in_plain_words(gain, words):
    assert describe_gain(gain, "B") == words


# Candidates against TF-IDF


def candidate(name, right, *, kind="majority", unseen=True):
    """A result that is right on a share of 300 rows; `unseen` false: it has learned from the invented half."""
    rng = np.random.default_rng(len(name))
    examples = tuple(rows(300))
    y_true = np.array([NAMES.index(row.label) for row in examples])
    y_pred = np.where(rng.random(300) < right, y_true, 1 - y_true)
    real = np.arange(300) % 2 == 0
    fresh = np.ones(300, bool) if unseen else real
    return CandidateResult(
        *(
            Candidate(name=name, kind=kind),
            examples,
            y_true,
            np.zeros(300, int),
            3.0 * np.eye(2)[y_pred],
            Calibration(),
            DecisionRule(),
            y_pred,
        ),
        real,
        fresh,
    )


def settings(**selection):
    some = (Candidate(name="tfidf", kind="tfidf"),)
    return Config(name="c", label_names=NAMES, candidates=some, selection=Selection(resamples=200, **selection))


def test_each_other_candidate_is_compared_with_tfidf_on_the_same_rows():
    results = [candidate("low", 0.5), candidate("tfidf", 0.7, kind="tfidf"), candidate("best", 0.95)]
    low, best = against_tfidf(results, settings(real_rows=1000))
    assert (low.name, best.name, best.rows) == ("low", "best", 300)
    assert str(low).startswith("low is worse by ") and str(best).startswith("best is better by ")
    every = np.ones(300, bool)
    direct = difference(MACRO_F1, *(result.predictions(every) for result in results[1:]), resamples=200)
    assert best.interval == direct


def test_a_candidate_that_is_as_good_is_not_called_better():
    results = [candidate("tfidf", 0.8, kind="tfidf"), candidate("alike!", 0.82)]
    assert str(against_tfidf(results, settings())[0]).startswith("no difference is shown: alike! scores")


def test_real_text_alone_counts_where_there_is_enough_of_it():
    results = [candidate("tfidf", 0.8, kind="tfidf"), candidate("other", 0.9)]
    assert against_tfidf(results, settings(real_rows=150))[0].rows == 150


def test_rows_that_a_candidate_has_learned_from_are_left_out():
    results = [candidate("tfidf", 0.8, kind="tfidf"), candidate("start", 0.9, unseen=False)]
    assert against_tfidf(results, settings(real_rows=1000))[0].rows == 150


def test_without_a_tfidf_candidate_nothing_is_said():
    assert against_tfidf([candidate("one", 0.5), candidate("two", 0.9)], settings()) == []


def test_models_are_compared_by_the_labels_that_they_give():
    biased = bundle("none", order=NAMES[::-1])
    rule = DecisionRule((9.0, 0.0))  # always the second of NAMES
    biased = replace(biased, manifest=biased.manifest.model_copy(update={"decision": rule}))
    found = compare_models(bundle("none"), biased, rows(300))
    assert (found.first["macro_f1"].value, found.only_first, found.only_second) == (1.0, 150, 0)
