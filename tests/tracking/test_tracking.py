"""What people find in MLflow after a training and two evaluations."""

import json
import re
import shutil
from contextlib import chdir

import mlflow
import pytest
from conftest import ROOT, write_project

from pipeline import tracking
from pipeline.bundle import load_bundle
from pipeline.config import read_config
from pipeline.evaluation.evaluate import evaluate
from pipeline.reporting.publishing import publish
from pipeline.scoring.metrics import METRICS
from pipeline.training import train as training

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning")


def train():
    return training.train(read_config("configs/default.yaml"), lambda share, words: None, lambda result: None)


def evaluated(outcome):
    bundle, config = load_bundle(outcome.folder), read_config("configs/default.yaml")
    return publish(evaluate(bundle, config), bundle, config)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory, tables):
    """A training that was evaluated twice; the tests stand in its folder and only read."""
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    shutil.copy(tables, folder)
    shutil.copytree(ROOT / "configs" / "behaviour", folder / "configs" / "behaviour")
    # Invented text beside real text, and a candidate to be measured against: every key that there is.
    index, config = folder / "seeds" / "index.csv", folder / "configs" / "default.yaml"
    index.write_text(index.read_text().replace("letter-1,letter,", "letter-1,single,"))
    config.write_text(
        f"{config.read_text()}  - {{kind: tfidf, min_df: 1}}\nevaluation: {{behaviour: configs/behaviour}}\n"
    )
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        found = train()
        digest = load_bundle(found.folder).digest
        assert [evaluated(found)[1] for _ in range(2)] == ["", ""]
        assert load_bundle(found.folder).digest == digest, "an evaluation changed the exported folder"
        yield found


@pytest.fixture(scope="module")
def client(outcome):
    return mlflow.MlflowClient(tracking.tracking_uri())


@pytest.fixture(scope="module")
def runs(client):
    """All runs by name."""
    experiment = client.get_experiment_by_name("stance").experiment_id
    return {run.info.run_name: run for run in client.search_runs([experiment])}


def test_the_card_in_the_folder_stands_on_the_registered_version(client, outcome):
    described = client.get_model_version_by_alias("stance", "champion").description
    assert described.startswith((outcome.folder / "README.md").read_text())


def test_the_card_knows_held_out_rows_and_an_evaluation_adds_the_test_part(client, outcome):
    described = client.get_model_version_by_alias("stance", "champion").description
    card, _, added = described.partition("## On the test part")
    assert "held out while candidates were compared" in card and "6 sentences of 2 real documents:" not in card
    assert added.strip().startswith("6 sentences of 2 real documents:")
    assert all(f"| {metric.title} | " in card and f"| {metric.title} | " in added for metric in METRICS)


def test_an_evaluation_is_told_once_on_the_registered_version(client):
    described = client.get_model_version_by_alias("stance", "champion").description
    assert described.count("## On the test part") == 1 and "the best baseline" in described


def test_runs_have_names_that_say_what_was_tried(runs):
    assert set(runs) == {"train default", "majority", "keywords", "tfidf"}


def test_runs_name_what_they_come_from(runs):
    known = {"git_commit", "data_digest", "config", "python", "processor", "cores"}
    assert all(run.data.tags.keys() >= known and all(run.data.tags[tag] for tag in known) for run in runs.values())


def test_each_run_names_its_rows_by_their_digest(runs):
    for run in runs.values():
        (given,) = run.inputs.dataset_inputs
        assert (given.dataset.name, given.dataset.digest) == ("default-train", run.data.tags["data_digest"])


def test_numbers_have_the_decimals_that_people_read(runs):
    values = [value for run in runs.values() for value in run.data.metrics.values()]
    assert values and all(value == tracking.runs.shorten(value) for value in values)
    assert [tracking.runs.shorten(value) for value in (0.123456, 26.1234, 6791)] == [0.1235, 26.1, 6791]


