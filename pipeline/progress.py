"""Progress of long work: a bar on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

# Called while work goes on, with the share that is done, 0 to 1, and words on what is being done.
ProgressCallback = Callable[[float, str], None]
# Off a terminal a line this often, in seconds, is enough to see that work goes on.
PLAIN_INTERVAL = 10.0

# Called with what a fit scores after each epoch, on rows that it does not learn from; it may raise, which ends the fit.
on_epoch: ContextVar[Callable[[float], None]] = ContextVar("on_epoch", default=lambda score: None)
# A folder of its own in which a fit may keep what it goes on from when it was killed, None where it may not.
workspace: ContextVar[Path | None] = ContextVar("workspace", default=None)


def ignore_progress(share: float, words: str) -> None:
    """Show nothing."""


def step_of(on_progress: ProgressCallback, step: int, steps: int, prefix: str = "") -> ProgressCallback:
    """Return the callback of one of several steps that take equally long, counted from 0."""
    return lambda share, words: on_progress((step + share) / steps, prefix + words)


class Bar:
    """A share of work that is done, 0 to 1, and words on what is being done."""

    def __init__(self, console: Console | None = None) -> None:
        """Write to standard error, so that results on standard output stay clean."""
        from rich.console import Console
        from rich.progress import Progress, TimeElapsedColumn

        console = console or Console(stderr=True)
        self._plain, self._last = not console.is_terminal, 0.0
        columns = (*Progress.get_default_columns(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, disable=self._plain, transient=True)
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Bar:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Take the bar away."""
        self._progress.stop()

    def update(self, share: float | None, words: str) -> None:
        """Show how far the work is; None where nobody knows."""
        known: dict[str, Any] = {} if share is None else {"completed": share, "total": 1.0}
        self._progress.update(self._task, description=words, **known)  # without a total, the bar only moves
        if self._plain and time.monotonic() - self._last > PLAIN_INTERVAL:
            self._last = time.monotonic()
            sys.stderr.write(("" if share is None else f"{share:4.0%}  ") + f"{words}\n")
            sys.stderr.flush()
