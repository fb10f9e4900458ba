"""Runs that were kept here while a server was down, sent to it once it is back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.tracking.registry import OUTPUT, aliases, register, version_of
from pipeline.tracking.runs import CONTINUES, KEPT_AS, PARENT, find_run, find_sent
from pipeline.tracking.store import UNSENT, Store, database_of, local_uri


def waiting() -> bool:
    """Say whether something was kept that is not sent yet."""
    return (UNSENT / "mlflow.db").exists()


def send(uri: str, mirror: Callable[[Path, str, str], None], describe: Callable[[Path], dict[str, Any]]) -> int:
    """Copy the kept runs, their files and their models to a server; return how many runs. Twice makes nothing twice.

    Args:
        uri: the server.
        mirror: called with the folder, the registered model and the alias that were kept, to set it on the server.
        describe: gives the tags of an exported folder; earlier releases kept versions without all of them.

    """
    if not waiting():
        return 0
    if database_of(uri):
        raise InputError("MLFLOW_TRACKING_URI", "is not set", expected="the server that the runs are for")
    kept, server = Store(local_uri(UNSENT)), Store(uri)
    ids: dict[str, str] = {}
    with server.asked():  # which may go away again
        experiments = {entry.experiment_id: entry.name for entry in kept.client.search_experiments()}
        for run in sorted(kept.client.search_runs(list(experiments)), key=lambda run: run.info.start_time):
            ids[run.info.run_id] = _send_run(kept, server, experiments[run.info.experiment_id], run, ids)
        for model in kept.client.search_registered_models():
            found = kept.client.search_model_versions(f"name = '{model.name}'")
            versions = {int(entry.version): entry for entry in found}
            for number in sorted(versions):
                _send_version(kept, server, versions[number], ids, describe)
            for alias, name in aliases(kept, model.name).items():
                named = versions[int(name)].tags.get(OUTPUT)
                mirror(Path(json.loads(named)) if named else Path("models", alias), model.name, alias)
    shutil.rmtree(UNSENT)
    return len(ids)


def _send_run(kept: Store, server: Store, experiment: str, run: Any, ids: dict[str, str]) -> str:
    from mlflow.entities import Param, RunTag

    own, tags = run.info.run_id, dict(run.data.tags)
    target, parent, place = tags.pop(CONTINUES, ""), tags.pop(PARENT, ""), server.experiment(experiment)
    if sent := find_run(server, target) if target else find_sent(server, own):
        target = sent.run_id
    if not target:
        known = tags | {KEPT_AS: own} | ({PARENT: ids[parent]} if parent else {})
        made = server.client.create_run(place, run.info.start_time, known, run.info.run_name)
        target = made.info.run_id
    params = [Param(name, value) for name, value in run.data.params.items()]
    metrics = [entry for name in run.data.metrics for entry in kept.client.get_metric_history(own, name)]
    server.client.log_batch(target, metrics, params, [RunTag(name, value) for name, value in tags.items()])
    if run.inputs and run.inputs.dataset_inputs:
        server.once_more(lambda: server.client.log_inputs(target, datasets=run.inputs.dataset_inputs))
    if kept.client.list_artifacts(own):
        server.client.log_artifacts(target, kept.client.download_artifacts(own, ""))
    if run.info.end_time:
        server.client.set_terminated(target, run.info.status, run.info.end_time)
    return str(target)


def _send_version(
    kept: Store, server: Store, entry: Any, ids: dict[str, str], describe: Callable[[Path], dict[str, Any]]
) -> None:
    if version_of(server, ids[entry.run_id], entry.name):
        return
    kept.use()
    try:
        folder = Path(kept.mlflow.artifacts.download_artifacts(f"models:/{entry.name}/{entry.version}"))
    except (kept.mlflow.exceptions.MlflowException, OSError):
        then = "put them back, or remove the folder and train again"
        raise InputError(UNSENT, f"the files of model version {entry.version} are gone", then=then) from None
    server.use()
    (bundle,) = (folder / "artifacts").iterdir()
    tags = describe(bundle) | {name: json.loads(value) for name, value in entry.tags.items()}
    register(server, ids[entry.run_id], bundle, entry.name, entry.description or "", tags)
