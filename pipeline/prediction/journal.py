"""The unfinished output of a batch: it grows by commits, and the same batch goes on from the last one.

It lies beside the output as the hidden folder `.NAME.partial`: rows, rejects and ids of articles
only ever grow at their ends, and a small state, replaced as a whole, says up to where they count.
Whatever stood beyond that when the process died is cut off.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.data.files import write_whole
from pipeline.errors import InputError
from pipeline.prediction.forms import CONVERTED, encode, header
from pipeline.prediction.reading import Chunk

if TYPE_CHECKING:
    from filelock import FileLock

FILES = ("rows", "rejects", "dropped", "ids")
# What a batch is, and how one that differs is called.
IDENTITY = {
    "inputs": "with other inputs, or they have changed since",
    "model": "with another model",
    "unit": "with another --unit",
    "abstain": "with the other setting of --abstain",
    "exact": "with --exact, or now is",
    "program": "by another version of this program or its libraries",
    "chunk": "by another version of this program or its libraries",
}


def hidden_folder(output: Path) -> Path:
    """Return the folder that holds an output while it is unfinished."""
    return output.with_name(f".{output.name}.partial")


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Say in one line what keeps an output from being written."""
    try:
        yield
    except OSError as error:
        then = "then the same command goes on from there" if (hidden_folder(output) / "state").exists() else ""
        what, expected = error.strerror or str(error), "a place that can be written to"
        raise InputError(output, what, expected=expected, then=then) from None


def lock_folder(output: Path) -> tuple[Path, FileLock]:
    """Return the hidden folder of an unfinished output, and its lock; InputError if another process holds that."""
    from filelock import FileLock, Timeout

    folder = hidden_folder(output)
    lock = FileLock(folder / "lock", timeout=0)
    with writing(output):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise InputError(output, "another process is writing it", then="wait for it, or stop it") from None
    return folder, lock


def publish_list(lines: Path, target: Path | None) -> None:
    """Copy a list to its place, if it has one; where it is empty, an earlier one goes."""
    if target and lines.stat().st_size:
        with write_whole(target) as new:
            shutil.copyfile(lines, new)
    elif target:
        target.unlink(missing_ok=True)


class Journal:
    """Opened by one process at a time; what is committed outlives it."""

    def __init__(self, output: Path, columns: Sequence[str], batch: dict[str, object], restart: bool = False) -> None:
        """Open the journal of an output, and take up the batch that is in it; InputError if that is another one.

        A batch is known by the names in IDENTITY; `restart` throws away what is there.
        """
        self._output, self._columns, self._batch = output, columns, batch
        self.state: dict[str, Any] = {}  # of the last commit
        self.folder, self._lock = lock_folder(output)
        self._state_file = self.folder / "state"
        try:
            with writing(output):
                self.state = {} if restart else self._read_state()
                if not self.state:
                    self._state_file.unlink(missing_ok=True)
                self._lengths: dict[str, int] = self.state.get("lengths", dict.fromkeys(FILES, 0))
                for name in FILES:  # what stands beyond the last commit does not count
                    with (self.folder / name).open("ab") as stream:
                        stream.truncate(self._lengths[name])
        except BaseException:
            self.close()
            raise

    def _read_state(self) -> dict[str, Any]:
        """Return the state of the last commit, {} if there is none."""
        then = "--restart throws it away"
        try:
            state: dict[str, Any] = json.loads(self._state_file.read_bytes())
            if not (self.folder / "rows").exists():
                return {}  # its last act was to become the output
            short = [name for name in FILES if (self.folder / name).stat().st_size < state["lengths"][name]]
        except FileNotFoundError:
            return {}
        except (ValueError, LookupError, TypeError):
            raise InputError(self._state_file, "is no state of an unfinished batch", then=then) from None
        if short:
            raise InputError(self.folder / short[0], "is shorter than what was written to it", then=then)
        for key, words in IDENTITY.items():
            if state["batch"].get(key) != self._batch[key]:
                then = "the command it was begun with continues it, --restart throws it away"
                raise InputError(self._output, f"an unfinished batch was begun {words}", then=then)
        return state

    def ids(self) -> set[str]:
        """Return the ids of all articles that were committed."""
        with (self.folder / "ids").open("rb") as stream:
            return {json.loads(line) for line in stream}

    def commit(self, chunk: Chunk, rows: Sequence[dict[str, Any]], **progress: Any) -> None:
        """Append what came of a chunk, and then replace the state: all of it counts from now on, or nothing."""
        with writing(self._output):
            head = b"" if self.state else header(self._output.name, self._columns)
            self._append("rows", head + encode(rows, self._output.name, self._columns))
            self._append("rejects", encode(map(vars, chunk.rejects), "rejects.jsonl", ("where", "why")))
            self._append("dropped", encode(chunk.dropped, "dropped.jsonl", ()))
            self._append("ids", "".join(json.dumps(key) + "\n" for key in chunk.ids).encode())
            self.state = {"batch": self._batch, "lengths": self._lengths, "cursor": chunk.cursor, **progress}
            with write_whole(self._state_file) as new:
                new.write_text(json.dumps(self.state), encoding="utf-8")

    def _append(self, name: str, content: bytes) -> None:
        if content:
            with (self.folder / name).open("ab") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            self._lengths[name] += len(content)

    def finish(self, rejected: Path, dropped: Path | None, *, has_rows: bool) -> None:
        """Put rejects, dropped lines and rows in their places, the rows last; without a row the output stays."""
        rows, copy = self.folder / "rows", self.folder / "copy"
        with writing(self._output):
            publish_list(self.folder / "rejects", rejected)
            publish_list(self.folder / "dropped", dropped)
            if not has_rows:
                rows.unlink(missing_ok=True)
            elif convert := CONVERTED.get(self._output.suffix.lower()):
                convert(rows, copy, self._columns, int(str(self._batch["chunk"])))
                copy.replace(self._output)
                rows.unlink()
            else:
                rows.replace(self._output)
        self.state = {}

    def close(self) -> None:
        """Let go of the journal; nothing is left of one that is finished or holds nothing."""
        if not self.state and not self._state_file.exists() or not (self.folder / "rows").exists():
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()
