"""MLflow: the one door to experiments, runs and the registered model."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.tracking.store import EXPERIMENT, Store, tracking_uri

if TYPE_CHECKING:
    from datasets import Dataset
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "Run", "describe", "run", "runs_page", "serve_ui", "set_alias", "sync", "tracking_uri"]

MODEL = "stance"
CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
# Tags of a run that was kept here: the run of the server that it goes on from; and, on the server, its id here.
CONTINUES, KEPT_AS = "stance.continues", "stance.kept_as"
PARENT = "mlflow.parentRunId"
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


class Run:
    """A run that is open: what is logged goes to it, wherever its store is now."""

    def __init__(self, store: Store, name: str, tags: Mapping[str, str], parent: Run | None, run_id: str = "") -> None:
        """Create it, or open an earlier one."""
        self._store, self._name, self._tags, self._parent = store, name, tags, parent
        self._ids: dict[str, str] = {store.uri: run_id} if run_id else {}
        self.id: str = store.attempt(self.here)

    def here(self) -> str:
        """Return the run's id in the present store; create it there if need be."""
        if self._store.uri not in self._ids:
            from mlflow.tracking.context.registry import resolve_tags

            tags = resolve_tags(dict(self._tags))
            if self._parent:
                tags[PARENT] = self._parent.here()
            if self._ids:
                tags[CONTINUES] = self.id
            made = self._store.client.create_run(self._store.experiment, tags=tags, run_name=self._name or None)
            self._ids[self._store.uri] = made.info.run_id
        return self._ids[self._store.uri]

    def _log(self, action: Callable[[Any, str], None]) -> None:
        self._store.attempt(lambda: action(self._store.client, self.here()))

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters."""
        from mlflow.entities import Param

        rows = [Param(name, str(value)[:500]) for name, value in values.items()]
        self._log(lambda client, run_id: client.log_batch(run_id, params=rows))

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log metrics in one call."""
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        rows = [Metric(name, float(value), get_current_time_millis(), step) for name, value in values.items()]
        self._log(lambda client, run_id: client.log_batch(run_id, metrics=rows))

    def figures(self, figures: Mapping[str, Figure]) -> None:
        """Log pictures as `NAME.png`."""
        for name, figure in figures.items():
            self._figure(figure, f"{name}.png")

    def _figure(self, figure: Figure, name: str) -> None:
        self._log(lambda client, run_id: client.log_figure(run_id, figure, name))

    def note(self, words: str) -> None:
        """Put words, as Markdown, on the run's overview."""
        self._log(lambda client, run_id: client.set_tag(run_id, "mlflow.note.content", words))

    def text(self, content: str, name: str) -> None:
        """Log a text file."""
        self._log(lambda client, run_id: client.log_text(run_id, content, name))

    def folder(self, path: Path, name: str) -> None:
        """Log all files of a folder."""
        self._log(lambda client, run_id: client.log_artifacts(run_id, str(path), name))

    def table(self, rows: Sequence[Mapping[str, Any]], name: str) -> None:
        """Log rows as a table that the UI shows, in place of an earlier one."""
        import json

        columns = list(rows[0]) if rows else []
        content = json.dumps({"columns": columns, "data": [[row[c] for c in columns] for row in rows]})

        def action(client: Any, run_id: str) -> None:
            client.log_text(run_id, content, f"{name}.json")
            client.set_tag(run_id, "mlflow.loggedArtifacts", json.dumps([{"path": f"{name}.json", "type": "table"}]))

        self._log(action)

    def inputs(self, name: str, dataset: Dataset, digest: str, context: str) -> None:
        """Log a dataset as an input of the run, by name and digest."""
        from mlflow.data.pandas_dataset import from_pandas
        from mlflow.entities import DatasetInput, InputTag

        names = dataset.features["label"].names
        frame = dataset.select_columns(["id", "text", "label", "origin"]).to_pandas()
        frame["label"] = [names[label] for label in frame["label"]]
        entity = from_pandas(frame, name=name, targets="label", digest=digest)._to_mlflow_entity()
        given = DatasetInput(entity, [InputTag("mlflow.data.context", context)])
        self._log(lambda client, run_id: client.log_inputs(run_id, datasets=[given]))

    def register(self, folder: Path, label_names: Sequence[str], card: str, columns: Sequence[str] = ("text",)) -> str:
        """Log the exported folder, which reads these columns, and register it; return its version."""
        return self._store.attempt(lambda: _register(self._store, self.here(), folder, label_names, card, columns))

    def set_alias(self, alias: str, run_id: str | None = None) -> str:
        """Give the version that this run, or another, registered an alias; return it, empty where there is none."""
        return self._store.attempt(lambda: _set_alias(self._store, alias, self.here() if run_id is None else run_id))

    def close(self, status: str) -> None:
        """End the run."""
        self._log(lambda client, run_id: client.set_terminated(run_id, status))


