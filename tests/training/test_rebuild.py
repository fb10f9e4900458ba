"""A run holds what it takes to repeat it."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from refusals import refused_command

from pipeline import tracking
from pipeline.training import rebuild

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning")

BEFORE = tracking.Recorded(
    run_id="a-run",
    tags={"data_digest": "d1", "python": "3.11.7", "mlflow.user": "ann"},
    metrics={"tfidf": {"macro_f1": 0.71, "ece": 0.02, "seconds": 9.0}, "majority": {"macro_f1": 0.2}},
    config=Path("config.yaml"),
    requirements=("numpy==2.2", "rich==14"),
)


@pytest.fixture(autouse=True)
def store(project, tables, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(tables, project)


def compared(monkeypatch, **changes):
    monkeypatch.setattr(tracking, "read_run", lambda run_id, folder: replace(BEFORE, **changes))
    return rebuild.compare(BEFORE, "b-run")


def test_the_same_numbers_need_one_line_and_seconds_do_not_count(monkeypatch):
    metrics = {"tfidf": {"macro_f1": 0.71, "ece": 0.02, "seconds": 4.0}, "majority": {"macro_f1": 0.2}}
    assert compared(monkeypatch, metrics=metrics) == "Run a-run again: 3 of its 3 numbers are the same."


def test_what_differs_is_named_with_what_may_explain_it(monkeypatch):
    metrics, tags = {"tfidf": {"macro_f1": 0.7, "ece": 0.02}}, {"data_digest": "d2", "python": "3.11.7"}
    assert compared(monkeypatch, metrics=metrics, tags=tags, requirements=("numpy==2.3",)).splitlines() == [
        "Run a-run again: 1 of its 3 numbers are the same.",
        "  tfidf macro_f1: 0.7, was 0.71",
        "  majority macro_f1: none, was 0.2",
        "What else differs:",
        "  data_digest: d2, was d1",
        "  numpy: 2.3, was 2.2",
        "  rich: none, was 14",
    ]


def test_a_training_is_repeated_from_the_run_of_a_candidate(project, stance):
    assert stance("train")[0] == 0
    # The file is no longer what it was: the run knows.
    (project / "configs" / "default.yaml").write_text("soup: yes\n")
    client = mlflow.MlflowClient(tracking.tracking_uri())
    runs = client.search_runs([client.get_experiment_by_name("stance").experiment_id])
    child = next(run for run in runs if run.info.run_name == "keywords")
    code, out, error = stance("train", "--from-run", child.info.run_id)
    parent = child.data.tags["mlflow.parentRunId"]
    found = re.search(rf"Run {parent} again: (\d+) of its (\d+) numbers are the same\.\n", out)
    assert code == 0 and found and found[1] == found[2], out + error
    config = f".cache/runs/{parent}/config.yaml"
    assert f"`stance eval --config {config}`" in out and (project / config).exists()


def test_what_cannot_be_repeated_is_one_line(project):
    with tracking.run("soup") as run:
        run.params({"pots": 1})
    error = refused_command("train", "--from-run", run.id)
    assert f"run {run.id} holds no config.yaml and no requirements.txt" in str(error)
    assert error.expected.startswith("a run of")
    assert f"has no run {'0' * 32}" in str(refused_command("train", "--from-run", "0" * 32))
    error = refused_command("train", "--from-run", run.id, "--config", "configs/other.yaml")
    assert (error.where, error.what) == ("--from-run", "takes the config that the run holds")
    assert error.then == "leave out --config"
