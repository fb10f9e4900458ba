"""What a candidate scores on rows that it has not seen, and the classifier that comes of it in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from pipeline.classifiers import Classifier, create, index_labels
from pipeline.classifiers.ensemble import Ensemble, blend
from pipeline.classifiers.folds import fit_and_score, with_teachers
from pipeline.config import Candidate, Config
from pipeline.data.examples import Example
from pipeline.progress import ProgressCallback, step_of
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.calibration import Calibration, fit_calibration
from pipeline.scoring.decision import DecisionRule, fit_decision_rule
from pipeline.scoring.metrics import MACRO_F1, measure
from pipeline.scoring.predictions import Predictions
from pipeline.training.rows import ALWAYS, exclude_active_samples, is_real, rows_that_count, split_single_fold


@dataclass(frozen=True)
class CandidateResult:
    """A candidate as found on held-out rows; arrays run over `examples`."""

    candidate: Candidate
    examples: tuple[Example, ...]
    y_true: np.ndarray  # label indices, shape (n,)
    folds: np.ndarray  # shape (n,)
    scores: np.ndarray  # shape (n, k)
    calibration: Calibration
    decision: DecisionRule
    y_pred: np.ndarray  # label indices by a rule that these rows did not fit, shape (n,)
    real: np.ndarray  # whether a row is real text, shape (n,)
    held_out: np.ndarray  # from pretraining too, shape (n,); other rows give no honest score
    seconds: float = 0.0
    members: tuple[CandidateResult, ...] = ()
    fitted: Classifier | None = None  # where the fit that was scored is the one to export

    @property
    def probabilities(self) -> np.ndarray:
        """Calibrated, shape (n, k)."""
        return self.calibration.apply(self.scores)

    @property
    def log_probabilities(self) -> np.ndarray:
        """Finite ones, shape (n, k)."""
        return self.calibration.log_probabilities(self.scores)

    def predictions(self, rows: np.ndarray) -> Predictions:
        """Return what it says of some rows, by a mask of shape (n,)."""
        groups = np.array([example.group for example in self.examples])
        return Predictions(self.y_true, self.y_pred, self.probabilities, groups).take(rows)

    def macro_f1(self, rows: np.ndarray, resamples: int) -> Interval | None:
        """Return macro-F1 on some rows; None where there are none."""
        return measure(MACRO_F1, self.predictions(rows), resamples=resamples) if rows.any() else None


def cross_validate(
    candidate: Candidate, rows: Sequence[Example], folds: np.ndarray, config: Config, on_progress: ProgressCallback
) -> CandidateResult:
    """Score each fold by a fit on all other rows; what did not change since an earlier run comes from the cache."""
    whole, scored = with_teachers(candidate, config.candidates), folds != ALWAYS
    classifier = create(whole, config.random_state)
    scores, seconds = np.zeros((len(rows), len(config.label_names))), 0.0
    numbers, new = np.unique(folds[scored]), _held_out(classifier, rows, config)
    # A model that learns nothing more gives the rows that it was pretrained on no score that anybody may read.
    asked = scored & (new | (classifier.own_decision(config.label_names) is None))
    for position, number in enumerate(numbers):
        inside = _learned(classifier, [row for row, fold in zip(rows, folds, strict=True) if fold != number])
        outside = [row.input for row in compress(rows, asked & (folds == number))]
        step = step_of(on_progress, position, len(numbers), f"fold {position + 1}, ")
        cache, state = config.cache / "folds", config.random_state
        found = fit_and_score(whole, inside, outside, config.label_names, state, cache, step)
        scores[asked & (folds == number)] = found.scores
        seconds += found.seconds
    found_on = tuple(compress(rows, scored))
    result = _calibrated(candidate, found_on, folds[scored], scores[scored], new[scored], config)
    # With a validation part there is one fit, on the whole train part: it is the one to export.
    return replace(result, seconds=seconds, fitted=None if scored.all() else found.fitted)


def _held_out(classifier: Classifier, rows: Sequence[Example], config: Config) -> np.ndarray:
    """Return which rows are new to what a classifier begins with, shape (n,)."""
    real = is_real(rows, config)
    return real if classifier.knows_invented_text and real.any() else np.ones_like(real)


def _learned(classifier: Classifier, rows: Sequence[Example]) -> list[Example]:
    """Return the rows that a classifier learns from."""
    return [row for row in rows if row.own or not classifier.learns_from_own_labels]


def combine(candidate: Candidate, members: Sequence[CandidateResult], config: Config) -> CandidateResult:
    """Score an ensemble from what its members scored; its weights are fitted without the fold they score."""
    first, logs = members[0], [member.log_probabilities for member in members]
    folds, scores = split_single_fold(first.examples, first.folds, config), np.empty_like(first.scores)
    held_out = np.all([each.held_out for each in members], axis=0)
    for number in np.unique(folds):
        inside = (folds != number) & held_out
        weights = blend([log[inside] for log in logs], first.y_true[inside])
        scores[folds == number] = sum(weight * log[folds == number] for weight, log in zip(weights, logs, strict=True))
    result = _calibrated(candidate, first.examples, folds, scores, held_out, config)
    return replace(result, seconds=sum(member.seconds for member in members), members=tuple(members))


def _calibrated(
    candidate: Candidate,
    examples: tuple[Example, ...],
    folds: np.ndarray,
    scores: np.ndarray,
    held_out: np.ndarray,
    config: Config,
) -> CandidateResult:
    """Calibrate held-out scores, and find how to decide by them; what was seen in pretraining serves for nothing."""
    classifier = create(with_teachers(candidate, config.candidates))
    y_true, real = index_labels(examples, config.label_names), is_real(examples, config)
    if own_decision := classifier.own_decision(config.label_names):
        calibration, decision = Calibration(), own_decision
        y_pred = decision.decide(calibration.apply(scores))
    else:
        rows = exclude_active_samples(examples, rows_that_count(real, config) & held_out)
        # All the real text may lie in one fold.
        parts = split_single_fold(examples, folds, config)[rows]
        parts = split_single_fold(list(compress(examples, rows)), parts, config)
        calibration = fit_calibration(scores[rows], y_true[rows], parts)
        probabilities = calibration.apply(scores)
        chosen_by_all = config.selection.metric == "macro_f1"
        labels = None if chosen_by_all else [config.label_names.index(name) for name in config.positive]
        decision, honest = fit_decision_rule(y_true[rows], probabilities[rows], parts, labels)
        y_pred = decision.decide(probabilities)
        y_pred[rows] = honest
    return CandidateResult(candidate, examples, y_true, folds, scores, calibration, decision, y_pred, real, held_out)


def refit(
    result: CandidateResult, train: Sequence[Example], config: Config, on_progress: ProgressCallback
) -> Classifier:
    """Fit the selected candidate, or the members of an ensemble, on the whole train part."""
    if members := result.members:
        fits = [(each.candidate, refit(each, train, config, on_progress), each.calibration) for each in members]
        new = result.held_out
        return Ensemble.of(fits, blend([member.log_probabilities[new] for member in members], result.y_true[new]))
    if result.fitted is not None:
        return result.fitted
    classifier = create(with_teachers(result.candidate, config.candidates), config.random_state)
    classifier.fit(_learned(classifier, train), config.label_names, on_progress)
    return classifier
