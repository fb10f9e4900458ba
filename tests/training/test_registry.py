"""Champion, challenger and previous, in folders and in a real MLflow store."""

import mlflow
import pytest

from pipeline import tracking
from pipeline.bundle import read_manifest
from pipeline.config import read_config
from pipeline.training import train as training

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def store(project, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


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
    config.write_text((project / "configs" / "default.yaml").read_text() + "output: models/easy2\n")
    for expected in ({"easy2": "2"}, {"easy2": "3", "easy2-previous": "2"}):
        stance("train", "--config", config, "--promote")
        assert aliases() == {"champion": "1"} | expected
    _, out, _ = stance("rollback", "--config", config)
    assert aliases() == {"champion": "1", "easy2": "2", "easy2-previous": "3"} and "models:/stance/2 (easy2)" in out
    stance("train", "--config", config)
    assert aliases() == {"champion": "1", "easy2": "2", "easy2-previous": "3", "easy2-challenger": "4"}


def test_a_second_task_has_an_experiment_and_a_registered_model_of_its_own(project):
    train("keywords")
    outcome = train("majority", registered_model="reviews", promote=True)
    assert aliases() == {"champion": "1"} and aliases("reviews") == {"champion": "1"}
    client = mlflow.MlflowClient(tracking.tracking_uri())
    assert client.get_experiment(client.get_run(outcome.run_id).info.experiment_id).name == "reviews"


@pytest.mark.parametrize(
    "output", ["models/v2", "models/latest", "models/my model", "models/previous", "models/full-challenger", "a.b/c"]
)
def test_an_output_that_cannot_be_an_alias_stops_before_any_work(project, stance, output):
    config = project / "configs" / "other.yaml"
    config.write_text((project / "configs" / "default.yaml").read_text() + f"output: {output}\n")
    code, _, error = stance("train", "--config", config)
    assert code == 2 and error.startswith(f"stance: output: {output}: ") and "cannot be an alias" in error
    assert not (project / "mlflow.db").exists() and not (project / ".cache").exists()


def test_no_two_folders_have_one_alias(project):
    from pipeline.training.champion import Place

    names = [Place(project / folder).name for folder in ("models/champion", "runs/champion", "champion", "models/a")]
    assert names == ["champion", "elsewhere-runs-champion", "elsewhere-champion", "a"]
