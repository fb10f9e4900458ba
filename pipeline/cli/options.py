"""What commands share: options by one name, and how long work ends when it is stopped."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import InputError


def settle(model: Path) -> Path:
    """Finish a change of champion that was killed; a registry that cannot learn of it yet keeps no model from use."""
    from pipeline.training.champion import recover

    try:
        recover(model)
    except InputError as error:
        sys.stderr.write(f"stance: {error}\n")
    return model


ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The YAML file that says what to do.")]
Model = Annotated[Path, typer.Option("--model", "-m", help="An exported model.", callback=settle)]
DEFAULT_CONFIG, DEFAULT_MODEL = Path("configs/default.yaml"), Path("models/champion")


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
