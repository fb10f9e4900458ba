"""One trial after the other: each a candidate, cross-validated fold by fold on the folds that training uses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipeline import tracking
from pipeline.config import Candidate
from pipeline.progress import ProgressCallback, on_epoch, step_of
from pipeline.scoring.bootstrap import Interval
from pipeline.training.scores import describe_candidate, tracked_scores
from pipeline.training.tuning.course import Course
from pipeline.training.tuning.space import Search
from pipeline.training.tuning.study import Study

if TYPE_CHECKING:
    import optuna

FOLD = 1000  # steps of the pruner from one fold to the next: epochs lie between


@dataclass(frozen=True)
class TrialResult:
    """What came out of one trial."""

    candidate: str
    number: int  # from 1
    options: dict[str, Any]
    macro_f1: Interval | None = None  # None where it did not come to its end
    ended: str = ""  # why it did not

    @property
    def value(self) -> float:
        """Macro-F1, 0 where there is none."""
        return self.macro_f1.value if self.macro_f1 else 0.0


@dataclass(frozen=True)
class Tuned:
    """What came out of the trials of one candidate."""

    candidate: Candidate  # with the best options
    before: Interval  # macro-F1 with the options that it had
    trials: tuple[TrialResult, ...]  # in their order
    best: tuple[TrialResult, ...]  # those that came to their end, best first
    importances: dict[str, float]
    verdict: str


def search(
    wanted: Search,
    study: Study,
    course: Course,
    total: int,
    on_progress: ProgressCallback,
    on_result: Callable[[TrialResult], None],
    run: tracking.Run,
    seconds: float,
) -> Tuned:
    """Score a candidate as it is, run the trials that are still to be run, and compare the best with it.

    One trial is run however few seconds there are; none begins when they are over.
    """
    end = time.monotonic() + seconds
    name = wanted.candidate.name
    *_, before = course.run(wanted.candidate, step_of(on_progress, 0, total + 1, f"{name} as it is: "))
    while (done := len(study.finished)) < total and (not done or time.monotonic() < end):
        step = step_of(on_progress, done + 1, total + 1, f"{name} trial {done + 1} of {total}: ")
        on_result(_try(wanted, study, course, step, run))
        highest = max((found["macro_f1"] or {"value": 0.0})["value"] for found in study.finished)
        run.metrics({f"{name}.best_macro_f1": highest}, step=done + 1)  # which MLflow draws
    run.metrics({f"{name}.importance.{option}": share for option, share in study.importances().items()})
    trials = tuple(_recall(name, number, found) for number, found in enumerate(study.finished, start=1))
    best = tuple(sorted((trial for trial in trials if trial.macro_f1), key=lambda trial: -trial.value))
    score = course.score(before)
    assert score
    if not best or best[0].value <= score.value:
        verdict = "no trial scores higher than its options as they were, and those stay"
        return Tuned(wanted.candidate, score, trials, best, study.importances(), verdict)
    tuned = wanted.place(best[0].options)
    again = step_of(on_progress, total, total + 1, f"{name} trial {best[0].number} again: ")
    *_, after = course.run(tuned, again)
    return Tuned(tuned, score, trials, best, study.importances(), course.describe_gain(before, after))


class _Stopped(Exception):
    """A trial that falls behind the others."""


def _try(wanted: Search, study: Study, course: Course, on_progress: ProgressCallback, run: tracking.Run) -> TrialResult:
    """Run one trial in its own MLflow run; what scikit-learn cannot fit is a failed trial, and no end of the study."""
    name, number = wanted.candidate.name, len(study.finished) + 1
    trial, options, run_id = study.ask()
    score, ended = None, ""
    try:
        with run.child(f"{name} {number}", run_id) as child:
            trial.set_user_attr("run_id", child.id)
            child.params(describe_candidate(wanted.place(options)))
            try:
                score = _run(wanted.place(options), trial, course, on_progress, child)
            except _Stopped as stopped:
                ended = f"stopped after {stopped}"
                child.params({"ended": ended})
    except ValueError as error:
        ended = f"failed: {(str(error).splitlines() or [repr(error)])[0][:200]}"
    found = {"options": options, "macro_f1": asdict(score) if score else None, "ended": ended}
    study.tell(trial, score.value if score else None, found)
    return _recall(name, number, found)


def _run(
    candidate: Candidate, trial: optuna.Trial, course: Course, on_progress: ProgressCallback, child: tracking.Run
) -> Interval | None:
    """Score a candidate fold by fold, and return what it scores in all; _Stopped once it falls behind."""
    fold, epochs = 1, 0

    def report(step: int, score: float, words: str) -> None:
        trial.report(score, step)
        if trial.should_prune():
            raise _Stopped(f"{words}, at {score:.3f}")

    def after_epoch(score: float) -> None:
        nonlocal epochs
        epochs += 1
        child.metrics({"epoch_macro_f1": score}, step=(fold - 1) * FOLD + epochs)
        report((fold - 1) * FOLD + epochs, score, f"epoch {epochs} of fold {fold} of {course.count}")

    token = on_epoch.set(after_epoch)
    try:
        for result in course.run(candidate, on_progress):
            if score := course.score(result):
                child.metrics({"running_macro_f1": score.value}, step=fold)
                if fold < course.count:
                    report(fold * FOLD, score.value, f"{fold} of {course.count} folds")
            fold, epochs = fold + 1, 0
    finally:
        on_epoch.reset(token)
    child.metrics(tracked_scores(result, course.config))
    return score


def _recall(name: str, number: int, found: dict[str, Any]) -> TrialResult:
    score = found["macro_f1"]
    return TrialResult(name, number, found["options"], score and Interval(**score), found["ended"])
