"""MLflow's UI on this project's runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pipeline.tracking.store import ARTIFACTS, Store, database_of, tracking_uri


def runs_page(port: int, experiment: str) -> str:
    """Return the address of the runs in MLflow's UI, which would open on traces of language models."""
    place = Store(tracking_uri()).experiment(experiment)
    return f"http://localhost:{port}/#/experiments/{place}/runs?workflowType=machine_learning"


def serve_ui(port: int) -> None:
    """Become MLflow's UI on this store, with one worker and no jobs: a third of the memory."""
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    words = ["-m", "mlflow", "server", "--backend-store-uri", tracking_uri(), "--workers", "1", "--port", str(port)]
    if database_of(tracking_uri()):
        words += ["--default-artifact-root", Path(ARTIFACTS).absolute().as_uri()]
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - our own interpreter, fixed words
