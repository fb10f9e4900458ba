"""The MLflow store: the one in this folder, or a server; and the one that keeps what a server did not take."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import InputError

EXPERIMENT = "stance"
# What could not be sent lies here, itself an MLflow store, until `stance sync`.
UNSENT = Path(".cache/unsent")
T = TypeVar("T")


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, or the sqlite store in this folder by its absolute path."""
    return os.environ.get("MLFLOW_TRACKING_URI") or local_uri(Path("."))


def local_uri(folder: Path) -> str:
    """Return the URI of the sqlite store of a folder."""
    return f"sqlite:///{folder.absolute() / 'mlflow.db'}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def load_mlflow() -> Any:
    """Import mlflow, silent and without telemetry."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # A server that is down is given half a minute, not four.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")
    import logging

    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow


class Store:
    """An open store; all its fields change when a server stops answering."""

    def __init__(self, uri: str) -> None:
        """Open the store at a URI."""
        self.mlflow = load_mlflow()
        self._open(uri)

    def _open(self, uri: str) -> None:
        """Open or create it, under a file lock: processes that create a fresh sqlite store at once break it."""
        from filelock import FileLock

        self.uri = uri
        self.use()
        local = uri.startswith("sqlite:")
        lock = Path(uri.removeprefix("sqlite:///") + ".lock") if local else Path(".cache/mlflow.lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(lock):
                self.client = self.mlflow.MlflowClient(uri)  # creates the tables of a fresh store
                found = self.client.get_experiment_by_name(EXPERIMENT)
                place = lock.with_name("mlartifacts").as_uri() if local else None
                made = found or self.client.create_experiment(EXPERIMENT, artifact_location=place)
                self.experiment = str(getattr(made, "experiment_id", made))
        except self.mlflow.exceptions.MlflowException as error:
            raise self.refused(error) from None

    def refused(self, error: Exception) -> InputError:
        """Say in one line that the store does not answer as it should."""
        return InputError(f"MLflow store {self.uri}", _first_line(error), then="check MLFLOW_TRACKING_URI")

    def use(self) -> None:
        """Make it the store of MLflow's own functions; MLFLOW_TRACKING_URI, which they would set, stays."""
        before = os.environ.get("MLFLOW_TRACKING_URI")
        self.mlflow.set_tracking_uri(self.uri)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before

    def attempt(self, action: Callable[[], T]) -> T:
        """Do something with the store; if a server does not answer, do it with the store that keeps it."""
        try:
            return action()
        except (self.mlflow.exceptions.MlflowException, OSError) as error:
            if self.uri.startswith("sqlite:"):
                raise
            why = f"{_first_line(error)}; what follows is kept in {UNSENT}/, send it with `stance sync`"
            sys.stderr.write(f"\nMLflow store {self.uri}: {why}\n")
            UNSENT.mkdir(parents=True, exist_ok=True)
            self._open(local_uri(UNSENT))
            return action()
