"""Tracking servers and the served model, started for real; run by `make test-server`."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
from conftest import LABEL_NAMES
from servers import Server, free_port, serving

from pipeline import tracking
from pipeline.bundle import load_bundle
from pipeline.config import read_config
from pipeline.errors import InputError
from pipeline.evaluation.evaluate import evaluate
from pipeline.reporting.publishing import publish
from pipeline.training import champion
from pipeline.training import train as training

POSTGRES = shutil.which("postgres")
TEXTS = ["Ease the embargo, the goose said.", "Close every loophole.", "It rained in Wonsan."]

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning"),
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
        tracking.send(tracking.tracking_uri(), champion.mirror, champion.describe_folder)
    Path("aside").rename(models)
    assert tracking.send(tracking.tracking_uri(), champion.mirror, champion.describe_folder) == 3
    client = mlflow.MlflowClient(server.address)
    parent = client.get_run(outcome.run_id)
    assert parent.data.params["promoted"] == "yes" and parent.info.status == "FINISHED"
    assert parent.data.tags["mlflow.note.content"] and "stance.continues" not in parent.data.tags
    children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{outcome.run_id}'")
    assert sorted(run.info.run_name for run in children) == ["keywords", "majority"]
    assert client.get_model_version_by_alias("stance", "champion").run_id == outcome.run_id
    assert tracking.send(tracking.tracking_uri(), champion.mirror, champion.describe_folder) == 0


def test_without_a_server_there_is_nowhere_to_send_to(project, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (project / ".cache" / "unsent").mkdir(parents=True)
    (project / ".cache" / "unsent" / "mlflow.db").touch()
    with pytest.raises(InputError, match="MLFLOW_TRACKING_URI: is not set"):
        tracking.send(tracking.tracking_uri(), champion.mirror, champion.describe_folder)


# A team's server on PostgreSQL


@contextmanager
def postgres():
    """Run PostgreSQL on a fresh cluster; it refuses to run as root, so as the user that Debian made for it."""
    import psycopg2

    tools = Path(POSTGRES).resolve().parent
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="stance-postgres-"))
    if user:
        shutil.chown(folder, "postgres", "postgres")
    options = {"cwd": folder, "env": {"LC_ALL": "C.UTF-8"}} | user
    words = [tools / "initdb", "-D", folder / "data", "-A", "trust", "-U", "stance", "--no-sync"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, **options)
    port = free_port()
    words = [tools / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-F"]
    running = subprocess.Popen([*words, "-c", "listen_addresses=127.0.0.1"], **options)
    address = f"postgresql://stance@127.0.0.1:{port}/postgres"
    try:
        for _ in range(120):
            assert running.poll() is None, "PostgreSQL ended"
            try:
                psycopg2.connect(address).close()
                break
            except psycopg2.OperationalError:
                time.sleep(0.5)
        yield address
    finally:
        running.terminate()
        running.wait(60)
        shutil.rmtree(folder)


@pytest.mark.skipif(not POSTGRES, reason="no PostgreSQL: apt-get install postgresql")
def test_a_training_logs_everything_to_a_server_on_postgresql(project, tmp_path, monkeypatch):
    import psycopg2

    with postgres() as database:
        # SQLAlchemy 2.1 means psycopg 3 unless it is told.
        team = tracking_server(tmp_path, database.replace("postgresql:", "postgresql+psycopg2:"))
        team.start()
        try:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", team.address)
            outcome = train()
            bundle, config = load_bundle(outcome.folder), read_config("configs/default.yaml")
            assert publish(evaluate(bundle, config), bundle, config)[1] == ""
            client = mlflow.MlflowClient(team.address)
            files = {file.path for file in client.list_artifacts(outcome.run_id)}
            assert {"confusion.svg", "promotion.txt", "mistakes.json", "report"} <= files
            version = client.get_model_version_by_alias("stance", "champion")
            assert version.run_id == outcome.run_id and "## On the test part" in version.description
            mlflow.set_tracking_uri(team.address)
            import pandas as pd

            found = mlflow.pyfunc.load_model("models:/stance@champion").predict(pd.DataFrame({"text": TEXTS}))
            assert len(found) == len(TEXTS)
            with psycopg2.connect(database) as connection, connection.cursor() as rows:
                rows.execute("select name from runs order by name")
                assert [name for (name,) in rows] == ["keywords", "majority", "train default"]
            connection.close()
            assert not Path("mlflow.db").exists() and not Path(".cache/unsent").exists()
        finally:
            team.stop()


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
