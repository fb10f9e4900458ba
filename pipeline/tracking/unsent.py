"""Runs that were kept here while a server was down, sent to it once it is back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.tracking import CHAMPION, CONTINUES, KEPT_AS, MODEL, PARENT, PREVIOUS, _register, _version_of
from pipeline.tracking.store import UNSENT, Store, local_uri


def send(server: Store) -> int:
    """Copy the kept runs, their files and their models; sending twice makes nothing twice."""
    if not (UNSENT / "mlflow.db").exists():
        return 0
    if server.uri.startswith("sqlite:"):
        raise InputError("MLFLOW_TRACKING_URI", "is not set", expected="the server that the runs are for")
    kept = Store(local_uri(UNSENT))
    runs = sorted(kept.client.search_runs([kept.experiment]), key=lambda run: run.info.start_time)
    ids: dict[str, str] = {}
    for run in runs:
        ids[run.info.run_id] = _send_run(kept, server, run, ids)
    _send_models(kept, server, ids)
    shutil.rmtree(UNSENT)
    return len(runs)


def _send_run(kept: Store, server: Store, run: Any, ids: dict[str, str]) -> str:
    own = run.info.run_id
    tags = dict(run.data.tags)
    target, parent = tags.pop(CONTINUES, ""), tags.pop(PARENT, "")
    if not target:
        found = server.client.search_runs([server.experiment], f"tags.`{KEPT_AS}` = '{own}'", max_results=1)
        target = found[0].info.run_id if found else ""
    if not target:
        known = tags | {KEPT_AS: own} | ({PARENT: ids[parent]} if parent else {})
        made = server.client.create_run(server.experiment, run.info.start_time, known, run.info.run_name)
        target = made.info.run_id
    from mlflow.entities import Metric, Param, RunTag

    params = [Param(name, value) for name, value in run.data.params.items()]
    metrics = [Metric(name, value, run.info.start_time, 0) for name, value in run.data.metrics.items()]
    server.client.log_batch(target, metrics, params, [RunTag(name, value) for name, value in tags.items()])
    if run.inputs and run.inputs.dataset_inputs:
        server.client.log_inputs(target, datasets=run.inputs.dataset_inputs)
    if kept.client.list_artifacts(own):
        server.client.log_artifacts(target, kept.client.download_artifacts(own, ""))
    if run.info.end_time:
        server.client.set_terminated(target, run.info.status, run.info.end_time)
    return str(target)


def _send_models(kept: Store, server: Store, ids: dict[str, str]) -> None:
    versions: dict[str, str] = {}
    found = kept.client.search_model_versions(f"name = '{MODEL}'")
    for entry in sorted(found, key=lambda entry: int(entry.version)):
        if sent := _version_of(server, ids[entry.run_id]):
            versions[str(entry.version)] = str(sent.version)
            continue
        kept.use()
        try:
            folder = Path(kept.mlflow.artifacts.download_artifacts(f"models:/{MODEL}/{entry.version}"))
        except (kept.mlflow.exceptions.MlflowException, OSError):
            then = "put them back, or remove the folder and train again"
            raise InputError(UNSENT, f"the files of model version {entry.version} are gone", then=then) from None
        server.use()
        (bundle,) = (folder / "artifacts").iterdir()
        labels, columns = (entry.tags.get(name, "text").split(", ") for name in ("label_names", "columns"))
        sent = _register(server, ids[entry.run_id], bundle, labels, entry.description or "", columns)
        versions[str(entry.version)] = sent
    if not versions:
        return
    standing = server.client.get_registered_model(MODEL).aliases
    for alias, own in kept.client.get_registered_model(MODEL).aliases.items():
        if alias == CHAMPION and CHAMPION in standing:
            server.client.set_registered_model_alias(MODEL, PREVIOUS, standing[CHAMPION])
        server.client.set_registered_model_alias(MODEL, alias, versions[str(own)])
