"""The store in a project's folder: where it lies, and what is said where it cannot work."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import mlflow
import pytest
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INTERNAL_ERROR

from pipeline import tracking
from pipeline.errors import InputError
from pipeline.tracking import store
from pipeline.tracking.runs import metric_key

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def place(tmp_path, tables, monkeypatch):
    """Stand in an empty project."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "old"
    folder.mkdir()
    shutil.copy(tables, folder)
    monkeypatch.chdir(folder)
    return folder


def log(words="soup"):
    with tracking.run("train", tags={}) as run:
        run.text(words, "words.txt")
    return run.id


def read(run_id):
    client = mlflow.MlflowClient(tracking.tracking_uri())
    return Path(client.download_artifacts(run_id, "words.txt")).read_text()


def test_the_store_and_its_artifacts_lie_in_the_project(place):
    log()
    assert {path.name for path in place.iterdir()} >= {"mlflow.db", "mlartifacts"}


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "sqlite:///sub/store.db"])
def test_a_relative_uri_is_a_path_below_this_folder(place, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert read(log()) == "soup"
    assert (place / uri.removeprefix("sqlite:///")).is_file()
    assert {path.name for path in place.parent.iterdir()} == {"old"}


@pytest.mark.parametrize("name", ["q?dir", "p%20q", "100% soup?"])
def test_a_folder_that_no_uri_can_name_is_one_line(place, monkeypatch, name):
    folder = place.with_name(name)
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match="MLflow cannot keep a store .* rename it, or set MLFLOW_TRACKING_URI"):
        log()
    assert not list(folder.iterdir()) and {path.name for path in place.parent.iterdir()} == {name, "old"}


@pytest.mark.parametrize("name", ["with blanks", "früh#1", "c++ & more"])
def test_a_folder_of_an_odd_name_keeps_its_store_inside(place, monkeypatch, name):
    folder = place.rename(place.with_name(name))
    monkeypatch.chdir(folder)
    assert read(log()) == "soup"
    assert (folder / "mlartifacts").is_dir() and [path.name for path in folder.parent.iterdir()] == [name]


@pytest.mark.parametrize("move", [Path.rename, shutil.copytree], ids=["moved", "copied"])
def test_a_project_that_was_moved_or_copied_works_inside_itself(place, monkeypatch, move):
    first = log("first")
    before = {path for path in place.rglob("*") if path.is_file()}
    new = place.with_name("new [1]")
    move(place, new)
    monkeypatch.chdir(new)
    second = log("second")
    assert (read(first), read(second)) == ("first", "second")
    after = {path for path in place.rglob("*") if path.is_file()} if place.exists() else set()
    assert after == (before if place.exists() else set())
    client = mlflow.MlflowClient(tracking.tracking_uri())
    uris = {client.get_run(run_id).info.artifact_uri for run_id in (first, second)}
    assert all(uri.startswith(f"file://{quote(str(new))}/mlartifacts/") for uri in uris)


def test_artifacts_that_somebody_keeps_elsewhere_stay_there(place):
    client = mlflow.MlflowClient(tracking.tracking_uri())
    client.create_experiment("stance", artifact_location=(place.parent / "archive").as_uri())
    assert read(log()) == "soup" and (place.parent / "archive").is_dir()


def test_an_experiment_that_was_deleted_is_one_line(place):
    log()
    client = mlflow.MlflowClient(tracking.tracking_uri())
    client.delete_experiment(client.get_experiment_by_name("stance").experiment_id)
    with pytest.raises(InputError, match="experiment 'stance' was deleted; `mlflow experiments restore -x 1`, or give"):
        log()


class Gone:
    """A client whose server does not answer."""

    def __getattr__(self, name):
        raise mlflow.exceptions.MlflowException("connection refused")


def test_a_server_that_is_gone_before_a_child_begins_ends_no_training(place):
    Path(".cache/unsent").mkdir(parents=True)
    shutil.copy("mlflow.db", ".cache/unsent")
    with tracking.run("train", tags={}) as run:
        run._store.uri, run._store.client = "http://team", Gone()
        run._store._experiments.clear()
        with run.child("tfidf") as child:
            child.text("soup", "words.txt")
    kept = mlflow.MlflowClient(f"sqlite:///{Path('.cache/unsent/mlflow.db').absolute()}")
    assert Path(kept.download_artifacts(child.place[1], "words.txt")).read_text() == "soup"


