"""A tracking server that goes down in the middle of a training and comes back; run by `make test-server`."""

import socket
import subprocess
import sys
import time
import urllib.request

import mlflow
import pytest

from pipeline import tracking, training
from pipeline.config import read_config
from pipeline.errors import InputError

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning"),
]


class Server:
    """MLflow's server on a fresh sqlite store, which can be stopped and started again."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address, self.folder = f"http://127.0.0.1:{self.port}", folder

    def start(self):
        words = ["--backend-store-uri", f"sqlite:///{self.folder}/server.db", "--workers", "1"]
        words += ["--artifacts-destination", str(self.folder / "artifacts"), "--port", str(self.port)]
        self.process = subprocess.Popen([sys.executable, "-m", "mlflow", "server", *words], cwd=self.folder)
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{self.address}/health", timeout=5)
                return
            except OSError:
                time.sleep(1)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def server(project, tmp_path, monkeypatch):
    running = Server(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", running.address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    running.start()
    yield running
    running.stop()


def test_a_training_outlives_its_server_and_is_sent_later(server):
    def announce(result):
        if result.candidate.name == "majority":
            server.stop()

    outcome = training.train(read_config("configs/default.yaml"), lambda share, words: None, announce)
    assert outcome.folder.exists() and (server.folder / "project" / ".cache" / "unsent" / "mlflow.db").exists()
    server.start()
    assert tracking.sync() == 3
    client = mlflow.MlflowClient(server.address)
    parent = client.get_run(outcome.run_id)
    assert parent.data.params["promoted"] == "yes" and parent.info.status == "FINISHED"
    children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{outcome.run_id}'")
    assert {run.info.run_name for run in children} == {"majority", "keywords"}
    assert client.get_model_version_by_alias("stance", "champion").run_id == outcome.run_id
    assert tracking.sync() == 0


def test_without_a_server_there_is_nowhere_to_send_to(project, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (project / ".cache" / "unsent").mkdir(parents=True)
    (project / ".cache" / "unsent" / "mlflow.db").touch()
    with pytest.raises(InputError, match="MLFLOW_TRACKING_URI: is not set"):
        tracking.sync()