_open: list[Run] = []


@contextmanager
def run(name: str, *, tags: Mapping[str, str] | None = None, nested: bool = False, run_id: str = "") -> Iterator[Run]:
    """Open a run, a child of the one that is open, or an earlier one again; InputError if the store has it not."""
    parent = _open[-1] if nested and _open else None
    store = parent._store if parent else Store(tracking_uri())
    earlier = _known(store, run_id) if run_id else None
    opened = Run(store, name, tags or {}, parent, earlier.run_id if earlier else "")
    _open.append(opened)
    status = "FAILED"
    try:
        yield opened
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        _open.remove(opened)
        if earlier is None or earlier.status != "FINISHED":  # what is added to a finished run leaves its end alone
            opened.close(status)


def _known(store: Store, run_id: str) -> Any:
    """Return the info of an earlier run in this store, by itself or as it was kept before it was sent."""
    where = f"MLflow store {store.uri}"
    try:
        info = store.client.get_run(run_id).info
    except store.mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise store.refused(error) from None
        found = store.client.search_runs([store.experiment], f"tags.`{KEPT_AS}` = '{run_id}'", max_results=1)
        if not found:
            then = "it began in another store; set MLFLOW_TRACKING_URI to log there"
            raise InputError(where, f"has no run {run_id}", then=then) from None
        info = found[0].info
    if info.lifecycle_stage == "deleted":
        raise InputError(where, f"run {run_id} was deleted", then="restore it in the UI, or train again")
    return info


def _register(
    store: Store, run_id: str, folder: Path, label_names: Sequence[str], card: str, columns: Sequence[str]
) -> str:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    from pipeline.config import probability_column

    package = Path(__file__).parents[1]
    inputs = [ColSpec("string", name) for name in columns]
    outputs = [ColSpec("string", "label"), ColSpec("double", "confidence")]
    outputs += [ColSpec("double", probability_column(name)) for name in label_names]
    with redirect_stderr(StringIO()), warnings.catch_warnings():
        # It hints at an input example (the signature says it all) and announces each version.
        warnings.simplefilter("ignore")
        with store.mlflow.start_run(run_id=run_id):
            info = store.mlflow.pyfunc.log_model(
                name=MODEL,
                python_model=str(package / "tracking" / "served.py"),
                artifacts={"bundle": str(folder)},
                code_paths=[str(package)],
                signature=ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs)),
                pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in SERVING],
                registered_model_name=MODEL,
            )
    registered = str(info.registered_model_version)
    store.client.update_model_version(MODEL, registered, description=card)
    for name, words in (("label_names", label_names), ("columns", columns)):
        store.client.set_model_version_tag(MODEL, registered, name, ", ".join(words))
    return registered


def _version_of(store: Store, run_id: str) -> Any:
    found = store.client.search_model_versions(f"run_id = '{run_id}'") if run_id else []
    return max(found, key=lambda entry: int(entry.version), default=None)


def _set_alias(store: Store, alias: str, run_id: str) -> str:
    found = _version_of(store, run_id)
    if found is not None:
        store.client.set_registered_model_alias(MODEL, alias, found.version)
    return str(found.version) if found is not None else ""


def set_alias(alias: str, run_id: str) -> str:
    """Give the version that a run registered an alias; return the version, empty where the store has none."""
    store = Store(tracking_uri())
    try:
        return _set_alias(store, alias, _known(store, run_id).run_id)
    except InputError:
        return ""


def describe(run_id: str, heading: str, words: str) -> None:
    """Write a section at the end of a registered version's description, in place of an earlier one."""
    store = Store(tracking_uri())
    found = _version_of(store, _known(store, run_id).run_id)
    if found is not None:
        card = (found.description or "").partition(f"\n{heading}\n")[0]
        store.client.update_model_version(MODEL, found.version, description=f"{card}\n{heading}\n{words}")


def sync() -> int:
    """Send what a server did not take; return the number of runs."""
    from pipeline.tracking.unsent import send

    return send(Store(tracking_uri()))


def runs_page(port: int) -> str:
    """Return the address of the runs in MLflow's UI, which would open on traces of language models."""
    return (
        f"http://localhost:{port}/#/experiments/{Store(tracking_uri()).experiment}/runs?workflowType=machine_learning"
    )


def serve_ui(port: int) -> None:
    """Become MLflow's UI on this store, with one worker and no jobs: a third of the memory."""
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    words = ["-m", "mlflow", "server", "--backend-store-uri", tracking_uri(), "--workers", "1", "--port", str(port)]
    if tracking_uri().startswith("sqlite:"):
        words += ["--default-artifact-root", Path("mlartifacts").absolute().as_uri()]
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - our own interpreter, fixed words
