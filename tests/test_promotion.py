import shutil

import pytest
from conftest import LABEL_NAMES

from pipeline import promotion
from pipeline.bundle import MANIFEST, read_manifest, write_bundle
from pipeline.calibration import Calibration
from pipeline.classifiers import create
from pipeline.config import Candidate
from pipeline.errors import InputError


@pytest.fixture(scope="module")
def commonest(tmp_path_factory, repository, facts):
    """A model that always gives the commonest label."""
    candidate = Candidate(name="majority", kind="majority")
    classifier = create(candidate)
    classifier.fit(repository.part("train"), LABEL_NAMES, lambda share, words: None)
    folder = tmp_path_factory.mktemp("commonest") / "model"
    write_bundle(folder, classifier, candidate, Calibration(), facts | {"run_id": "lazy-run"}, "# A card\n")
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


def test_the_first_model_needs_no_comparison(places, commonest, test_part):
    assert promotion.judge(places(None, commonest), test_part).reason == "promoted: there was no champion yet"


def test_a_champion_of_an_older_format_is_replaced_and_kept(places, champion, commonest, test_part):
    folder = places(champion, commonest)
    (folder / MANIFEST).write_text('{"format": 0}')
    verdict = promotion.judge(folder, test_part)
    promotion.install(folder)
    assert verdict.promoted and "format 0" in verdict.reason
    assert (promotion.previous_of(folder) / MANIFEST).read_text() == '{"format": 0}'


def test_rollback_returns_to_the_previous_and_back_again(places, champion, commonest):
    folder = places(champion, commonest)
    promotion.install(folder)
    assert read_manifest(folder)["run_id"] == "lazy-run"
    assert promotion.rollback(folder) == ("a-run", "lazy-run")
    assert read_manifest(folder)["run_id"] == "a-run"
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
