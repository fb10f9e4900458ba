"""What commands share: options by one name, hints that can be typed, and how work ends when it is stopped."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.config import Config


def settle(model: Path) -> Path:
    """Finish a change of champion that was killed; a registry that cannot learn of it yet keeps no model from use."""
    from pipeline.training.champion import recover

    try:
        recover(model)
    except InputError as error:
        sys.stderr.write(f"stance: {error}\n")
    return model


ConfigFile = Annotated[Path, Option("--config", "-c", help="The YAML file that says what to do.")]
Model = Annotated[Path, Option("--model", "-m", help="An exported model.", callback=settle)]
DEFAULT_CONFIG, DEFAULT_MODEL = Path("configs/default.yaml"), Path("models/champion")


def read_config(path: Path) -> Config:
    """Read a config when a command runs: what checks it is too slow to import for `--help`."""
    from pipeline.config import read_config

    return read_config(path)


def command(*words: object, config: Path = DEFAULT_CONFIG, model: Path = DEFAULT_MODEL) -> str:
    """Write a command as a person can type it, with the config and the model where they are not the usual ones."""
    named = ["--config", config] if config != DEFAULT_CONFIG else []
    named += ["--model", model] if model != DEFAULT_MODEL else []
    return f"`{shlex.join(['stance', *map(str, [*words, *named])])}`"


@contextmanager
def stoppable(then: str) -> Iterator[None]:
    """End on Ctrl-C and SIGTERM with one line and the shell's exit code, 130 and 143."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as stopped:
        sys.stderr.write(f"stance: stopped; {then}\n")
        raise typer.Exit(128 + (stopped.args or (signal.SIGINT,))[0]) from None
    finally:
        signal.signal(signal.SIGTERM, before)
