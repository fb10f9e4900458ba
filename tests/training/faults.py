"""A change of champion, stopped at each of its steps: kill -9, Ctrl-C, a registry that fails.

Run as a program in a project that `test_champion.py` wrote. It imports what is slow once and forks for each step: the
child changes a copy of the project and is stopped before step number n; another child is the next command.
"""

import json
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline import tracking
from pipeline.errors import InputError
from pipeline.training import champion

CHAMPION = Path("models/champion")
REGISTRY = ("set_registered_model_alias", "delete_registered_model_alias", "log_param", "set_terminated")


def change(action):
    """Do what is to be stopped; the staged model is that of the run `new`."""
    place = champion.Place(CHAMPION)
    if action == "rollback":
        champion.rollback(place, "stance")
        return
    run = SimpleNamespace(place=(tracking.tracking_uri(), json.loads(Path("runs.json").read_text())["new"]))
    with champion.export_lock(place):
        champion.install(place, run, "stance", promoted=action == "promote", verdict="yes")


def stop_before(number, fault):
    """Let a fault happen before the n-th step, counted over all that touches a folder, the journal or the registry."""
    steps = []

    def stop(name):
        steps.append(name)
        if fault == "registry" and len(steps) >= number:  # and it stays down
            raise MlflowException("database is locked")
        if fault == "kill" and len(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "interrupt" and len(steps) == number:
            raise KeyboardInterrupt

    def watch(owner, name, counts=lambda *given: True):
        real = getattr(owner, name)

        def stepped(*given, **options):
            if counts(*given):
                stop(name)
            return real(*given, **options)

        setattr(owner, name, stepped)

    for name in REGISTRY:
        watch(MlflowClient, name)
    if fault != "registry":
        watch(os, "rename")
        watch(os, "replace")
        watch(os, "unlink", lambda path, *rest: str(path).endswith(champion.JOURNAL))
        watch(shutil, "rmtree")


def story():
    """Return what folders and registry say: run names by role, and the status of the new run."""
    names = {run_id: name for name, run_id in json.loads(Path("runs.json").read_text()).items()}
    place, client = champion.Place(CHAMPION), MlflowClient(tracking.tracking_uri())
    roles = ("champion", "previous", "challenger")
    folders = {role: names[champion.run_of(place.path(role))] for role in roles if place.path(role).exists()}
    aliases = client.get_registered_model("stance").aliases
    registry = {role: names[client.get_model_version("stance", version).run_id] for role, version in aliases.items()}
    run = client.get_run(next(run_id for run_id, name in names.items() if name == "new"))
    return {
        "folders": folders,
        "registry": registry,
        "status": run.info.status,
        "promoted": run.data.params.get("promoted", ""),
        "journal": place.journal.exists(),
    }


def forget():
    """Take the aliases away, so that the new model is the first one."""
    client = MlflowClient(tracking.tracking_uri())
    for alias in client.get_registered_model("stance").aliases:
        client.delete_registered_model_alias("stance", alias)


def forked(work):
    """Do something in a child; return what it says, or how it ended."""
    read, write = os.pipe()
    if not (child := os.fork()):
        with suppress(BaseException):
            os.write(write, json.dumps(work()).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    return json.loads(said) if said else f"signal {os.WTERMSIG(status)}"


def attempt(action, number, fault):
    stop_before(number, fault)
    try:
        change(action)
    except KeyboardInterrupt:
        return "interrupted"
    except InputError as error:
        return f"refused: {error}"
    return "done"


def recover(number=0):
    """Be the next command; the n-th step of it is its last."""
    if number:
        stop_before(number, "kill")
    champion.recover(CHAMPION)
    return story()


def stopped_at(project, number, action, fault):
    """Stop a change before a step; then run the next command, killed before its third step, and the next."""
    copy = project.with_name(f"{project.name}-{action}-{fault}-{number}")
    shutil.copytree(project, copy)
    os.chdir(copy)
    if action == "first":
        for folder in copy.glob("models/champion*"):
            shutil.rmtree(folder)
        forked(forget)
    result = forked(lambda: attempt(action if action != "first" else "promote", number, fault))
    then = forked(story)
    forked(lambda: recover(3))
    after = forked(recover)
    return {"number": number, "result": result, "then": then, "after": after}


if __name__ == "__main__":
    where, *wanted = sys.argv[1:]
    os.chdir(where)
    story()  # what is slow the first time is done before the first fork
    for case in wanted:
        action, fault = case.split(":")
        number, result = 0, ""
        while result != "done":
            number += 1
            found = stopped_at(Path(where), number, action, fault)
            result = found["result"]
            sys.stdout.write(json.dumps({"action": action, "fault": fault} | found) + "\n")
            sys.stdout.flush()
