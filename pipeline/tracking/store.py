"""The MLflow store: the one in this folder, or a server; and the one that keeps what a server did not take."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.errors import InputError

if TYPE_CHECKING:
    from sqlite3 import Connection

EXPERIMENT = "stance"
# What could not be sent lies here, itself an MLflow store, until `stance sync`.
UNSENT = Path(".cache/unsent")
ARTIFACTS = "mlartifacts"
PATIENCE = 10.0  # seconds that another process may hold the sqlite store
# Where a sqlite store names the folder of its artifacts.
LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
T = TypeVar("T")


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, or the sqlite store in this folder by its absolute path."""
    return os.environ.get("MLFLOW_TRACKING_URI") or local_uri(Path("."))


def local_uri(folder: Path) -> str:
    """Return the URI of the sqlite store of a folder; InputError where a URI cannot name it."""
    file = folder.absolute() / "mlflow.db"
    if odd := {"?", "%"} & set(str(file)):
        what = f"MLflow cannot keep a store in a folder with {min(odd)!r} in its path"
        raise InputError(file.parent, what, then="rename it, or set MLFLOW_TRACKING_URI")
    return f"sqlite:///{file}"


def database_of(uri: str) -> Path | None:
    """Return the file of a sqlite store; None for a server."""
    return Path(uri.partition("?")[0].removeprefix("sqlite:///")).absolute() if uri.startswith("sqlite:") else None


def existing(uri: str) -> str:
    """Return the URI; where its sqlite file is gone, as in a moved project, that of the store in this folder."""
    file = database_of(uri)
    return tracking_uri() if file and not file.exists() else uri


def load_mlflow() -> Any:
    """Import mlflow, silent and without telemetry."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # A server that is down is given half a minute, not four.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # errors reach us as exceptions
    return mlflow


class Store:
    """An open store; its client and URI change when a server stops answering."""

    def __init__(self, uri: str) -> None:
        """Open the store at a URI; InputError if it does not answer or cannot be written."""
        self.mlflow = load_mlflow()
        from sqlalchemy.exc import SQLAlchemyError  # comes with mlflow, which is named where it is missing

        self._failures = (self.mlflow.exceptions.MlflowException, SQLAlchemyError, OSError)
        self._open(uri)

    def _open(self, uri: str) -> None:
        self.uri, self._experiments = uri, dict[str, str]()
        if file := database_of(uri):
            file.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if file:
                _check_database(file)
            self.use()
            # It creates the tables of a fresh store when it is first asked something.
            self.client = self.mlflow.MlflowClient(uri)
            with self.asked():
                self.client.get_experiment_by_name(EXPERIMENT)

    def _lock(self) -> Any:
        """Lock it for other processes: those that create a fresh sqlite store at once break it."""
        from filelock import FileLock

        file = database_of(self.uri) or Path(".cache/mlflow")
        file.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{file}.lock")

    def experiment(self, name: str) -> str:
        """Return the id of an experiment, which is created if need be; InputError if it was deleted."""
        if name in self._experiments:
            return self._experiments[name]
        with self._lock():
            if self.client.get_experiment_by_name(name) is None:
                file = database_of(self.uri)
                try:
                    self.client.create_experiment(name, file.with_name(ARTIFACTS).as_uri() if file else None)
                except self.mlflow.exceptions.MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":  # on a server, another machine was first
                        raise
            known = self.client.get_experiment_by_name(name)
        if known.lifecycle_stage == "deleted":
            restore = f"`mlflow experiments restore -x {known.experiment_id}`"
            then = f"{restore}, or give the config another `registered_model`"
            raise InputError(f"MLflow store {self.uri}", f"its experiment {name!r} was deleted", then=then)
        return self._experiments.setdefault(name, str(known.experiment_id))

    def once_more(self, action: Callable[[], T]) -> T:
        """Do something, and again where it failed because somebody else stored the same at this very moment."""
        try:
            return action()
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code != "BAD_REQUEST":  # as MLflow calls what a database refuses
                raise
        return action()

    def find(self, run_id: str) -> Any:
        """Return the info of a run, None where there is none."""
        try:
            return self.client.get_run(run_id).info
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def use(self) -> None:
        """Make it the store of MLflow's own functions; MLFLOW_TRACKING_URI, which they would set, stays."""
        before = os.environ.get("MLFLOW_TRACKING_URI")
        self.mlflow.set_tracking_uri(self.uri)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Turn failures of the store into an InputError: it does not answer as it should."""
        try:
            yield
        except self._failures as error:
            then = "" if database_of(self.uri) else "check MLFLOW_TRACKING_URI"
            raise InputError(f"MLflow store {self.uri}", _first_line(error), then=then) from None

    def attempt(self, action: Callable[[], T]) -> T:
        """Do something with the store; if a server does not answer, do it with the store that keeps it."""
        if not database_of(self.uri):
            try:
                return action()
            except self._failures as error:
                why = f"{_first_line(error)}; what follows is kept in {UNSENT}/, send it with `stance sync`"
                sys.stderr.write(f"\nMLflow store {self.uri}: {why}\n")
                self._open(local_uri(UNSENT))
        with self.asked():
            return action()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _check_database(file: Path) -> None:
    """Find at once what MLflow finds after minutes: no database, no right to write, another process that holds it."""
    import sqlite3

    try:
        with closing(sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            _follow(database, file.with_name(ARTIFACTS).as_uri())
            database.execute("COMMIT")
    except sqlite3.OperationalError as error:
        then = "wait for the process that uses it, then run this again" if "locked" in str(error) else ""
        raise InputError(file, str(error), then=then) from None
    except sqlite3.DatabaseError as error:
        raise InputError(file, str(error), then="put a copy of it back, or move it away to begin a new one") from None


def _follow(database: Connection, here: str) -> None:
    """Let the artifacts of a project that was moved or copied be those of the folder that it is in now."""
    columns = "SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns"
    known = set(LOCATIONS) & set(database.execute(columns))
    if LOCATIONS[0] not in known:  # a fresh store
        return
    moved = "SELECT artifact_location FROM experiments WHERE artifact_location LIKE ? AND artifact_location != ?"
    for (before,) in database.execute(moved, (f"file:%/{ARTIFACTS}", here)).fetchall():
        for table, column in known:
            update = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} || '/' LIKE ? || '/%'"  # noqa: S608 - our own words
            database.execute(update, (here, len(before) + 1, before))
