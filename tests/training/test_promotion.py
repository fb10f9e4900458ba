import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import LABEL_NAMES, make_manifest

from pipeline.bundle import MANIFEST, load_bundle, read_manifest, write_bundle
from pipeline.classifiers import create, index_labels
from pipeline.config import Candidate
from pipeline.errors import InputError
from pipeline.training import promotion


@pytest.fixture(scope="module")
def commonest(tmp_path_factory, repository):
    """A model that always gives the commonest label."""
    classifier = create(Candidate(name="majority", kind="majority"))
    classifier.fit(repository.part("train"), LABEL_NAMES, lambda share, words: None)
    folder = tmp_path_factory.mktemp("commonest") / "model"
    write_bundle(folder, classifier, make_manifest(run_id="lazy-run"), "# A card\n")
    return folder


@pytest.fixture
def places(tmp_path):
    """Put a standing model and a challenger side by side."""

    def put(standing, challenger):
        folder = tmp_path / "models" / "champion"
        if standing:
            shutil.copytree(standing, folder)
        shutil.copytree(challenger, promotion.challenger_of(folder))
        return folder

    return put


@pytest.fixture(scope="module")
def test_part(repository):
    return repository.part("test")


def test_a_worse_model_is_refused_and_told_why(places, champion, commonest, test_part):
    verdict = promotion.judge(places(champion, commonest), test_part)
    assert not verdict.promoted and verdict.reason.startswith("not promoted: macro-F1 -")
    assert "FAIL macro-F1" in str(verdict)


def test_a_better_model_takes_the_place(places, champion, commonest, test_part):
    verdict = promotion.judge(places(commonest, champion), test_part)
    assert verdict.promoted and all(check.passed for check in verdict.checks)


def test_the_same_model_is_not_worse(places, champion, test_part):
    assert promotion.judge(places(champion, champion), test_part).promoted


def test_a_worse_model_can_be_forced_and_that_is_recorded(places, champion, commonest, test_part):
    verdict = promotion.judge(places(champion, commonest), test_part, force=True)
    assert verdict.promoted and verdict.name == "forced" and "--promote was given, though macro-F1" in verdict.reason


@pytest.mark.parametrize(("before", "now", "passed"), [(3, 3, True), (3, 4, True), (3, 2, False)])
def test_a_behaviour_case_fewer_is_worse(champion, test_part, monkeypatch, before, now, passed):
    trials = [SimpleNamespace(rate=before / 10), SimpleNamespace(rate=now / 10)]
    monkeypatch.setattr(promotion, "try_cases", lambda *given: trials.pop(0))
    bundle = load_bundle(champion)
    check = promotion.compare(bundle, bundle, test_part, [])[2]
    assert check.passed is passed and check.words == f"behaviour cases {before}0.0% before, {now}0.0% now"


@pytest.mark.parametrize(("wrong", "passed"), [(2, True), (4, False)])
def test_a_slice_that_falls_by_over_five_points_is_named(bundle, test_part, monkeypatch, wrong, passed):
    rows = np.arange(60)
    monkeypatch.setattr(promotion, "cut_rows", lambda *given: [("style", "plain", rows), ("style", "few", rows[:49])])
    y_true = index_labels(test_part, LABEL_NAMES)
    right = np.eye(3)[y_true]
    spoiled = right.copy()
    spoiled[:wrong] = np.roll(spoiled[:wrong], 1, axis=1)
    standing, new = (
        SimpleNamespace(
            label_names=LABEL_NAMES,
            manifest=make_manifest(),
            positive=[],
            read_examples=list,
            predict_proba=lambda rows, p=p: p,
            decide=lambda p: p.argmax(1),
        )
        for p in (right, spoiled)
    )
    check = promotion.compare(standing, new, test_part, [])[1]
    assert check.passed is passed
    assert (
        check.words.startswith(f"{0 if passed else 1} of 1 slices fall") and ("style: plain -" in check.words) != passed
    )


def test_the_first_model_needs_no_comparison(places, commonest, test_part):
    assert promotion.judge(places(None, commonest), test_part).reason == "promoted: there was no champion yet"


def test_a_champion_of_an_older_format_is_replaced_and_kept(places, champion, commonest, test_part):
    folder = places(champion, commonest)
    (folder / MANIFEST).write_text('{"format": 0}')
    verdict = promotion.judge(folder, test_part)
    promotion.install(folder)
    assert verdict.promoted and "`format`" in verdict.reason
    assert (promotion.previous_of(folder) / MANIFEST).read_text() == '{"format": 0}'


def test_rollback_returns_to_the_previous_and_back_again(places, champion, commonest):
    folder = places(champion, commonest)
    promotion.install(folder)
    assert read_manifest(folder).run_id == "lazy-run"
    assert promotion.rollback(folder) == ("a-run", "lazy-run")
    assert read_manifest(folder).run_id == "a-run"
    assert promotion.rollback(folder) == ("lazy-run", "a-run")


def test_without_a_previous_champion_rollback_is_one_line(tmp_path):
    with pytest.raises(InputError, match="there is no previous champion to return to"):
        promotion.rollback(tmp_path / "champion")


def test_one_training_at_a_time_exports_to_a_place(tmp_path):
    from filelock import FileLock, Timeout

    with (
        promotion.turn(tmp_path / "models" / "champion"),
        pytest.raises(Timeout),
        FileLock(tmp_path / "models" / ".champion.lock", timeout=0.01),
    ):
        pass
