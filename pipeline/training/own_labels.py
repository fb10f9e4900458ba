"""What the user's own labels do to the pretrained model: shown on them out of fold and on real text, or not taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil

import numpy as np

from pipeline.classifiers import Classifier, create, index_labels
from pipeline.config import Candidate, Config
from pipeline.data.examples import Example
from pipeline.progress import ProgressCallback, step_of
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.calibration import softmax
from pipeline.scoring.decision import DecisionRule
from pipeline.scoring.metrics import MACRO_F1, METRICS, difference
from pipeline.scoring.predictions import Predictions
from pipeline.training.results import cross_validate
from pipeline.training.rows import split_single_fold

REAL_FALL = 0.002  # of macro-F1 on held-out real text: more is a loss
FEWEST = 30  # labels; of fewer, one in twenty sets about something else passed the check (benchmarks/own_labels.py)
LOG_LOSS = next(metric for metric in METRICS if metric.key == "log_loss")
MOST_LABELS = 100_000  # that an estimate may ask for


@dataclass(frozen=True)
class OwnLabels:
    """Scores with the user's labels less scores without them, paired.

    That the labels help is shown by log-loss, which sees what macro-F1 of some dozens of sentences cannot.
    """

    candidate: str  # by name
    rows: int
    articles: int
    loss: Interval  # log-loss on their sentences, each scored by a fit without its article
    own: Interval  # macro-F1 on the same
    real: Interval | None  # macro-F1 on held-out real text; None where none ships with the model
    real_rows: int

    @property
    def helps(self) -> bool:
        """Say whether they are shown to fit their own sentences better, and other real text loses nothing by it."""
        return not self._lacks()

    def __str__(self) -> str:
        loss = f"log-loss {self.loss.value:+.3f} (95 % interval {self.loss.low:+.3f} to {self.loss.high:+.3f})"
        scored = f"on their own sentences, scored without their articles, {loss} and macro-F1 {self.own.points}"
        if self.real is not None:
            scored += f"; on {self.real_rows:,} real sentences that the model never learned from, {self.real.points}"
        labels = f"Your {self.rows} labels ({self.articles} articles)"
        if lacks := self._lacks():
            return f"{labels} did not change the model: {scored}. They would have to {lacks}."
        return f"{labels} improve the model: {scored}."

    def _lacks(self) -> str:
        """Say what they would have to do to be taken; empty where they are."""
        if self.rows < FEWEST:
            return f"be {FEWEST} at least"
        if self.real is None:
            return "be tried on held-out real text, and none ships with this model"
        if self.loss.high < 0 < self.own.value:
            fits = self.real.value >= -REAL_FALL
            return "" if fits else "agree with the codebook so far that other real text loses nothing"
        if self.loss.value >= 0 or self.own.value < 0 or self.loss.high < 0:
            return "correct the model where it is wrong: so far it labels these sentences no worse without them"
        needed = self.rows * ((self.loss.high - self.loss.value) / self.loss.value) ** 2
        if needed > MOST_LABELS:
            return "show a fall of the log-loss whose interval lies below 0"
        return f"show a fall whose interval lies below 0: about {ceil(needed / 10) * 10:,} labels, if it stays as large"


def judge_own_labels(examples: Sequence[Example], config: Config, on_progress: ProgressCallback) -> OwnLabels | None:
    """Compare the candidate that learns from own labels with the same one without; None where either is missing."""
    candidate = next((each for each in config.candidates if create(each).learns_from_own_labels), None)
    own = [example for example in examples if example.own]
    if candidate is None or not own:
        return None
    folds = split_single_fold(own, np.zeros(len(own), int), config)
    result = cross_validate(candidate, own, folds, config, step_of(on_progress, 0, 2, "your own labels: "))
    before, after = (_fit(candidate, rows, config, on_progress) for rows in ([], own))
    rules = before.own_decision(config.label_names) or DecisionRule(), config
    without = predict(own, before.decision_function([row.input for row in own]), *rules)
    beside = result.predictions(np.ones(len(own), bool))
    compare = partial(difference, resamples=config.selection.resamples)
    loss, gain = (compare(metric, without, beside) for metric in (LOG_LOSS, MACRO_F1))
    real, rows = None, 0
    if (old := before.score_held_out()) and (new := after.score_held_out()):
        real, rows = compare(MACRO_F1, predict(*old, *rules), predict(*new, *rules)), len(old[0])
    return OwnLabels(candidate.name, len(own), len({row.group for row in own}), loss, gain, real, rows)


def _fit(candidate: Candidate, rows: Sequence[Example], config: Config, on_progress: ProgressCallback) -> Classifier:
    classifier = create(candidate, config.random_state)
    classifier.fit(rows, config.label_names, on_progress)
    return classifier


def predict(examples: Sequence[Example], scores: np.ndarray, decision: DecisionRule, config: Config) -> Predictions:
    """Return what calibrated logits, shape (n, k), say of examples."""
    probabilities = softmax(scores)
    groups = np.array([example.group for example in examples])
    y_true = index_labels(examples, config.label_names)
    return Predictions(y_true, decision.decide(probabilities), probabilities, groups)
