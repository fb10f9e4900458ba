"""One trial after the other: each a candidate, cross-validated fold by fold on the folds that training uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline import tracking
from pipeline.config import Candidate, Config
from pipeline.data.dataset import Example
from pipeline.progress import ProgressCallback, step_of
from pipeline.scoring import metrics
from pipeline.training.scores import tracked_scores
from pipeline.training.selection import ALWAYS, CandidateResult, cross_validate
from pipeline.training.tuning.space import Search
from pipeline.training.tuning.study import Study


@dataclass(frozen=True)
class Trial:
    """What came out of one trial."""

    candidate: str
    number: int  # from 1
    options: dict[str, Any]
    macro_f1: metrics.Interval | None = None  # None where it did not come to its end
    ended: str = ""  # why it did not

    @property
    def value(self) -> float:
        """Macro-F1, 0 where there is none."""
        return self.macro_f1.value if self.macro_f1 else 0.0


@dataclass(frozen=True)
class Tuned:
    """What came out of the trials of one candidate."""

    candidate: Candidate  # with the best options
    before: metrics.Interval  # macro-F1 with the options that it had
    trials: tuple[Trial, ...]  # in their order
    best: tuple[Trial, ...]  # those that came to their end, best first
    importances: dict[str, float]
    verdict: str


@dataclass(frozen=True)
class Course:
    """The rows and folds that every trial runs over."""

    config: Config
    rows: Sequence[Example]
    folds: np.ndarray  # shape (n,)
    real: bool  # whether there is enough real text to choose by

    @property
    def count(self) -> int:
        """How many folds there are."""
        return int(self.folds.max()) + 1

    def run(self, candidate: Candidate, on_progress: ProgressCallback) -> Iterator[CandidateResult]:
        """Yield what is known after each fold; the last is what training finds."""
        for number in range(self.count):

            def told(share: float, words: str, number: int = number) -> None:
                # Folds that ran before come from the cache, so this is the share of the last one.
                inside = max(0.0, share * (number + 1) - number)
                step = words.partition(", ")[2]
                on_progress((number + inside) / self.count, f"fold {number + 1} of {self.count}, {step}")

            folds = np.where(self.folds <= number, self.folds, ALWAYS)
            yield cross_validate(candidate, self.rows, folds, self.config, told)

    def selection_mask(self, result: CandidateResult) -> np.ndarray:
        """Return the rows to choose by: real text where there is enough of it, as in training; shape (n,)."""
        return result.real if self.real else np.ones_like(result.real)

    def score(self, result: CandidateResult) -> metrics.Interval | None:
        """Return macro-F1 on the rows to choose by, None where the first folds hold none."""
        return result.macro_f1(self.selection_mask(result), self.config.selection.resamples)

    def compare(self, before: CandidateResult, after: CandidateResult) -> str:
        """Say how much more the second scores on the same rows, and whether that is shown."""
        rows = self.selection_mask(before)
        groups = [example.group for example, kept in zip(before.examples, rows, strict=True) if kept]
        gain = metrics.paired_difference(
            *(before.y_true[rows], before.y_pred[rows], after.y_pred[rows], groups, len(self.config.label_names)),
            resamples=self.config.selection.resamples,
        )
        points = f"{100 * gain.value:.1f} points above its options as they were, 95 % interval "
        points += f"{100 * gain.low:.1f} to {100 * gain.high:.1f}"
        return points if gain.low > 0 else f"{points}: it holds zero, so no difference is shown"


def search(
    wanted: Search,
    study: Study,
    course: Course,
    total: int,
    on_progress: ProgressCallback,
    on_result: Callable[[Trial], None],
    run: tracking.Run,
) -> Tuned:
    """Score a candidate as it is, run the trials that are still to be run, and compare the best with it."""
    name = wanted.candidate.name

    def on_step(step: int, prefix: str) -> ProgressCallback:
        return step_of(on_progress, step, total + 1, f"{name} {prefix}: ")

    *_, before = course.run(wanted.candidate, on_step(0, "as it is"))
    while (done := len(study.finished)) < total:
        on_result(_try(wanted, study, course, on_step(done + 1, f"trial {done + 1} of {total}"), run))
    trials = tuple(_recall(name, number, found) for number, found in enumerate(study.finished, start=1))
    best = tuple(sorted((trial for trial in trials if trial.macro_f1), key=lambda trial: -trial.value))
    score = course.score(before)
    assert score
    if not best or best[0].value <= score.value:
        verdict = "no trial scores higher than its options as they were, and those stay"
        return Tuned(wanted.candidate, score, trials, best, study.importances(), verdict)
    tuned = wanted.place(best[0].options)
    *_, after = course.run(tuned, on_step(total, f"trial {best[0].number} again"))
    return Tuned(tuned, score, trials, best, study.importances(), course.compare(before, after))


def _try(wanted: Search, study: Study, course: Course, on_progress: ProgressCallback, run: tracking.Run) -> Trial:
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


def _recall(name: str, number: int, found: dict[str, Any]) -> Trial:
    score = found["macro_f1"]
    return Trial(name, number, found["options"], score and metrics.Interval(**score), found["ended"])
