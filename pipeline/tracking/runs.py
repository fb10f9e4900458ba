"""Runs: what is logged to them, and where they are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.tracking.registry import RUN, register, version_of
from pipeline.tracking.store import EXPERIMENT, Store, tracking_uri

if TYPE_CHECKING:
    from datasets import Dataset

# Tags of a run that was kept here: the run of the server that it goes on from; and, on the server, its id here.
CONTINUES, KEPT_AS = "stance.continues", "stance.kept_as"
PARENT = "mlflow.parentRunId"
# What a run is rebuilt from.
CONFIG, REQUIREMENTS = "config.yaml", "requirements.txt"


def metric_key(name: str) -> str:
    """Return a key that MLflow takes for any label in it, and no other label has."""
    return re.sub(r"[^\w .-]", lambda match: f"_{ord(match[0]):x}", name)[:250]


def shorten(value: float) -> float:
    """Return a number with four decimals, from 10 on with one."""
    return round(float(value), 4 if abs(value) < 10 else 1)


class Run:
    """A run that is open: what is logged goes to it, wherever its store is now."""

    def __init__(
        self, store: Store, experiment: str, name: str, tags: Mapping[str, str], parent: Run | None, run_id: str = ""
    ) -> None:
        """Create it, or open an earlier one."""
        self._store, self._experiment, self._name, self._tags, self._parent = store, experiment, name, tags, parent
        self._ids: dict[str, str] = {store.uri: run_id} if run_id else {}
        self._tables: list[str] = []
        self.id: str = store.attempt(self.here)

    @property
    def place(self) -> tuple[str, str]:
        """The URI of the store that the run is in now, and its id there."""
        return self._store.uri, self._store.attempt(self.here)

    def here(self) -> str:
        """Return the run's id in the present store; create it there if need be."""
        if self._store.uri not in self._ids:
            from mlflow.tracking.context.registry import resolve_tags

            tags = resolve_tags(dict(self._tags))
            if self._parent:
                tags[PARENT] = self._parent.here()
            if self._ids:
                tags[CONTINUES] = self.id
            experiment = self._store.experiment(self._experiment)
            made = self._store.client.create_run(experiment, tags=tags, run_name=self._name or None)
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
        """Log metrics in one call, with as many decimals as people read."""
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        rows = [Metric(metric_key(name), shorten(value), now, step) for name, value in values.items()]
        self._log(lambda client, run_id: client.log_batch(run_id, metrics=rows))

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
        """Log rows as a table that the UI shows, in place of an earlier one of that name."""
        self._tables = list(dict.fromkeys([*self._tables, f"{name}.json"]))
        shown = json.dumps([{"path": path, "type": "table"} for path in self._tables])
        columns = list(rows[0]) if rows else []
        self.text(json.dumps({"columns": columns, "data": [[row[c] for c in columns] for row in rows]}), f"{name}.json")
        self._log(lambda client, run_id: client.set_tag(run_id, "mlflow.loggedArtifacts", shown))

    def inputs(self, name: str, dataset: Dataset, digest: str, context: str) -> None:
        """Log a dataset as an input of the run, by name and digest."""
        from mlflow.data.pandas_dataset import from_pandas
        from mlflow.entities import DatasetInput, InputTag

        names = dataset.features["label"].names
        frame = dataset.select_columns(["id", "text", "label", "origin"]).to_pandas()
        frame["label"] = [names[label] for label in frame["label"]]
        entity = from_pandas(frame, name=name, targets="label", digest=digest)._to_mlflow_entity()
        given = DatasetInput(entity, [InputTag("mlflow.data.context", context)])
        self._log(lambda client, run_id: self._store.once_more(lambda: client.log_inputs(run_id, datasets=[given])))

    def register(self, folder: Path, model: str, description: str, tags: Mapping[str, Any]) -> str:
        """Log an exported folder and register it, see `registry.register`; return its version."""
        known = {**tags, RUN: self.id}
        return self._store.attempt(lambda: register(self._store, self.here(), folder, model, description, known))

    def version(self, run_id: str) -> str:
        """Return the model and version that a run registered, `stance/3`; empty where there is none."""
        found = self._store.attempt(lambda: version_of(self._store, run_id))
        return f"{found.name}/{found.version}" if found else ""

    def child(self, name: str, run_id: str = "") -> AbstractContextManager[Run]:
        """Open a run below this one, or an earlier one again, with the same tags."""
        return _open(self._store, self._experiment, name, self._tags, self, run_id)

    def close(self, status: str) -> None:
        """End the run."""
        self._log(lambda client, run_id: client.set_terminated(run_id, status))


