"""Tracking servers and the served model, started for real; run by `make test-server`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import mlflow
import psycopg2
import pytest
from conftest import LABEL_NAMES, ROOT
from servers import Server, free_port, serving

from pipeline import tracking
from pipeline.bundle import load_bundle
from pipeline.config import read_config
from pipeline.errors import InputError
from pipeline.evaluation.evaluate import evaluate
from pipeline.reporting.publishing import publish
from pipeline.training import champion
from pipeline.training import train as training

# Debian keeps its own off the path.
POSTGRES = shutil.which("postgres") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/postgres")), None)
TEXTS = ["Ease the embargo, the goose said.", "Close every loophole.", "It rained in Wonsan."]

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning"),  # of its own types
]


def tracking_server(folder, backend):
    """Return MLflow's server, not yet started, as a team would run it: it keeps the artifacts too."""
    words = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", backend, "--workers", "1"]
    words += ["--artifacts-destination", folder / "artifacts", "--port", "PORT"]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    return Server(words, folder, environment=environment)


def train(on_result=lambda result: None):
    return training.train(read_config("configs/default.yaml"), lambda share, words: None, on_result)


# A server that goes down in the middle of a training and comes back


@pytest.fixture
def server(project, tmp_path, monkeypatch):
    running = tracking_server(tmp_path, f"sqlite:///{tmp_path}/server.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", running.address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    running.start()
    yield running
    running.stop()


def test_a_training_outlives_its_server_and_is_sent_later(server):
    def on_result(result):
        if result.candidate.name == "majority":
            server.stop()

    outcome = train(on_result)
    assert outcome.folder.exists() and Path(".cache/unsent/mlflow.db").exists()
    server.start()
    models = Path(".cache/unsent/mlartifacts/models")
    models.rename("aside")
    with pytest.raises(InputError, match="the files of model version 1 are gone; put them back"):
        send()
    Path("aside").rename(models)
    assert send() == 3
    client = mlflow.MlflowClient(server.address)
    parent = client.get_run(outcome.run_id)
    assert parent.data.params["promoted"] == "yes" and parent.info.status == "FINISHED"
    assert parent.data.tags["mlflow.note.content"] and "stance.continues" not in parent.data.tags
    children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{outcome.run_id}'")
    assert sorted(run.info.run_name for run in children) == ["keywords", "majority"]
    assert client.get_model_version_by_alias("stance", "champion").run_id == outcome.run_id
    assert send() == 0


def test_without_a_server_there_is_nowhere_to_send_to(project, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (project / ".cache" / "unsent").mkdir(parents=True)
    (project / ".cache" / "unsent" / "mlflow.db").touch()
    with pytest.raises(InputError, match="MLFLOW_TRACKING_URI: is not set"):
        send()


# A team's server on PostgreSQL


class Postgres:
    """PostgreSQL on a fresh cluster; it refuses to run as root, so then as the user that Debian made for it."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.address = f"postgresql://stance@127.0.0.1:{self.port}/postgres"
        user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        if user:
            shutil.chown(folder, "postgres", "postgres")
        self.options = {"cwd": folder, "env": {"LC_ALL": "C.UTF-8"}} | user
        words = [
            Path(POSTGRES).resolve().with_name("initdb"),
            "-D",
            folder / "data",
            "-A",
            "trust",
            "-U",
            "stance",
            "--no-sync",
        ]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, **self.options)

    def start(self):
        words = [POSTGRES, "-D", self.folder / "data", "-p", str(self.port), "-k", self.folder, "-F"]
        self.process = subprocess.Popen([*words, "-c", "listen_addresses=127.0.0.1"], **self.options)
        for _ in range(120):
            assert self.process.poll() is None, "PostgreSQL ended"
            try:
                psycopg2.connect(self.address).close()
                return
            except psycopg2.OperationalError:
                time.sleep(0.5)
        raise TimeoutError("PostgreSQL does not answer")

    def stop(self):
        self.process.send_signal(signal.SIGINT)  # "fast": it waits for no client
        self.process.wait(60)

    def read(self, query):
        with closing(psycopg2.connect(self.address)) as connection, connection.cursor() as rows:
            rows.execute(query)
            return rows.fetchall()


@pytest.fixture(scope="module")
def database():
    if not POSTGRES:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="stance-postgres-"))
    running = Postgres(folder)
    running.start()
    yield running
    running.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shared_server(database, tmp_path_factory):
    # SQLAlchemy 2.1 means psycopg 3 unless it is told.
    address = database.address.replace("postgresql:", "postgresql+psycopg2:")
    running = tracking_server(tmp_path_factory.mktemp("team"), address)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def team(shared_server, project, request, monkeypatch):
    """The team's server; each test has an experiment and a registered model of its own, named by its first word."""
    name = request.node.name.split("_")[1]
    with (project / "configs" / "default.yaml").open("a") as config:
        config.write(f"registered_model: {name}\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared_server.address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    client = mlflow.MlflowClient(shared_server.address)
    return SimpleNamespace(name=name, client=client, folder=shared_server.folder, address=shared_server.address)


def send():
    return tracking.send(tracking.tracking_uri(), champion.mirror, champion.describe_folder)


def children_of(team, run_id):
    experiment = team.client.get_run(run_id).info.experiment_id
    found = team.client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return sorted((run.info.run_name, run.info.status) for run in found)


def check_whole(team, run_id):
    """Check that the server holds a training whole, and the folder nothing of it."""
    assert team.client.get_run(run_id).info.status == "FINISHED"
    assert children_of(team, run_id) == [("keywords", "FINISHED"), ("majority", "FINISHED")]
    assert team.client.get_model_version_by_alias(team.name, "champion").run_id == run_id
    model = mlflow.pyfunc.load_model(f"models:/{team.name}@champion")
    assert len(model.predict(TEXTS)) == len(TEXTS)
    assert not Path("mlflow.db").exists() and not Path("mlartifacts").exists() and not Path(".cache/unsent").exists()


def test_everything_is_logged_to_a_server_on_postgresql(team, database):
    outcome = train()
    bundle, config = load_bundle(outcome.folder), read_config("configs/default.yaml")
    assert publish(evaluate(bundle, config), bundle, config)[1] == ""
    files = {file.path for file in team.client.list_artifacts(outcome.run_id)}
    assert {"confusion.svg", "promotion.txt", "mistakes.json", "report"} <= files
    assert "## On the test part" in team.client.get_model_version_by_alias(team.name, "champion").description
    mlflow.set_tracking_uri(team.address)
    check_whole(team, outcome.run_id)
    query = "select r.name from runs r join experiments e using (experiment_id) where e.name = 'everything' order by 1"
    assert database.read(query) == [("keywords",), ("majority",), ("train default",)]
    assert team.client.get_run(outcome.run_id).info.artifact_uri.startswith("mlflow-artifacts:")
    assert list((team.folder / "artifacts").rglob("promotion.txt"))


def test_two_people_who_train_at_once_have_a_run_and_a_version_each(team, project, tmp_path):
    shutil.copytree(project, tmp_path / "colleague")
    words = [sys.executable, "-m", "pipeline", "train"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    places = (project, tmp_path / "colleague")
    both = [subprocess.Popen(words, cwd=place, env=environment, stderr=subprocess.PIPE, text=True) for place in places]
    shown = [process.communicate(timeout=1500)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], shown
    runs = [json.loads((place / "models/champion/manifest.json").read_text())["run_id"] for place in places]
    versions = team.client.search_model_versions(f"name = '{team.name}'")
    assert sorted(entry.run_id for entry in versions) == sorted(runs) and len(set(runs)) == 2
    assert sorted(entry.version for entry in versions) == ["1", "2"]
    for run_id, place in zip(runs, places, strict=True):
        assert not (place / ".cache" / "unsent").exists()
        assert children_of(team, run_id) == [("keywords", "FINISHED"), ("majority", "FINISHED")]
    mlflow.set_tracking_uri(team.address)
    check_whole(team, team.client.get_model_version_by_alias(team.name, "champion").run_id)
    assert len(team.client.search_experiments(filter_string=f"name = '{team.name}'")) == 1


def test_databases_may_go_away_in_mid_training_and_the_project_move_before_it_is_sent(
    team, database, project, monkeypatch
):
    def on_result(result):
        if result.candidate.name == "majority":
            database.stop()

    outcome = train(on_result)
    assert outcome.folder.exists() and Path(".cache/unsent/mlflow.db").exists()
    with pytest.raises(InputError) as down:
        send()
    assert down.value.where == f"MLflow store {team.address}" and Path(".cache/unsent/mlflow.db").exists()
    database.start()
    monkeypatch.chdir(project.rename(project.with_name("moved")))
    assert (send(), send()) == (3, 0)
    mlflow.set_tracking_uri(team.address)
    check_whole(team, outcome.run_id)
    bundle, config = load_bundle(Path("models/champion")), read_config("configs/default.yaml")
    assert publish(evaluate(bundle, config), bundle, config)[1] == ""
    assert "report" in {file.path for file in team.client.list_artifacts(outcome.run_id)}


def test_deleted_experiments_lose_nothing(team):
    def on_result(result):
        if result.candidate.name == "majority":
            team.client.delete_experiment(team.client.get_experiment_by_name(team.name).experiment_id)

    outcome = train(on_result)
    for action in (train, send):
        with pytest.raises(InputError) as refused:
            action()
        assert refused.value.what == f"its experiment {team.name!r} was deleted"
    experiment = team.client.get_experiment_by_name(team.name).experiment_id
    assert f"`mlflow experiments restore -x {experiment}`" in refused.value.then
    team.client.restore_experiment(experiment)
    assert send() == 3
    mlflow.set_tracking_uri(team.address)
    check_whole(team, outcome.run_id)


# The registered model elsewhere, with nothing but what it says that it needs

HYBRID = """\
label_names: [pro-sanctions, pro-dialogue, neutral]
random_state: 13
selection: {folds: 2, resamples: 100}
candidates:
  - kind: hybrid
"""
BAD = [
    ("application/json", b"{", 400, "valid JSON"),
    ("application/json", b'{"inputs": {"text": ["soup", null]}}', 400, "row 2: `text` is None; expected a text"),
    ("application/json", b'{"inputs": {"text": [7]}}', 400, "row 1: `text` is 7; expected a text"),
    ("application/json", b'{"dataframe_records": [{"body": "soup"}]}', 400, "no column `text`; there are: body"),
    ("text/csv", b"body\nsoup\n", 400, "no column `text`; there are: body"),
    ("text/plain", b"soup", 415, "text/plain"),
]
PREDICT = """\
import importlib.util, json, sys
import mlflow, pandas
assert not any(importlib.util.find_spec(name) for name in ("torch", "transformers", "datasets", "typer"))
model = mlflow.pyfunc.load_model("models:/stance@champion")
found = model.predict(pandas.DataFrame({"text": json.loads(sys.argv[1])}))
print(found.to_json(orient="records"))
"""


@pytest.fixture
def elsewhere(project, tmp_path, monkeypatch):
    """A model of words and encoder that was registered here; a folder and an environment that know it not."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (project / "configs" / "default.yaml").write_text(HYBRID, encoding="utf-8")
    outcome = train()
    mlflow.set_tracking_uri(tracking.tracking_uri())
    needed = mlflow.pyfunc.get_model_dependencies("models:/stance@champion")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", needed]
    subprocess.run([folder / "venv" / "bin" / "python", *install], check=True, timeout=1500)
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"MLFLOW_TRACKING_URI": tracking.tracking_uri(), "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment["PATH"] = f"{folder / 'venv' / 'bin'}:{environment['PATH']}"
    return folder, environment, load_bundle(outcome.folder).predict_proba(TEXTS)


def test_the_registered_model_needs_no_more_than_it_says(elsewhere):
    folder, environment, expected = elsewhere
    python = folder / "venv" / "bin" / "python"
    words = [python, "-c", PREDICT, json.dumps(TEXTS)]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    same(json.loads(done.stdout), expected)

    served = [python, "-m", "mlflow", "models", "serve", "-m", "models:/stance@champion", "--env-manager", "local"]
    with serving([*served, "--port", "PORT"], folder, environment=environment, path="ping") as server:
        content = json.dumps({"dataframe_split": {"columns": ["text"], "data": [[text] for text in TEXTS]}})
        request = urllib.request.Request(
            f"{server.address}/invocations", content.encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            same(json.load(answer)["predictions"], expected)
        for kind, body, status, words in BAD:
            request = urllib.request.Request(f"{server.address}/invocations", body, {"Content-Type": kind})
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=60)
            answer = refused.value.read().decode()
            assert (refused.value.code, words in answer) == (status, True), answer


def same(rows, expected):
    """Check rows of the served model against probabilities from the exported folder."""
    columns = [f"p_{name.replace('-', '_')}" for name in LABEL_NAMES]
    assert [[row[column] for column in columns] for row in rows] == [pytest.approx(row, abs=1e-6) for row in expected]
    assert [row["label"] for row in rows] == [LABEL_NAMES[best] for best in expected.argmax(1)]
