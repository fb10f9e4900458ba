"""What the user's own labels do: on a head of four numbers for each label, and vectors made by hand."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from pipeline.classifiers.held_out_vectors import FILE, write_vectors
from pipeline.classifiers.pretrained import Pretrained, model_digest
from pipeline.classifiers.pretrained_folder import ADAPTER
from pipeline.config import Candidate, Config, Selection
from pipeline.data.examples import Example
from pipeline.scoring.bootstrap import Interval
from pipeline.training.export import _abstention
from pipeline.training.own_labels import OwnLabels, judge_own_labels
from pipeline.training.results import cross_validate, refit
from pipeline.training.rows import make_folds
from pipeline.training.selection import select

NAMES = ("stay", "go", "neither")
# The first three numbers of a vector speak for a label each; the head does not know the fourth, a word of its readers.
KNOWN, JARGON = np.eye(4)[:3] * 3, np.array([0.0, 0, 2, 4])


def sentence(kind, number, label, own=True):
    text = f"{kind} {number}"
    origin = "own" if own else "invented"
    return Example(f"a{number // 2}", number % 2, 0, 9, text, label, "train", f"a{number // 2}", origin, own=own)


class Table:
    """An encoder that knows a sentence by its first word."""

    blobs: dict[str, bytes] = {}

    def embed(self, texts):
        rows = dict(zip(NAMES, KNOWN, strict=True)) | {"jargon": JARGON}
        return np.array([rows[text.split()[0]] for text in texts])


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A pretrained model that is right on what ships with it."""
    monkeypatch.setattr(Pretrained, "_frozen", lambda self: Table())
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ADAPTER:
        (folder / name).write_bytes(b"{}")
    save_file({"coefficients": KNOWN / 3, "intercepts": np.zeros(3)}, folder / "head.safetensors")
    head = {"encoder": "e", "encoder_sha256": "0", "label_names": NAMES}
    head |= {"calibration": {"temperature": 1.0, "bias": []}, "abstain": None}
    (folder / "head.json").write_text(json.dumps(head))
    held_out = [sentence(NAMES[n % 3], n, NAMES[n % 3]) for n in range(60)]
    write_vectors(folder, model_digest(folder), held_out, Table().embed([row.text for row in held_out]))
    return folder


@pytest.fixture
def config(model, tmp_path):
    options = {"model": str(model)}
    candidates = (
        Candidate(name="base", kind="pretrained", options=options),
        Candidate(name="mine", kind="adapted", options=options | {"strength": 0.5}),
    )
    return Config(
        name="x",
        label_names=NAMES,
        candidates=candidates,
        selection=Selection(folds=3, resamples=200),
        cache=tmp_path / "cache",
    )


def silent(share, words):
    pass


HELPFUL = [sentence("jargon" if n % 2 else "stay", n, "go" if n % 2 else "stay") for n in range(40)]
# Nine in ten are what the model says, and that is how sure it is.
EXPECTED = [sentence(NAMES[n % 3], n, NAMES[(n + (n % 10 == 9)) % 3]) for n in range(60)]
# They call "go" what everybody calls "stay".
HARMFUL = [sentence("stay", n, "go") for n in range(60)]


def test_labels_that_teach_a_new_word_change_the_model(config):
    judged = judge_own_labels(HELPFUL, config, silent)
    assert judged.helps and judged.loss.high < 0 < judged.own.low and judged.real.value == 0
    assert (judged.rows, judged.articles, judged.real_rows) == (40, 20, 60)
    assert str(judged).startswith("Your 40 labels (20 articles) improve the model: ")


def test_labels_that_the_model_expected_change_nothing_and_it_says_so(config):
    judged = judge_own_labels(EXPECTED, config, silent)
    assert not judged.helps and judged.loss.high > 0
    assert "did not change the model" in str(judged)


def test_labels_that_cost_other_real_text_are_not_taken(config):
    judged = judge_own_labels(HARMFUL, config, silent)
    assert judged.loss.high < 0 < judged.own.low and judged.real.value < 0 and not judged.helps
    assert "They would have to agree with the codebook" in str(judged)


def test_very_few_labels_show_nothing(config):
    judged = judge_own_labels(HELPFUL[:28], config, silent)
    assert judged.loss.high < 0 <= judged.real.value and not judged.helps
    assert str(judged).endswith("They would have to be 30 at least.")


def test_without_held_out_text_nothing_is_taken(config, model):
    (model / FILE).unlink()
    judged = judge_own_labels(HELPFUL, config, silent)
    assert judged.real is None and not judged.helps and "none ships with this model" in str(judged)


def test_without_own_labels_or_a_candidate_there_is_nothing_to_say(config):
    others = [sentence("stay", n, "stay", own=False) for n in range(9)]
    assert judge_own_labels(others, config, silent) is None
    assert judge_own_labels(HELPFUL, config.model_copy(update={"candidates": config.candidates[:1]}), silent) is None


def test_an_estimate_says_how_many_labels_would_show_the_gain():
    judged = OwnLabels("mine", 50, 20, Interval(-0.02, -0.06, 0.02), *[Interval(0, 0, 0)] * 2, 60)
    assert "about 200 labels" in str(judged)  # four times as many halve the interval


def test_labels_that_change_how_sure_it_is_and_no_label_right_are_not_taken():
    """Labels that were dealt out at random do that: whoever is less sure has a lower log-loss on them."""
    judged = OwnLabels("mine", 50, 20, Interval(-0.06, -0.09, -0.02), *[Interval(0, 0, 0)] * 2, 60)
    assert not judged.helps and "correct the model where it is wrong" in str(judged)


def test_where_nothing_is_gained_no_number_is_promised():
    judged = OwnLabels("mine", 50, 20, Interval(0.02, -0.02, 0.06), *[Interval(0, 0, 0)] * 2, 60)
    assert not judged.helps and "correct the model where it is wrong" in str(judged)


@pytest.mark.parametrize(("own", "expected"), [(HELPFUL, "mine"), (EXPECTED, "base"), (HARMFUL, "base")])
def test_the_moved_head_is_selected_where_it_helps_alone(config, own, expected):
    results = [cross_validate(each, own, make_folds(own, (), config), config, silent) for each in config.candidates]
    selected, reason = select(results, config, judge_own_labels(own, config, silent))
    assert selected.candidate.name == expected
    assert ("your labels" in reason) == (expected == "mine")


def test_the_threshold_of_the_moved_head_is_found_on_the_real_text_that_ships(config):
    result = cross_validate(config.candidates[1], HELPFUL, make_folds(HELPFUL, (), config), config, silent)
    found = _abstention(result, refit(result, HELPFUL, config, silent), config)
    assert found.rows == 60 and found.confidence is not None


def test_the_moved_head_learns_from_own_labels_alone(config):
    invented = [sentence("jargon", n, "neither", own=False) for n in range(100, 400)]
    result = cross_validate(config.candidates[1], HELPFUL, make_folds(HELPFUL, (), config), config, silent)
    alone, beside = (refit(result, rows, config, silent) for rows in (HELPFUL, HELPFUL + invented))
    assert np.array_equal(alone.decision_function(["jargon 1"]), beside.decision_function(["jargon 1"]))
