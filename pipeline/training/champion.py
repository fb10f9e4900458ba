"""The one owner of the change of champion: folders, aliases and the run's status change together.

Before anything moves, a journal beside the models says what will. A change that fails is undone; one that was
killed is finished by whatever command comes next (`recover`).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline import tracking
from pipeline.bundle import read_manifest
from pipeline.data.files import write_whole
from pipeline.errors import InputError

# Who a folder is. The hidden ones: a model that is not compared yet, and what is on its way while a change goes on.
Role = Literal["champion", "previous", "challenger", "staged", "retired", "returning"]
HIDDEN = ("staged", "retired", "returning")
JOURNAL = ".change.json"
# What an alias may not be: MLflow keeps the first two, we the others.
RESERVED = re.compile(r"latest|v\d+|(.*-)?(previous|challenger)", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Where a config exports its models to, and what the registry calls them."""

    folder: Path

    def path(self, role: Role) -> Path:
        """Return the folder of a role: `models/full`, `models/full.previous`, `models/.full.staged`."""
        dot = "." if role in HIDDEN else ""
        return self.folder if role == "champion" else self.folder.with_name(f"{dot}{self.folder.name}.{role}")

    @property
    def journal(self) -> Path:
        """The file that says what is being changed; there is none at rest."""
        return self.folder.with_name(f".{self.folder.name}{JOURNAL}")

    @property
    def name(self) -> str:
        """What the registry calls it: the path below models/; a folder that lies elsewhere has no such name."""
        path, models = self.folder.absolute(), Path("models").absolute()
        if path.is_relative_to(models):
            return "-".join(path.relative_to(models).parts)
        root = Path.cwd() if path.is_relative_to(Path.cwd()) else path.anchor
        return "-".join(["elsewhere", *path.relative_to(root).parts])

    def alias(self, role: Role) -> str:
        """Return the alias of a role: of models/champion `champion`, of models/full `full`, `full-previous`."""
        if self.name == "champion":
            return role
        return self.name if role == "champion" else f"{self.name}-{role}"

    def check_alias(self, where: str) -> None:
        """Check that MLflow takes the name as an alias, and that it is no other one; else InputError."""
        if RESERVED.fullmatch(self.name) or not re.fullmatch(r"[\w-]{1,200}", self.name):
            names = "letters, digits, _ and -; not `latest`, not a version such as `v2`, not `previous` or `challenger`"
            raise InputError(where, f"{self.name!r} cannot be an alias of the registered model", expected=names)


class Change(BaseModel):
    """What the journal holds: folders that move, and what the registry must learn of it."""

    model_config = ConfigDict(extra="forbid")

    moves: tuple[tuple[Role, Role], ...]
    store: str
    registered_model: str
    run_id: str = ""  # of the training, in that store: it ends when the change is complete
    status: Literal["FINISHED", "FAILED"] = "FINISHED"  # that the run gets then
    params: dict[str, str] = {}
    done: int = 0  # how many of the moves

    @property
    def roles(self) -> list[Role]:
        """Whose aliases change."""
        return [role for role in ("champion", "previous", "challenger") if any(role in move for move in self.moves)]

    def undone(self) -> Change:
        """Return the change that takes back the moves that were made; the next one may have been made too."""
        made = self.moves[: self.done + 1]
        back = tuple((target, source) for source, target in reversed(made))
        return self.model_copy(update={"moves": back, "done": 0, "status": "FAILED", "params": {}})


@contextmanager
def export_lock(place: Place) -> Iterator[None]:
    """Wait until no other command changes this place; what a killed one left half done is finished first."""
    from filelock import FileLock

    place.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.folder.with_name(f".{place.folder.name}.lock")):
        if (change := _read(place)) is not None:
            _finish(place, change)
        shutil.rmtree(place.path("retired"), ignore_errors=True)
        yield


def recover(folder: Path) -> None:
    """Finish what a killed command began among the models beside a folder; one look where there is nothing.

    InputError if the registry cannot learn of it yet: the folders are in order then, and the next command tries again.
    """
    for journal in sorted(folder.parent.glob(f".*{JOURNAL}")):
        with export_lock(Place(journal.with_name(journal.name.removeprefix(".").removesuffix(JOURNAL)))):
            pass