def test_an_experiment_that_another_machine_made_meanwhile_is_taken(place):
    opened = store.Store(tracking.tracking_uri())
    made, client, answers = opened.client.create_experiment("soup"), opened.client, [None]
    opened.client = SimpleNamespace(
        get_experiment_by_name=lambda name: answers.pop() if answers else client.get_experiment_by_name(name),
        create_experiment=client.create_experiment,
    )
    assert opened.experiment("soup") == made and not answers


@pytest.mark.parametrize(("code", "times"), [(BAD_REQUEST, 2), (INTERNAL_ERROR, 1)])
def test_only_what_a_database_refused_is_tried_once_more(place, code, times):
    tried = []

    def store_it():
        tried.append("soup")
        raise mlflow.exceptions.MlflowException("duplicate key value", error_code=code)

    with pytest.raises(mlflow.exceptions.MlflowException):
        store.Store(tracking.tracking_uri()).once_more(store_it)
    assert len(tried) == times


def test_an_alias_that_somebody_gives_at_the_same_moment_is_given_once_more(place, monkeypatch):
    registry, given = tracking.Registry(tracking.tracking_uri(), "stance"), []

    def give(*words):
        given.append(words)
        if len(given) == 1:
            raise mlflow.exceptions.MlflowException("duplicate key value", error_code=BAD_REQUEST)

    monkeypatch.setattr("pipeline.tracking.registry.version_of", lambda *words: SimpleNamespace(version="2"))
    monkeypatch.setattr(registry._client, "set_registered_model_alias", give)
    assert registry.point("champion", "a-run") == "2" and given == [("stance", "champion", "2")] * 2


@pytest.mark.parametrize("content", [b"not a database at all", b"SQLite format 3\0" + bytes(4000)])
def test_a_file_that_is_no_database_is_one_line(place, content):
    (place / "mlflow.db").write_bytes(content)
    with pytest.raises(InputError, match="mlflow.db: .*; put a copy of it back, or move it away to begin a new one"):
        log()
    assert (place / "mlflow.db").read_bytes() == content


@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_store_that_another_process_holds_is_one_line(place, monkeypatch, how):
    log()
    monkeypatch.setattr(store, "PATIENCE", 0.1)
    with closing(sqlite3.connect("mlflow.db", isolation_level=None)) as other:
        other.execute(f"BEGIN {how}")
        with pytest.raises(InputError, match="database is locked; wait for the process that uses it"):
            log()


def test_an_empty_file_becomes_a_store(place):
    (place / "mlflow.db").touch()
    assert read(log()) == "soup"


def test_a_store_that_fails_later_is_one_line_too(place, monkeypatch):
    """It was whole when it was opened; MLflow's own error would be a page long."""
    with pytest.raises(InputError, match="MLflow store sqlite:.*") as caught, tracking.run("train", tags={}) as run:
        Path("mlflow.db").write_bytes(b"not a database any more")
        run.params({"soup": "hot"})
    assert len(str(caught.value).splitlines()) == 1


def test_any_label_can_be_part_of_a_metric(place):
    labels = ["yes?", "no (strong)", "50%", "don't know", "a/b", "../x", "", "ja: nein", "für", ".", "long" * 99]
    with tracking.run("train", tags={}) as run:
        run.metrics({f"f1_{label}": 0.5 for label in labels})
    metrics = mlflow.MlflowClient(tracking.tracking_uri()).get_run(run.id).data.metrics
    assert metrics == {metric_key(f"f1_{label}"): 0.5 for label in labels}


def test_labels_that_differ_have_metrics_that_differ():
    labels = ["yes", "yes?", "yes!", "yes/", "YES", "yes ", "yes_"]
    assert len({metric_key(f"f1_{label}") for label in labels}) == len(labels)
    assert metric_key("f1_pro-dialogue") == "f1_pro-dialogue"
