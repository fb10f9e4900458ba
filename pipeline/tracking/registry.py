"""The registered model: its versions, and the aliases that say which of them is in use."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

from pipeline.config import probability_column
from pipeline.tracking.store import Store, existing, tracking_uri

# Tags of a version: its labels, what it reads, where it was exported to; and the run that the exported folder
# names, whichever store the training ended in.
LABELS, COLUMNS, OUTPUT, RUN = "label_names", "columns", "output", "run_id"
# A text and its target, to try a registered model on.
EXAMPLE = ("Beijing urged all sides to return to talks.", "sanctions")
# What the registered model needs to run: no torch, no transformers.
SERVING = "mlflow numpy onnxruntime pandas pydantic pyyaml safetensors scikit-learn tokenizers".split()


class Registry:
    """A registered model in a store that must answer: aliases are not kept for later."""

    def __init__(self, uri: str, model: str) -> None:
        """Open the store, in a moved project the one here; InputError if it does not answer or cannot be written."""
        self._store, self._model = Store(existing(uri)), model
        self._client = self._store.client

    def point(self, alias: str, run_id: str) -> str:
        """Give the version that a run registered an alias, and return it; where there is none, take the alias away."""
        with self._store.asked():
            found = version_of(self._store, run_id, self._model)
            if found is not None:
                give = self._client.set_registered_model_alias
                self._store.once_more(lambda: give(self._model, alias, found.version))
                return str(found.version)
            if alias in aliases(self._store, self._model):
                self._client.delete_registered_model_alias(self._model, alias)
        return ""

    def end_run(self, run_id: str, status: str, params: Mapping[str, str]) -> None:
        """End a run; one that was deleted meanwhile stays so."""
        with self._store.asked():
            info = self._store.find(run_id)
            if info is None or info.lifecycle_stage == "deleted":
                return
            for name, value in params.items():
                self._client.log_param(run_id, name, value)
            self._client.set_terminated(run_id, status)


def aliases(store: Store, model: str) -> dict[str, str]:
    """Return the version that each alias of a registered model names."""
    found = store.client.search_registered_models(f"name = '{model}'")
    return {alias: str(number) for entry in found for alias, number in entry.aliases.items()}


def version_of(store: Store, run_id: str, model: str = "") -> Any:
    """Return the version that a run registered, of any model unless one is named; None where there is none."""
    ways = (f"run_id = '{run_id}'", f"tags.{RUN} = '{json.dumps(run_id)}'") if run_id else ()
    found = [entry for way in ways for entry in store.client.search_model_versions(way) if model in ("", entry.name)]
    return max(found, key=lambda entry: int(entry.version), default=None)


@contextmanager
def _as_active(store: Store, run_id: str) -> Iterator[None]:
    """Make it the active run of MLflow's own functions; its status stays, where theirs would end it."""
    before = store.client.get_run(run_id).info
    store.mlflow.start_run(run_id=run_id)
    try:
        yield
    finally:
        store.mlflow.end_run(before.status)
        if before.end_time:
            store.client.set_terminated(run_id, before.status, before.end_time)


def register(store: Store, run_id: str, folder: Path, model: str, description: str, tags: Mapping[str, Any]) -> str:
    """Log an exported folder to a run and register it with its card and tags (LABELS, ...); return its version."""
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    package = Path(__file__).parents[1]
    outputs = [ColSpec("string", "label"), ColSpec("double", "confidence")]
    outputs += [ColSpec("double", probability_column(name)) for name in tags[LABELS]]
    # It announces each version, on standard error and as a warning.
    with redirect_stderr(StringIO()), warnings.catch_warnings(action="ignore"), _as_active(store, run_id):
        info = store.mlflow.pyfunc.log_model(
            name=model,
            python_model=str(package / "tracking" / "served.py"),
            artifacts={"bundle": str(folder)},
            code_paths=[str(package)],
            # A signature of columns would refuse lists, arrays and Series, and make one text of a list in a cell.
            signature=ModelSignature(outputs=Schema(outputs)),
            input_example=pd.DataFrame([dict(zip(tags[COLUMNS], EXAMPLE, strict=False))]),
            pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in SERVING],
            registered_model_name=model,
        )
    registered = str(info.registered_model_version)
    store.client.update_model_version(model, registered, description=description)
    for name, value in tags.items():
        store.client.set_model_version_tag(model, registered, name, json.dumps(value, ensure_ascii=False))
    return registered


def describe(run_id: str, heading: str, words: str) -> None:
    """Write a section at the end of the description of a run's registered version, in place of an earlier one."""
    store = Store(tracking_uri())
    with store.asked():
        if (found := version_of(store, run_id)) is not None:
            card = (found.description or "").partition(f"\n{heading}\n")[0]
            text = f"{card}\n{heading}\n{words}"
            store.client.update_model_version(found.name, found.version, description=text)
