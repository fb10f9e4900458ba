"""Label in the terminal: one sentence a screen, one key an answer, saved after each."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.labelling.exchange import TEXT, read_batch, write_batch

CLEAR, BOLD, DIM, PLAIN = "\x1b[2J\x1b[H", "\x1b[1m", "\x1b[2m", "\x1b[0m"


class Session:
    """A batch while it is labelled: which sentence is up, what was answered, what can be undone."""

    def __init__(self, rows: Sequence[dict[str, Any]], label_names: Sequence[str]) -> None:
        """Begin at the first sentence without a label."""
        self.rows = list(rows)
        self._keys = {str(number): name for number, name in enumerate(label_names, 1)}
        self._open = [i for i, row in enumerate(self.rows) if not row.get("label")]
        self._done: list[int] = []  # answered or skipped in this session, in order
        self._guess_shown = False

    @property
    def current(self) -> dict[str, Any] | None:
        """The sentence that is up, None when all are done."""
        return self.rows[self._open[0]] if self._open else None

    @property
    def labelled(self) -> int:
        """How many sentences have a label."""
        return sum(bool(row.get("label")) for row in self.rows)

    def press(self, key: str, ask: Callable[[str], str]) -> bool:
        """Do what a key says; return whether it changed a row."""
        if key == "u" and self._done:
            self._open.insert(0, self._done.pop())
            self.rows[self._open[0]] |= {"label": "", "time": ""}
            self._guess_shown = False
            return True
        if self.current is None:
            return False
        row, label = self.current, self._keys.get(key)
        if label:
            row.update(label=label, time=datetime.now(UTC).isoformat(timespec="seconds"))
        elif key == "n":
            row["note"] = ask("note: ")
        elif key == "g":
            self._guess_shown = not self._guess_shown
        if label or key == "s":
            self._done.append(self._open.pop(0))
            self._guess_shown = False
        return bool(label) or key == "n"

    def screen(self, width: int) -> str:
        """Return what to show: context, sentence, keys."""
        row, width = self.current, min(width, 88)
        if row is None:
            return f"{CLEAR}All done: {self.labelled} labelled.\n\n[u] undo   [q] quit\n"
        keys = "   ".join(f"{BOLD}[{key}]{PLAIN} {name}" for key, name in self._keys.items())
        source = "  ".join(str(row.get(name) or "") for name in ("title", "outlet", "date")).strip()
        lines = [f"{DIM}{self.labelled} of {len(self.rows)}   {clean(source or row['article_id'])}{PLAIN}", ""]
        lines += [f"{DIM}{line}{PLAIN}" for line in textwrap.wrap(clean(row.get("previous") or ""), width)]
        lines += ["", *(f"{BOLD}{line}{PLAIN}" for line in textwrap.wrap(clean(row["text"]), width)), ""]
        lines += [f"said: {clean(row['votes'])}"] if row.get("votes") else []
        lines += [f"note: {clean(row['note'])}"] if row.get("note") else []
        if self._guess_shown:
            lines.append(f"the model says: {clean(row.get('guess') or 'nothing')} {row.get('confidence') or ''}")
        lines += ["", keys, f"{DIM}[s] skip  [u] undo  [n] note  [g] the model's guess  [q] quit{PLAIN}", ""]
        return CLEAR + "\n".join(lines)


def clean(text: Any) -> str:
    """Return a text without control characters: an article must not steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def label_batch(file: Path, label_names: Sequence[str]) -> tuple[int, int]:
    """Label a batch key by key; the file holds each answer before the next sentence is shown.

    InputError where there is no terminal, no such batch, or another process labels it.

    Returns:
        How many sentences have a label now, and how many there are.

    """
    from filelock import FileLock, Timeout

    if file.suffix.lower() not in TEXT and file.exists():
        then = "fill a workbook in a spreadsheet, or suggest into .csv"
        raise InputError(file, "cannot be labelled in the terminal", expected=", ".join(TEXT), then=then)
    read_batch(file)  # a lock beside a file that is not there would be litter
    if not sys.stdin.isatty():
        raise InputError("stance label", "standard input is no terminal", then="label in a spreadsheet instead")
    lock = FileLock(file.with_name(f".{file.name}.lock"))
    try:
        with lock.acquire(timeout=0):
            session = Session([row.fields for row in read_batch(file)], label_names)
            try:
                _loop(session, lambda: write_batch(file, session.rows, label_names))
            finally:
                Path(lock.lock_file).unlink(missing_ok=True)
    except Timeout:
        raise InputError(file, "is being labelled by another process", then="end that one first") from None
    return session.labelled, len(session.rows)


def _loop(session: Session, save: Callable[[], None]) -> None:
    import typer

    while True:
        sys.stdout.write(session.screen(shutil.get_terminal_size().columns))
        sys.stdout.flush()
        try:
            key = typer.getchar()  # drops what was pressed before it; what is pasted is one key, which means nothing
        except EOFError:
            key = "q"
        if key in ("q", ""):
            sys.stdout.write("\n")
            return
        if session.press(key.lower(), _ask):
            save()


def _ask(words: str) -> str:
    try:
        return clean(input(words)).strip()
    except (EOFError, UnicodeDecodeError):
        return ""
