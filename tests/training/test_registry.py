"""Champion, challenger and previous, in folders and in a real MLflow store."""

import shutil
import signal
import subprocess
import sys

import mlflow
import pytest
from refusals import refused_command

from pipeline import tracking
from pipeline.bundle import read_manifest
from pipeline.config import read_config
from pipeline.training import champion
from pipeline.training import train as training

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def store(project, tables, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(tables, project)


def train(*kinds, promote=False, **changes):
    config = read_config("configs/default.yaml")
    kept = tuple(candidate for candidate in config.candidates if candidate.kind in kinds)
    chosen = config.model_copy(update={"candidates": kept} | changes)
    return training.train(chosen, lambda share, words: None, lambda result: None, promote=promote)


def aliases(model="stance"):
    return tracking.registry.aliases(tracking.registry.Store(tracking.tracking_uri()), model)


def test_a_refused_model_waits_and_a_forced_one_can_be_taken_back(stance):
    first = train("keywords")
    assert first.verdict.promoted and aliases() == {"champion": "1"}

    second = train("majority")
    assert not second.verdict.promoted and aliases() == {"champion": "1", "challenger": "2"}
    assert read_manifest(first.folder).run_id == first.run_id
    assert read_manifest(second.folder).run_id == second.run_id
    run = mlflow.MlflowClient(tracking.tracking_uri()).get_run(second.run_id)
    assert run.data.params["promoted"] == "no" and run.info.status == "FINISHED"

    third = train("majority", promote=True)
    assert third.verdict.forced and aliases() == {"champion": "3", "challenger": "2", "previous": "1"}
    assert read_manifest(second.folder).run_id == second.run_id

    _, out, _ = stance("rollback")
    assert aliases() == {"champion": "1", "challenger": "2", "previous": "3"}
    assert read_manifest(first.folder).run_id == first.run_id
    assert "models:/stance/1 (champion)" in out


def test_a_model_for_another_place_leaves_the_champion_alone(project, stance):
    train("keywords")
    config = project / "configs" / "easy2.yaml"
    whole = (project / "configs" / "default.yaml").read_text() + "output: models/easy2\n"
    other = whole.replace("  - kind: keywords\n    lexicon: configs/lexicon.yaml\n", "")
    assert other != whole
    for content, expected in ((whole, {"easy2": "2"}), (other, {"easy2": "3", "easy2-previous": "2"})):
        config.write_text(content)
        stance("train", "--config", config, "--promote")
        assert aliases() == {"champion": "1"} | expected
    _, out, _ = stance("rollback", "--config", config)
    assert aliases() == {"champion": "1", "easy2": "2", "easy2-previous": "3"} and "models:/stance/2 (easy2)" in out
    stance("train", "--config", config)
    assert aliases() == {"champion": "1", "easy2": "2", "easy2-previous": "3", "easy2-challenger": "4"}


def test_a_second_training_that_changes_nothing_says_so_and_registers_nothing(stance):
    first = train("keywords")
    folder = {file.name: file.read_bytes() for file in first.folder.iterdir()}
    _, out, _ = stance("train", "--config", "configs/default.yaml", "--promote")
    assert "this training gave the standing champion again" in out and "no version was registered" in out
    assert "--promote" not in out and "`stance eval` scores it on the test part" in out
    assert {file.name: file.read_bytes() for file in first.folder.iterdir()} == folder
    assert aliases() == {"champion": "1"} and sorted(each.name for each in first.folder.parent.iterdir()) == [
        ".champion.lock",
        "champion",
    ]


def test_a_model_that_waits_already_is_not_registered_again(stance):
    train("keywords")
    second, third = train("majority"), train("majority")
    assert (second.model_version, third.model_version) == ("2", "") and third.folder == second.folder
    assert aliases() == {"champion": "1", "challenger": "2"}


def test_a_second_task_has_an_experiment_and_a_registered_model_of_its_own(project):
    train("keywords")
    outcome = train("majority", registered_model="reviews", promote=True)
    assert aliases() == {"champion": "1"} and aliases("reviews") == {"champion": "1"}
    client = mlflow.MlflowClient(tracking.tracking_uri())
    assert client.get_experiment(client.get_run(outcome.run_id).info.experiment_id).name == "reviews"


@pytest.mark.parametrize(
    "output", ["models/v2", "models/latest", "models/my model", "models/previous", "models/full-challenger", "a.b/c"]
)
def test_an_output_that_cannot_be_an_alias_stops_before_any_work(project, output):
    (project / "mlflow.db").unlink()
    config = project / "configs" / "other.yaml"
    config.write_text((project / "configs" / "default.yaml").read_text() + f"output: {output}\n")
    error = refused_command("train", "--config", config)
    assert error.where == f"output: {output}" and "cannot be an alias" in error.what
    assert not (project / "mlflow.db").exists() and not (project / ".cache").exists()


def test_no_two_folders_have_one_alias(project):
    names = [
        champion.Place(project / folder).name for folder in ("models/champion", "runs/champion", "champion", "models/a")
    ]
    assert names == ["champion", "elsewhere-runs-champion", "elsewhere-champion", "a"]


KILLED = """\
import os, signal, sys
from pipeline.training import champion
champion.{step} = lambda *given, **options: os.kill(os.getpid(), signal.SIGKILL)
sys.argv = ["stance", "train", "--promote"]
from pipeline.cli.main import main
main()
"""


@pytest.mark.parametrize(("step", "complete"), [("install", False), ("_tell", True)])
def test_after_a_kill_the_next_command_finishes_what_a_training_began(project, stance, step, complete):
    first = train("majority")  # the same model again would change nothing
    done = subprocess.run([sys.executable, "-c", KILLED.format(step=step)], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    (project / "a.txt").write_text("Sit down with them.")
    assert stance("predict", "a.txt", "--output", "a.jsonl")[0] == 0
    client = mlflow.MlflowClient(tracking.tracking_uri())
    new = client.search_runs(
        [client.get_run(first.run_id).info.experiment_id], "tags.mlflow.runName = 'train default'"
    )[0]
    assert new.info.run_id != first.run_id
    assert new.info.status == ("FINISHED" if complete else "RUNNING")
    runs = {role: client.get_model_version("stance", number).run_id for role, number in aliases().items()}
    expected = {"champion": new.info.run_id, "previous": first.run_id} if complete else {"champion": first.run_id}
    assert runs == expected
    place = champion.Place(first.folder)
    assert {role: champion.run_of(place.path(role)) for role in expected} == expected