def install(place: Place, run: tracking.Run, registered_model: str, *, promoted: bool, verdict: str) -> None:
    """Make the staged model champion, and the champion the previous one; or let it wait as challenger.

    The run ends with it. Call it under `export_lock`.
    """
    moves: list[tuple[Role, Role]] = [("challenger", "retired"), ("staged", "challenger")]
    if promoted:
        replaced: list[tuple[Role, Role]] = [("previous", "retired"), ("champion", "previous")]
        moves = [*(replaced if place.folder.exists() else []), ("staged", "champion")]
    there = tuple(move for move in moves if place.path(move[0]).exists())
    store, run_id = run.place
    params = {"promoted": verdict}
    _carry_out(place, Change(moves=there, store=store, registered_model=registered_model, run_id=run_id, params=params))


def discard(place: Place) -> None:
    """Throw the staged model away. Call it under `export_lock`."""
    shutil.rmtree(place.path("staged"), ignore_errors=True)


def rollback(place: Place, registered_model: str) -> tuple[str, str]:
    """Exchange champion and previous; return the champion's run and its registered version, empty where it has none.

    InputError if there is nothing to return to.
    """
    with export_lock(place):
        previous = place.path("previous")
        if not previous.exists():
            raise InputError(previous, "there is no previous champion to return to", then="see `stance ui`")
        run_id = read_manifest(previous).run_id
        if tracking.waiting():
            raise InputError("this project", "holds runs that their server does not know", then="run `stance sync`")
        moves: tuple[tuple[Role, Role], ...] = (("previous", "returning"), ("returning", "champion"))
        if place.folder.exists():
            moves = (moves[0], ("champion", "previous"), moves[1])
        change = Change(moves=moves, store=tracking.tracking_uri(), registered_model=registered_model)
        return run_id, _carry_out(place, change)["champion"]


def mirror(folder: Path, registered_model: str, alias: str) -> None:
    """Let the registry say what the folders say, after a server has learned of models that were kept from it."""
    place = Place(folder)
    roles: tuple[Role, ...] = ("challenger",) if alias == place.alias("challenger") else ("champion", "previous")
    with export_lock(place):
        _tell(place, roles, tracking.Registry(tracking.tracking_uri(), registered_model))


def describe_folder(folder: Path) -> dict[str, Any]:
    """Return the tags of the registered version of an exported model."""
    manifest = read_manifest(folder)
    columns = ("text", "target") if manifest.targets else ("text",)
    return {tracking.LABELS: manifest.label_names, tracking.COLUMNS: columns}


def run_of(folder: Path) -> str:
    """Return the run that made an exported model; empty where it cannot be known."""
    try:
        return read_manifest(folder).run_id
    except InputError:
        return ""


def _carry_out(place: Place, change: Change) -> dict[Role, str]:
    registry = tracking.Registry(change.store, change.registered_model)  # or nothing is touched
    _write(place, change)
    try:
        versions = _finish(place, change, registry)
    except BaseException:
        undoing = change.undone()
        _write(place, undoing)
        with suppress(InputError):  # the journal stays, and the next command undoes the rest
            _finish(place, undoing, registry)
        raise
    shutil.rmtree(place.path("retired"), ignore_errors=True)
    return versions


def _finish(place: Place, change: Change, registry: tracking.Registry | None = None) -> dict[Role, str]:
    """Carry a change on from where it stands; every step may be repeated."""
    for source, target in change.moves[change.done :]:
        _move(place.path(source), place.path(target))
        change.done += 1
        _write(place, change)
    registry = registry or tracking.Registry(change.store, change.registered_model)
    versions = _tell(place, change.roles, registry)
    if change.run_id:
        registry.end_run(change.run_id, change.status, change.params)
    place.journal.unlink()  # with it the change is complete; till then what was replaced is there to be put back
    return versions


def _move(source: Path, target: Path) -> None:
    """Move a folder, unless that happened without the journal's knowing."""
    if source.exists() and not target.exists():
        try:
            source.rename(target)
        except OSError as error:
            raise InputError(source, f"cannot be moved to {target.name} ({error.strerror})") from None


def _tell(place: Place, roles: Sequence[Role], registry: tracking.Registry) -> dict[Role, str]:
    return {role: registry.point(place.alias(role), run_of(place.path(role))) for role in roles}


def _write(place: Place, change: Change) -> None:
    with write_whole(place.journal) as partial:
        partial.write_text(change.model_dump_json(), encoding="utf-8")


def _read(place: Place) -> Change | None:
    try:
        return Change.model_validate_json(place.journal.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        then = "see that the folders beside it are whole, and remove it"
        raise InputError(place.journal, "is no journal of a change of champion", then=then) from None