def test_few_metric_keys_and_those_of_the_test_part(runs):
    keys = {key for run in runs.values() for key in run.data.metrics}
    metrics = {metric.key for metric in METRICS}
    assert keys == metrics | {f"test_{key}" for key in metrics} | {
        *("macro_f1_low", "macro_f1_high", "macro_f1_real", "macro_f1_real_low", "macro_f1_real_high"),
        *("gain_over_tfidf", "held_out_rows", "seconds", "behaviour_rate", "test_rows"),
    }
    assert all(sum(not key.startswith("test_") for key in run.data.metrics) <= 14 for run in runs.values())


def test_a_run_says_the_options_that_were_left_to_their_defaults(runs):
    assert runs["tfidf"].data.params.items() >= {"kind": "tfidf", "min_df": "1", "C": "0.3", "balanced": "True"}.items()


def test_parent_and_children_compare_side_by_side(runs, outcome):
    shared = {"macro_f1_low", "macro_f1_high", "macro_f1_real", "seconds", *(metric.key for metric in METRICS)}
    for run in runs.values():
        low, value, high = (run.data.metrics[f"macro_f1_real{end}"] for end in ("_low", "", "_high"))
        assert low <= value <= high
    assert all(shared <= run.data.metrics.keys() for run in runs.values())
    children = [runs["majority"], runs["keywords"], runs["tfidf"]]
    assert all(run.data.tags["mlflow.parentRunId"] == outcome.run_id for run in children)


def test_the_run_says_what_was_selected_and_why(runs, outcome):
    note = runs["train default"].data.tags["mlflow.note.content"]
    assert outcome.reason in note and "promoted: there was no champion yet" in note
    score, low, high = (runs["tfidf"].data.metrics[key] for key in ("macro_f1", "macro_f1_low", "macro_f1_high"))
    assert re.search(rf"^\| tfidf( \*)? \| {score:.3f} \| {low:.3f} \| {high:.3f} \| ", note, re.MULTILINE)
    assert f"models:/stance/1 (champion). `stance eval --model {outcome.folder}`" in note


def test_mistakes_are_a_table_that_the_ui_shows(client, runs, outcome):
    experiment = runs["train default"].info.experiment_id
    table = client.load_table(experiment, "mistakes.json", run_ids=[outcome.run_id])
    assert {"text", "label", "predicted", "confidence", "p neutral", "words"} <= set(table.columns)
    assert (table["why"] == "least confident").sum() == 6


def test_a_run_shows_each_of_its_tables_and_knows_which_version_another_run_registered(client, outcome):
    with tracking.run("tables", experiment="tea") as run:
        for name in ("kettles", "cups", "kettles"):
            run.table([{"name": name}], name)
        assert run.version(outcome.run_id) == "stance/1"
        assert run.version(run.id) == ""
    shown = json.loads(client.get_run(run.id).data.tags["mlflow.loggedArtifacts"])
    assert [table["path"] for table in shown] == ["kettles.json", "cups.json"]


def test_the_ui_opens_on_the_runs_with_the_columns_that_they_have(client, runs):
    experiment = client.get_experiment_by_name("stance").experiment_id
    page = tracking.runs_page(5000, "stance")
    assert page.startswith(f"http://localhost:5000/#/experiments/{experiment}/runs?")
    tags = client.get_experiment(experiment).tags
    columns = json.loads(tags[f"mlflow.sharedViewState.{page.rpartition('=')[2]}"])["selectedColumns"]
    known = {
        f"{kind}.`{key}`" for run in runs.values() for kind in ("params", "metrics") for key in getattr(run.data, kind)
    }
    assert columns[0] == "params.`selected`" and set(columns) <= known


def test_a_run_that_was_deleted_or_whose_artifacts_are_gone_loses_no_report(project):
    outcome = train()
    client = mlflow.MlflowClient(tracking.tracking_uri())
    client.delete_run(outcome.run_id)
    page, why = evaluated(outcome)
    assert page.exists() and f"run {outcome.run_id} was deleted; restore it in the UI" in why

    client.restore_run(outcome.run_id)
    shutil.rmtree("mlartifacts")
    assert evaluated(outcome)[1] == ""
    assert (project / "mlartifacts" / outcome.run_id / "artifacts" / "report" / "index.html").exists()
