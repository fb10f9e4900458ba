"""A new model beside the standing one, on predictions that both made of rows they were not fitted on."""

from types import SimpleNamespace

import numpy as np
import pytest
from conftest import LABEL_NAMES, make_manifest

from pipeline.bundle import MANIFEST, load_bundle, write_bundle
from pipeline.classifiers import create
from pipeline.config import Candidate, Config, EvaluationSettings
from pipeline.data.examples import Example
from pipeline.training import gate

CONFIG = Config(
    name="soup",
    label_names=LABEL_NAMES,
    candidates=(Candidate(name="majority", kind="majority"),),
    evaluation=EvaluationSettings(lexicon=None, behaviour=None, obvious=None),
)


def sentence(number, split="train", origin="letter", style=""):
    text, label = f"Sentence {number} of the soup kitchen.", LABEL_NAMES[number % 3]
    return Example(f"letter-{number // 3}", number % 3, 0, len(text), text, label, split, "", origin, style=style)


ROWS = [sentence(number) for number in range(150)]


def predictions(rows, wrong=0):
    """Return what a model says that is sure and right, but for some rows: by the example's key."""
    sure = np.full((3, 3), 0.05) + 0.85 * np.eye(3)
    positions = [(LABEL_NAMES.index(row.label) + (number < wrong)) % 3 for number, row in enumerate(rows)]
    return {row.key: tuple(sure[at]) for row, at in zip(rows, positions, strict=True)}


@pytest.fixture
def model(tmp_path):
    """Write a model that made some mistakes on held-out rows."""

    def write(name, wrong=0, rows=ROWS, **known):
        classifier = create(Candidate(name="majority", kind="majority"))
        classifier.fit(ROWS, LABEL_NAMES, lambda share, words: None)
        manifest = make_manifest(**{"topic": name, "out_of_fold": predictions(rows, wrong)} | known)
        write_bundle(tmp_path / name, classifier, manifest, f"# {name}\n")
        return tmp_path / name

    return write


def judge(standing, new, rows=ROWS, config=CONFIG, **options):
    return gate.judge(standing, new, rows, config, **options)


def test_a_worse_model_is_refused_and_told_why(model):
    verdict = judge(model("old"), model("new", wrong=30))
    assert not verdict.promoted and verdict.reason.startswith("not promoted: macro-F1 -")
    assert "FAIL macro-F1" in str(verdict)


@pytest.mark.parametrize("force", [False, True])
def test_the_standing_model_again_is_neither_promoted_nor_refused(model, force):
    """Trained another time, by other rows, with another card: it labels as before."""
    standing, new = (model(name, wrong, topic="soup", run_id=name) for name, wrong in (("old", 0), ("new", 30)))
    verdict = judge(standing, new, force=force)
    assert (verdict.name, verdict.promoted, verdict.unchanged) == ("unchanged", False, True)


def test_a_row_that_comes_twice_counts_once(model):
    assert "150 held-out rows" in judge(model("old"), model("new"), [*ROWS, *ROWS]).reason


def test_a_better_model_takes_the_place(model):
    verdict = judge(model("old", wrong=30), model("new"))
    assert verdict.promoted and len(verdict.checks) == 3 and all(check.passed for check in verdict.checks)


def test_the_same_model_is_not_worse(model):
    assert judge(model("old", wrong=9), model("new", wrong=9)).promoted


def test_a_worse_model_can_be_forced_and_that_is_recorded(model):
    verdict = judge(model("old"), model("new", wrong=30), force=True)
    assert verdict.promoted and verdict.name == "forced" and "--promote was given, though macro-F1" in verdict.reason


def test_the_first_model_needs_no_comparison(model, tmp_path):
    assert judge(tmp_path / "nobody", model("new")).reason == "promoted: there was no champion yet"


@pytest.mark.parametrize("force", [False, True])
def test_too_few_rows_that_are_new_to_both_leave_the_choice_to_a_person(model, force):
    verdict = judge(model("old", rows=ROWS[:110]), model("new", rows=ROWS[51:]), force=force)
    assert verdict.promoted is force and not verdict.checks
    assert "59 rows are new to both models, and 100 are needed to compare them" in verdict.reason


def test_a_row_whose_text_has_changed_is_new_to_nobody(model):
    changed = [sentence(number) for number in range(150)]
    for row in changed[:60]:
        object.__setattr__(row, "text", row.text.replace("soup", "bread"))
    assert "90 rows are new" in judge(model("old"), model("new"), rows=changed).reason


def test_rows_of_real_text_count_where_there_are_enough(model):
    rows = [sentence(number, origin=("authored", "letter")[number < 120]) for number in range(150)]
    few = CONFIG.model_copy(update={"selection": CONFIG.selection.model_copy(update={"real_rows": 120})})
    assert "on 120 held-out rows" in judge(model("old"), model("new"), rows, few).reason
    assert "on 150 held-out rows" in judge(model("old"), model("new"), rows, CONFIG).reason


def test_a_model_of_other_labels_is_never_replaced_unasked(model):
    old = model("old", rows=[], label_names=("hot", "cold", "tepid"))
    assert (
        judge(old, model("new")).reason == "not promoted: the standing champion knows other labels (hot, cold, tepid)"
    )
    assert judge(old, model("new"), force=True).promoted


def test_a_champion_that_cannot_be_loaded_is_replaced(model):
    old = model("old")
    (old / MANIFEST).write_text('{"format": 0}')
    verdict = judge(old, model("new"))
    assert verdict.promoted and "cannot be loaded" in verdict.reason and "kept as the previous" in verdict.reason


def test_labels_in_another_order_are_the_same_labels(model):
    other = LABEL_NAMES[::-1]
    turned = {key: values[::-1] for key, values in predictions(ROWS).items()}
    assert judge(model("old"), model("new")).promoted
    old = model("turned", label_names=other)
    manifest = make_manifest(label_names=other, out_of_fold=turned)
    write_bundle(old, load_bundle(old).classifier, manifest, "# Soup\n")
    assert judge(old, model("new", wrong=30)).promoted is False


@pytest.mark.parametrize(("before", "now", "passed"), [(3, 3, True), (3, 4, True), (3, 2, False)])
def test_a_behaviour_case_fewer_is_worse(model, monkeypatch, before, now, passed):
    trials = [SimpleNamespace(rate=before / 10), SimpleNamespace(rate=now / 10)]
    monkeypatch.setattr(gate, "try_cases", lambda *given: trials.pop(0))
    bundle = load_bundle(model("old"))
    check = gate.compare(bundle, bundle, ROWS, [], None)[2]
    assert check.passed is passed and check.words == f"behaviour cases {before}0.0% before, {now}0.0% now"


@pytest.mark.parametrize(("wrong", "passed"), [(2, True), (4, False)])
def test_a_slice_that_falls_by_over_five_points_is_named(model, monkeypatch, wrong, passed):
    rows = np.arange(60)
    monkeypatch.setattr(gate, "cut_rows", lambda *given: [("style", "plain", rows), ("style", "few", rows[:49])])
    check = gate.compare(load_bundle(model("old")), load_bundle(model("new", wrong=wrong)), ROWS, [], None)[1]
    assert check.passed is passed
    assert check.words.startswith(f"{0 if passed else 1} of 1 slices fall")
    assert ("style: plain -" in check.words) != passed


def test_surer_and_no_better_is_worse(model):
    """The calibration error rises while the Brier score does not fall."""
    standing, new = load_bundle(model("old", wrong=3)), load_bundle(model("new", wrong=9))
    assert gate.compare(standing, new, ROWS, [], None)[2].passed is False
