"""One trial after the other: each a candidate, cross-validated fold by fold on the folds that training uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from pipeline import tracking
from pipeline.config import Candidate
from pipeline.progress import ProgressCallback, step_of
from pipeline.scoring.bootstrap import Interval
from pipeline.training.scores import tracked_scores
from pipeline.training.tuning.course import Course
from pipeline.training.tuning.space import Search
from pipeline.training.tuning.study import Study


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
) -> Tuned:
    """Score a candidate as it is, run the trials that are still to be run, and compare the best with it."""
    name = wanted.candidate.name
    *_, before = course.run(wanted.candidate, step_of(on_progress, 0, total + 1, f"{name} as it is: "))
    while (done := len(study.finished)) < total:
        step = step_of(on_progress, done + 1, total + 1, f"{name} trial {done + 1} of {total}: ")
        on_result(_try(wanted, study, course, step, run))
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


def _try(wanted: Search, study: Study, course: Course, on_progress: ProgressCallback, run: tracking.Run) -> TrialResult:
    """Run one trial in its own MLflow run; what scikit-learn cannot fit is a failed trial, and no end of the study."""
    name, number = wanted.candidate.name, len(study.finished) + 1
    trial, options, run_id = study.ask()
    candidate = wanted.place(options)
    score, ended = None, ""
    try:
        with run.child(f"{name} {number}", run_id) as child:
            trial.set_user_attr("run_id", child.id)
            child.params({"candidate": name, "kind": candidate.kind} | candidate.options)
            for fold, result in enumerate(course.run(candidate, on_progress), start=1):
                score = course.score(result)
                if score:
                    child.metrics({"running_macro_f1": score.value}, step=fold)
                    trial.report(score.value, fold)
                if fold < course.count and trial.should_prune():
                    ended = f"stopped after {fold} of {course.count} folds, at {score.value if score else 0:.3f}"
                    child.params({"ended": ended})
                    break
            else:
                child.metrics(tracked_scores(result, course.config))
    except ValueError as error:
        ended = f"failed: {(str(error).splitlines() or [repr(error)])[0][:200]}"
    found = {"options": options, "macro_f1": asdict(score) if score and not ended else None, "ended": ended}
    study.tell(trial, None if ended or not score else score.value, found)
    return _recall(name, number, found)


def _recall(name: str, number: int, found: dict[str, Any]) -> TrialResult:
    score = found["macro_f1"]
    return TrialResult(name, number, found["options"], score and Interval(**score), found["ended"])
