"""MLflow's UI on this project's runs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from pipeline.tracking.store import ARTIFACTS, Store, database_of, tracking_uri

# The columns of the runs, in order, and a name for the view that holds them.
METRICS = "macro_f1_real macro_f1_real_low macro_f1_real_high macro_f1 test_macro_f1 test_rows ece seconds".split()
COLUMNS = ("params.`selected`", *(f"metrics.`{key}`" for key in METRICS))
VIEW = "stance"


def runs_page(port: int, experiment: str) -> str:
    """Return the address of the runs in MLflow's UI, which would open on traces of language models.

    The columns come from a view that the experiment holds, as by the UI's own button *Share*.
    """
    store = Store(tracking_uri())
    order = ["attributes.`Run Name`", "runDateAndNestInfo", *COLUMNS]
    view = json.dumps({"selectedColumns": COLUMNS, "columnOrder": order, "columnWidths": dict.fromkeys(COLUMNS, 130)})
    with store.asked():
        place = store.experiment(experiment)
        store.client.set_experiment_tag(place, f"mlflow.sharedViewState.{VIEW}", view)
    return f"http://localhost:{port}/#/experiments/{place}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"


def serve_ui(port: int) -> None:
    """Become MLflow's UI on this store, with one worker and no jobs, a third of the memory; it logs no request."""
    os.environ |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}
    words = ["-m", "mlflow", "server", "--backend-store-uri", tracking_uri(), "--workers", "1", "--port", str(port)]
    words += ["--registry-store-uri", tracking_uri(), "--uvicorn-opts", "--log-level warning --no-access-log"]
    if database_of(tracking_uri()):
        words += ["--default-artifact-root", Path(ARTIFACTS).absolute().as_uri()]
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - our own interpreter, fixed words
