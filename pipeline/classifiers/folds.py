"""The steps of cross-validation: divide examples into folds, and score what a fit has not seen, once."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from pipeline.classifiers import Classifier, create
from pipeline.config import Candidate
from pipeline.data.digest import fingerprint
from pipeline.data.examples import Example
from pipeline.data.files import write_whole
from pipeline.progress import ProgressCallback, workspace


@dataclass(frozen=True)
class FoldScores:
    """What a fit gave texts that it had not seen."""

    scores: np.ndarray  # shape (n, k)
    seconds: float  # that fit and scoring took
    fitted: Classifier | None  # None where the scores were remembered


def assign_folds(y: Sequence[object] | np.ndarray, groups: Sequence[str], folds: int, random_state: int) -> np.ndarray:
    """Return the fold of each row, whole groups together and labels spread evenly; shape (n,)."""
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=random_state)
    numbers = np.empty(len(groups), dtype=np.int64)
    for number, (_, held_out) in enumerate(splitter.split(groups, y, groups)):
        numbers[held_out] = number
    return numbers


def with_teachers(candidate: Candidate, candidates: Sequence[Candidate]) -> Candidate:
    """Return a student with its teacher's definition, or that of a teaching ensemble's members, in its options."""
    student = create(candidate)
    if student.combines or not student.parts:
        return candidate
    known = {other.name: other for other in candidates}

    def definitions(name: str) -> list[Candidate]:
        teacher = create(known[name])
        if not teacher.combines:
            return [with_teachers(known[name], candidates)]
        return [single for member in teacher.parts for single in definitions(member)]

    teachers = [teacher for name in student.parts for teacher in definitions(name)]
    return candidate.model_copy(update={"options": candidate.options | {"teachers": teachers}})


def fit_and_score(
    candidate: Candidate,
    examples: Sequence[Example],
    texts: Sequence[str],
    label_names: Sequence[str],
    random_state: int,
    cache: Path | None,
    on_progress: ProgressCallback,
) -> FoldScores:
    """Fit on examples and score texts; what the same code gave on the same data before comes from the cache.

    A student's definition holds its teachers' (`with_teachers`). `cache` is a folder, None to remember nothing;
    `on_progress` is never called where the scores were remembered.
    """
    classifier = create(candidate, random_state)
    file = None
    if cache is not None:
        rows = [[e.input, e.label, e.group, e.origin] for e in examples]
        values = candidate.kind, candidate.options, random_state, label_names, rows, texts
        file = cache / f"{fingerprint({__name__, *classifier.modules}, *values, files=classifier.files)}.npz"
        if file.exists():
            with np.load(file, allow_pickle=False) as stored:
                return FoldScores(stored["scores"], float(stored["seconds"]), None)
    begin = time.perf_counter()
    on_progress(0.0, "fit")
    with _kept_if_killed(file and file.with_suffix("")):
        classifier.fit(examples, label_names, on_progress)
        scores, seconds = classifier.decision_function(texts), time.perf_counter() - begin
        if file is not None:
            with write_whole(file) as partial, partial.open("wb") as stream:
                np.savez(stream, scores=scores, seconds=seconds)
    return FoldScores(scores, seconds, classifier)


@contextmanager
def _kept_if_killed(folder: Path | None) -> Iterator[None]:
    """Give a fit a folder to go on from, unless another process has it; a kill or Ctrl-C alone leaves it there."""
    lock, done = FileLock(folder / "lock") if folder else None, True
    try:
        if lock:
            lock.acquire(timeout=0)
    except Timeout:
        lock = None
    token = workspace.set(folder if lock else None)
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        done = False
        raise
    finally:
        workspace.reset(token)
        if lock:
            lock.release()
            if done:
                shutil.rmtree(str(folder))
