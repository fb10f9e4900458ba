"""MLflow: the one door to experiments, runs and the registered model.

A store is opened under a file lock: processes that create a fresh sqlite store at once break it.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset
    from matplotlib.figure import Figure

EXPERIMENT = MODEL = "stance"
CHAMPION = "champion"
# What the registered model needs to run: no torch, no transformers.
SERVING = (
    "mlflow",
    "numpy",
    "onnxruntime",
    "pandas",
    "pydantic",
    "pyyaml",
    "safetensors",
    "scikit-learn",
    "tokenizers",
)


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, or the sqlite store in this folder by its absolute path."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').absolute()}"


def _mlflow() -> Any:
    """Import mlflow, silent and without telemetry, and open the store."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import logging

    import mlflow
    from filelock import FileLock

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    uri = tracking_uri()
    mlflow.set_tracking_uri(uri)
    local = uri.startswith("sqlite:")
    lock = Path(uri.removeprefix("sqlite:///") + ".lock") if local else Path(".cache/mlflow.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock):
            if mlflow.get_experiment_by_name(EXPERIMENT) is None:
                place = lock.with_name("mlartifacts").as_uri() if local else None
                mlflow.create_experiment(EXPERIMENT, artifact_location=place)
            mlflow.set_experiment(EXPERIMENT)
    except mlflow.exceptions.MlflowException as error:
        why = str(error).splitlines()[0][:200]
        raise InputError(f"MLflow store {uri}", why, then="check MLFLOW_TRACKING_URI") from None
    return mlflow


class Run:
    """A run that is open: what is logged goes to it."""

    def __init__(self, mlflow: Any, run_id: str) -> None:
        """Wrap an open run."""
        self._mlflow, self.id = mlflow, run_id

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters."""
        self._mlflow.log_params({name: str(value)[:500] for name, value in values.items()})

    def metrics(self, values: Mapping[str, float]) -> None:
        """Log metrics in one call."""
        self._mlflow.log_metrics({name: float(value) for name, value in values.items()})

    def figures(self, figures: Mapping[str, Figure]) -> None:
        """Log pictures as `NAME.png`."""
        for name, figure in figures.items():
            self._mlflow.log_figure(figure, f"{name}.png")

    def text(self, content: str, name: str) -> None:
        """Log a text file."""
        self._mlflow.log_text(content, name)

    def inputs(self, name: str, dataset: Dataset, digest: str, context: str) -> None:
        """Log a dataset as an input of the run, by name and digest."""
        from mlflow.data.pandas_dataset import from_pandas

        names = dataset.features["label"].names
        frame = dataset.select_columns(["id", "text", "label", "origin"]).to_pandas()
        frame["label"] = [names[label] for label in frame["label"]]
        self._mlflow.log_input(from_pandas(frame, name=name, targets="label", digest=digest), context=context)


@contextmanager
def run(name: str, *, tags: Mapping[str, str] | None = None, nested: bool = False, run_id: str = "") -> Iterator[Run]:
    """Open a run, a child of the one that is open, or an earlier one again."""
    mlflow = _mlflow()
    opened = (
        mlflow.start_run(run_id=run_id)
        if run_id
        else mlflow.start_run(run_name=name, tags=dict(tags or {}), nested=nested)
    )
    with opened as active:
        yield Run(mlflow, active.info.run_id)


def register(folder: Path, label_names: Sequence[str], card: str) -> str:
    """Log the exported folder to the open run, register it, and make it the champion; return its version."""
    mlflow = _mlflow()
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    from pipeline.prediction import probability_column

    package = Path(__file__).parents[1]
    outputs = [ColSpec("string", "label"), ColSpec("double", "confidence")]
    outputs += [ColSpec("double", probability_column(name)) for name in label_names]
    with redirect_stderr(StringIO()), warnings.catch_warnings():
        # It hints at an input example (the signature says it all) and announces each version.
        warnings.simplefilter("ignore")
        info = mlflow.pyfunc.log_model(
            name=MODEL,
            python_model=str(package / "tracking" / "served.py"),
            artifacts={"bundle": str(folder)},
            code_paths=[str(package)],
            signature=ModelSignature(inputs=Schema([ColSpec("string", "text")]), outputs=Schema(outputs)),
            pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in SERVING],
            registered_model_name=MODEL,
        )
    client = mlflow.MlflowClient()
    registered = str(info.registered_model_version)
    client.update_model_version(MODEL, registered, description=card)
    client.set_registered_model_alias(MODEL, CHAMPION, registered)
    return registered


def serve_ui(port: int) -> None:
    """Become MLflow's UI on this store, with one worker and no jobs: a third of the memory."""
    _mlflow()
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    words = ["-m", "mlflow", "server", "--backend-store-uri", tracking_uri(), "--workers", "1", "--port", str(port)]
    if tracking_uri().startswith("sqlite:"):
        words += ["--default-artifact-root", Path("mlartifacts").absolute().as_uri()]
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - our own interpreter, fixed words