def run(
    name: str, *, experiment: str = EXPERIMENT, tags: Mapping[str, str] | None = None, run_id: str = ""
) -> AbstractContextManager[Run]:
    """Open a run, or an earlier one again; InputError if the store has it not."""
    return _open(Store(tracking_uri()), experiment, name, tags or {}, None, run_id)


@contextmanager
def _open(
    store: Store, experiment: str, name: str, tags: Mapping[str, str], parent: Run | None, run_id: str
) -> Iterator[Run]:
    earlier = find_run(store, run_id) if run_id else None
    opened = Run(store, experiment, name, tags, parent, earlier.run_id if earlier else "")
    done = earlier is not None and earlier.status == "FINISHED"  # what is added to such a run leaves its end alone
    try:
        yield opened
    except BaseException as error:
        if not done:
            with suppress(InputError):  # a store that does not answer is what went wrong, or comes after it
                opened.close("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    if not done:
        opened.close("FINISHED")


@dataclass(frozen=True)
class Recorded:
    """What MLflow holds of a training that is over."""

    run_id: str
    tags: dict[str, str]
    metrics: dict[str, dict[str, float]]  # of each candidate, by its name
    config: Path  # the config in a file
    requirements: tuple[str, ...]  # what was installed, `name==version`


def read_run(run_id: str, folder: Path) -> Recorded:
    """Read a training by its run, or by that of one of its candidates, and put its config into a folder.

    InputError if the store has it not, or it holds no config.
    """
    store = Store(tracking_uri())
    with store.asked():
        run = store.client.get_run(find_run(store, run_id).run_id)
        if parent := run.data.tags.get(PARENT):
            run = store.client.get_run(parent)
        own = run.info.run_id
        if missing := {CONFIG, REQUIREMENTS} - {file.path for file in store.client.list_artifacts(own)}:
            what = f"run {own} holds no {' and no '.join(sorted(missing))}"
            raise InputError(f"MLflow store {store.uri}", what, expected="a run of `stance train` of this release")
        (folder := folder / own).mkdir(parents=True, exist_ok=True)
        for name in (CONFIG, REQUIREMENTS):
            store.client.download_artifacts(own, name, str(folder))
        children = store.client.search_runs([run.info.experiment_id], f"tags.`{PARENT}` = '{own}'")
    metrics = {child.info.run_name: dict(child.data.metrics) for child in children}
    installed = (folder / REQUIREMENTS).read_text(encoding="utf-8").splitlines()
    return Recorded(own, dict(run.data.tags), metrics, folder / CONFIG, tuple(installed))


def find_run(store: Store, run_id: str) -> Any:
    """Return the info of an earlier run in this store, by itself or as it was kept before it was sent."""
    where = f"MLflow store {store.uri}"
    with store.asked():
        info = store.find(run_id) or find_sent(store, run_id)
    if info is None:
        then = "it began in another store; set MLFLOW_TRACKING_URI to log there"
        raise InputError(where, f"has no run {run_id}", then=then)
    if info.lifecycle_stage == "deleted":
        raise InputError(where, f"run {run_id} was deleted", then="restore it in the UI, or train again")
    return info


def find_sent(store: Store, run_id: str) -> Any:
    """Return the info of the run that was kept under this id and sent here; None if there is none."""
    experiments = [entry.experiment_id for entry in store.client.search_experiments()]
    found = store.client.search_runs(experiments, f"tags.`{KEPT_AS}` = '{run_id}'", max_results=1)
    return found[0].info if found else None
