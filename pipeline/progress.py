"""Progress of long work: a bar on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

# Off a terminal a line this often, in seconds, is enough to see that work goes on.
PLAIN_INTERVAL = 10.0


class Bar:
    """A share of work that is done, 0 to 1, and words on what is being done."""

    def __init__(self, console: Console | None = None) -> None:
        """Write to standard error, so that results on standard output stay clean."""
        self._console = console or Console(stderr=True)
        self._plain = not self._console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=self._plain,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None)
        self._last = 0.0

    def __enter__(self) -> Bar:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
