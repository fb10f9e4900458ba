"""One trial after the other: each a candidate, cross-validated fold by fold on the folds that training uses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline import tracking
from pipeline.config import Candidate
from pipeline.evaluation.comparison import describe_gain
from pipeline.progress import ProgressCallback, on_epoch, step_of
from pipeline.scoring.bootstrap import Interval
from pipeline.training.scores import describe_candidate, tracked_scores
from pipeline.training.tuning.course import Course
from pipeline.training.tuning.study import Study, TrialResult

if TYPE_CHECKING:
    import optuna

FOLD = 1000  # steps of the pruner from one fold to the next: epochs lie between


@dataclass(frozen=True)
class Tuned:
    """What came out of the trials of one candidate."""

    candidate: Candidate  # with the best options
    before: Interval  # macro-F1 with the options that it had
    trials: tuple[TrialResult, ...]  # in their order
    importances: dict[str, float]  # of options
    verdict: str = "no trial scores higher than its options as they were, and those stay"

    @property
    def best(self) -> list[TrialResult]:
        """The trials that came to their end, best first."""
        return sorted((trial for trial in self.trials if trial.macro_f1), key=lambda trial: -trial.value)


def search(
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
    end, given, name = time.monotonic() + seconds, study.search.candidate, study.search.candidate.name
    *_, before = course.run(given, step_of(on_progress, 0, total + 1, f"{name} as it is: "))
    while (done := len(study.finished)) < total and (not done or time.monotonic() < end):
        step = step_of(on_progress, done + 1, total + 1, f"{name} trial {done + 1} of {total}: ")
        on_result(_try(study, course, step, run))
        highest = max(trial.value for trial in study.finished)
        run.metrics({f"{name}.best_macro_f1": highest}, step=done + 1)  # which MLflow draws
    score = course.score(before)
    assert score
    tuned = Tuned(given, score, tuple(study.finished), study.importances())
    run.metrics({f"{name}.importance.{option}": share for option, share in tuned.importances.items()})
    if not tuned.best or tuned.best[0].value <= score.value:
        return tuned
    best = study.search.place(tuned.best[0].options)
    *_, after = course.run(best, step_of(on_progress, total, total + 1, f"{name}, its best trial again: "))
    verdict = f"{describe_gain(course.gain(before, after), 'its best trial')}, against its options as they were"
    return replace(tuned, candidate=best, verdict=verdict)


class _Stopped(Exception):
    """A trial that falls behind the others."""


def _try(study: Study, course: Course, on_progress: ProgressCallback, run: tracking.Run) -> TrialResult:
    """Run one trial in its own MLflow run; what scikit-learn cannot fit is a failed trial, and no end of the study."""
    (trial, candidate, run_id), score, ended = study.ask(), None, ""
    try:
        with run.child(f"{candidate.name} {len(study.finished) + 1}", run_id) as child:
            trial.set_user_attr("run_id", child.id)
            child.params(describe_candidate(candidate))
            try:
                score = _run(candidate, trial, course, on_progress, child)
            except _Stopped as stopped:
                ended = f"stopped after {stopped}"
                child.params({"ended": ended})
    except ValueError as error:
        ended = f"failed: {(str(error).splitlines() or [repr(error)])[0][:200]}"
    return study.tell(trial, score, ended)


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
