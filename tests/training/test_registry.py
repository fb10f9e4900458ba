"""Champion, challenger and previous, in folders and in a real MLflow store."""

import sys

import mlflow
import pytest

from pipeline import tracking
from pipeline.bundle import read_manifest
from pipeline.cli.main import main
from pipeline.config import read_config
from pipeline.training import train as training

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning")


def train(*kinds, **options):
    config = read_config("configs/default.yaml")
    kept = tuple(candidate for candidate in config.candidates if candidate.kind in kinds)
    chosen = config.model_copy(update={"candidates": kept})
    return training.train(chosen, lambda share, words: None, lambda result: None, **options)


def aliases():
    found = mlflow.MlflowClient(tracking.tracking_uri()).get_registered_model("stance").aliases
    return {alias: str(version) for alias, version in found.items()}


def stance(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["stance", *words])
    with pytest.raises(SystemExit):
        main()


def test_a_refused_model_waits_and_a_forced_one_can_be_taken_back(project, monkeypatch, capsys):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    first = train("keywords")
    assert first.verdict.promoted and aliases() == {"champion": "1"}

    second = train("majority")
    assert not second.verdict.promoted and aliases() == {"champion": "1", "challenger": "2"}
    assert read_manifest(first.folder).run_id == first.run_id
    assert read_manifest(second.folder).run_id == second.run_id
    run = mlflow.MlflowClient(tracking.tracking_uri()).get_run(second.run_id)
    assert run.data.params["promoted"] == "no"

    third = train("majority", promote=True)
    assert third.verdict.forced and aliases() == {"champion": "3", "challenger": "2", "previous": "1"}

    stance(monkeypatch, "rollback")
    assert aliases() == {"champion": "1", "challenger": "2", "previous": "3"}
    assert read_manifest(first.folder).run_id == first.run_id
    assert "models:/stance/1 (champion)" in capsys.readouterr().out


def test_a_rollback_that_the_registry_does_not_learn_of_is_undone(project, monkeypatch, capsys):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    train("keywords")
    second = train("majority", promote=True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    stance(monkeypatch, "rollback")
    assert "check MLFLOW_TRACKING_URI" in capsys.readouterr().err
    assert read_manifest(second.folder).run_id == second.run_id
