"""Whatever is stopped when: after the next command folders and registry tell the same story, and nothing is lost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import LABEL_NAMES, make_manifest
from mlflow import MlflowClient
from refusals import refused

from pipeline.bundle import MANIFEST, read_manifest, write_bundle
from pipeline.classifiers import create
from pipeline.config import Candidate
from pipeline.data.examples import Example
from pipeline.training import champion

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning"),
]

OLD = {"champion": "standing", "previous": "older", "challenger": "refused"}
NEW = {
    "promote": OLD | {"champion": "new", "previous": "standing"},
    "refuse": OLD | {"challenger": "new"},
    "rollback": OLD | {"champion": "older", "previous": "standing"},
    "first": {"champion": "new"},
}
CASES = [f"{action}:{fault}" for action in NEW for fault in ("kill", "registry")] + ["promote:interrupt"]


def write_models(project):
    """Write champion, previous, challenger and a staged model, each registered by a run of its own."""
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    experiment = client.create_experiment("stance", artifact_location=(project / "mlartifacts").as_uri())
    client.create_registered_model("stance")
    classifier, runs = create(Candidate(name="majority", kind="majority")), {}
    classifier.fit([Example("a", 0, 0, 1, "A", LABEL_NAMES[0], "train", "")], LABEL_NAMES, lambda share, words: None)
    place = champion.Place(project / "models" / "champion")
    for role, name in (OLD | {"staged": "new"}).items():
        runs[name] = client.create_run(experiment, run_name=name).info.run_id
        write_bundle(place.path(role), classifier, make_manifest(run_id=runs[name]), f"# {name}\n")
        version = client.create_model_version("stance", str(project), runs[name]).version
        if role != "staged":
            client.set_registered_model_alias("stance", role, version)
            client.set_terminated(runs[name], "FINISHED")
    (project / "runs.json").write_text(json.dumps(runs))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    project = tmp_path_factory.mktemp("change") / "project"
    project.mkdir()
    write_models(project)
    return project


@pytest.fixture(scope="module")
def outcomes(models):
    """What came of each change, stopped before each of its steps, by action and fault."""
    program = Path(__file__).with_name("faults.py")
    done = subprocess.run([sys.executable, program, models, *CASES], capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {case: [row for row in rows if f"{row['action']}:{row['fault']}" == case] for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_folders_and_registry_tell_the_same_story(outcomes, case):
    for row in outcomes[case]:
        assert row["after"]["folders"] == row["after"]["registry"], row
        assert not row["after"]["journal"], row


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_complete_or_has_not_happened(outcomes, case):
    action = case.partition(":")[0]
    for row in outcomes[case]:
        assert row["after"]["folders"] in ({} if action == "first" else OLD, NEW[action]), row


@pytest.mark.parametrize("action", NEW)
def test_what_a_kill_has_left_half_done_is_finished(outcomes, action):
    *killed, last = outcomes[f"{action}:kill"]
    assert last["result"] == "done" and last["then"] == last["after"]
    assert len(killed) >= 8 and all(row["result"] == "signal 9" for row in killed)
    # Until the journal is in its place nothing has happened; from there on everything will.
    complete = [row["after"]["folders"] == NEW[action] for row in killed]
    assert complete == [False, False] + [True] * (len(killed) - 2)


@pytest.mark.parametrize("action", ["promote", "refuse", "first"])
def test_the_run_is_finished_with_the_change_and_not_before(outcomes, action):
    for row in outcomes[f"{action}:kill"]:
        complete = row["after"]["folders"] == NEW[action]
        assert row["after"]["status"] == ("FINISHED" if complete else "RUNNING"), row
        assert row["after"]["promoted"] == ("yes" if complete else ""), row
        if row["then"]["status"] == "FINISHED":
            assert row["then"]["folders"] == row["then"]["registry"] == NEW[action], row


@pytest.mark.parametrize("action", NEW)
def test_a_registry_that_fails_leaves_the_folders_as_they_were(outcomes, action):
    *failed, last = outcomes[f"{action}:registry"]
    assert last["result"] == "done" and failed
    for row in failed:
        assert "database is locked" in row["result"] and row["result"].startswith("refused: MLflow store")
        assert row["then"]["folders"] == row["after"]["folders"] == ({} if action == "first" else OLD), row
        assert row["after"]["status"] != "FINISHED" or action == "rollback"


def test_ctrl_c_undoes_what_is_half_done(outcomes):
    *stopped, last = outcomes["promote:interrupt"]
    assert last["result"] == "done" and len(stopped) >= 8
    assert all(row["result"] == "interrupted" for row in stopped)
    # Only what was complete already is not undone.
    assert [row["then"]["folders"] for row in stopped[:-1]] == [OLD] * (len(stopped) - 1)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return champion.Place(tmp_path / "models" / "champion")


def test_without_a_previous_champion_rollback_is_one_line(place):
    error = refused(champion.rollback, place, "stance")
    assert error.where == str(place.path("previous")) and error.what == "there is no previous champion to return to"
    assert not Path("mlflow.db").exists()


def test_a_previous_champion_that_cannot_be_read_is_not_returned_to(place):
    place.path("previous").mkdir(parents=True)
    (place.path("previous") / MANIFEST).write_text('{"format": 0}')
    assert refused(champion.rollback, place, "stance").where == str(place.path("previous") / MANIFEST)
    assert place.path("previous").exists() and not place.folder.exists()


def test_a_store_that_is_no_database_is_found_before_anything_moves(models, place):
    write_bundle(place.path("previous"), *exported(models), "# Older\n")
    Path("mlflow.db").write_text("not a database")
    error = refused(champion.rollback, place, "stance")
    assert error.where.endswith("mlflow.db") and "file is not a database" in error.what
    assert place.path("previous").exists() and not place.journal.exists()


def exported(models):
    from pipeline.bundle import load_bundle

    bundle = load_bundle(models / "models" / "champion")
    return bundle.classifier, bundle.manifest


def test_a_model_that_is_registered_nowhere_takes_the_alias_away(models, place):
    """Its runs are in another store: no alias may go on naming the model that was champion."""
    write_bundle(place.path("previous"), *exported(models), "# Older\n")
    assert champion.rollback(place, "stance") == (read_manifest(place.folder).run_id, "")


def test_what_is_no_journal_is_one_line(place):
    place.journal.parent.mkdir(parents=True)
    place.journal.write_text("{}")
    error = refused(champion.recover, place.folder)
    assert error.where == str(place.journal) and error.what.startswith("is no journal")


def test_where_nothing_was_begun_recovery_imports_no_mlflow(tmp_path):
    words = "import sys; from pathlib import Path; from pipeline.training.champion import recover; "
    words += "recover(Path('models/champion')); sys.exit('mlflow' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], cwd=tmp_path).returncode == 0


def test_one_command_at_a_time_changes_a_place(place):
    from filelock import FileLock, Timeout

    lock = FileLock(place.folder.with_name(".champion.lock"), timeout=0.01)
    with champion.export_lock(place), pytest.raises(Timeout), lock:
        pass
