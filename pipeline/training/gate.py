"""The gate: a new model becomes champion only if it is not worse than the standing one, on rows new to both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.bundle import CARD, Bundle, load_bundle
from pipeline.classifiers import index_labels
from pipeline.config import Config
from pipeline.data.dataset import Example
from pipeline.errors import InputError
from pipeline.evaluation.attribution import read_obvious
from pipeline.evaluation.behaviour import Case, read_cases, try_cases
from pipeline.evaluation.slices import cut_rows
from pipeline.manifest import Manifest
from pipeline.scoring.metrics import METRICS, Metric, difference, find_metric
from pipeline.scoring.predictions import Predictions

# What counts as worse, in shares of 1.
SCORE_FALL = 0.02
SLICE_FALL, SLICE_ROWS = 0.05, 50
FEWEST_ROWS = 100  # with fewer, a difference of some points would be luck

IDENTITY = {"topic", "source", "label_names", "positive", "targets", "metric", "candidate", "calibration"}
IDENTITY |= {"decision", "abstention", "first_stage"}


@dataclass(frozen=True)
class Check:
    """One question of the gate, and its answer in words."""

    passed: bool
    words: str


@dataclass(frozen=True)
class Verdict:
    """Whether the new model takes the place, and why."""

    promoted: bool
    reason: str
    checks: tuple[Check, ...] = ()
    forced: bool = False
    unchanged: bool = False  # the new model is the standing one

    @property
    def name(self) -> str:
        """Say it in one word, for a table of runs."""
        return "unchanged" if self.unchanged else "forced" if self.forced else "yes" if self.promoted else "no"

    def __str__(self) -> str:
        return "\n".join([self.reason, *(f"  {'ok  ' if c.passed else 'FAIL'} {c.words}" for c in self.checks)])


def judge(folder: Path, staged: Path, examples: Sequence[Example], config: Config, *, force: bool = False) -> Verdict:
    """Compare the staged model with the champion in a folder, if one is there, on examples that are new to both.

    `config` says which text is invented, and what both are tried on beside; `force` promotes whatever comes out.
    """
    if not folder.exists():
        return Verdict(True, "promoted: there was no champion yet")
    try:
        standing = load_bundle(folder)
    except InputError as error:
        return Verdict(True, f"promoted: the standing champion cannot be loaded ({error}); it is kept as the previous")
    new = load_bundle(staged)
    if is_same_model(standing.manifest, new.manifest):
        return Verdict(False, "unchanged: this training gave the standing champion again", unchanged=True)
    checks: tuple[Check, ...] = ()
    rows = shared_rows(standing, new, examples, config)
    if set(standing.label_names) != set(new.label_names):
        why = f"the standing champion knows other labels ({', '.join(standing.label_names)})"
    elif len(rows) < FEWEST_ROWS:
        why = f"{len(rows)} rows are new to both models, and {FEWEST_ROWS} are needed to compare them"
    else:
        cases = read_cases(config.evaluation.behaviour, new.label_names)
        checks = compare(standing, new, rows, cases, read_obvious(config.evaluation.obvious))
        why = "; ".join(check.words for check in checks if not check.passed)
    if not why:
        return Verdict(True, f"promoted: not worse than the standing champion on {len(rows)} held-out rows", checks)
    if force:
        return Verdict(True, f"promoted because --promote was given, though {why}", checks, forced=True)
    return Verdict(False, f"not promoted: {why}", checks)


def is_same_model(first: Manifest, second: Manifest) -> bool:
    """Say whether two exported models are one but for the training that they came of: weights, options, decisions."""
    files = [{name: checksum for name, checksum in each.sha256.items() if name != CARD} for each in (first, second)]
    return files[0] == files[1] and first.model_dump(include=IDENTITY) == second.model_dump(include=IDENTITY)


def shared_rows(first: Bundle, second: Bundle, examples: Sequence[Example], config: Config) -> list[Example]:
    """Return the rows that both models have held-out predictions for; real text alone where there is enough."""
    stored = first.manifest.out_of_fold.keys() & second.manifest.out_of_fold.keys()
    rows = list({example.key: example for example in examples if example.key in stored}.values())
    real = [example for example in rows if example.origin not in config.data.invented]
    return real if len(real) >= config.selection.real_rows else rows


def compare(
    standing: Bundle, new: Bundle, examples: Sequence[Example], cases: Sequence[Case], obvious: re.Pattern[str] | None
) -> tuple[Check, ...]:
    """Ask the questions of the gate, by the held-out predictions that are stored in both models."""
    names = new.label_names
    before, after = (_read_predictions(model, examples, names) for model in (standing, new))
    metric = find_metric(new.manifest.metric, names, new.manifest.positive)
    checks = [
        _check_score(metric, before, after),
        _check_slices(metric, before, after, cut_rows(examples, obvious)),
        _check_behaviour(standing, new, cases),
        _check_calibration(before, after),
    ]
    return tuple(check for check in checks if check)


def _read_predictions(model: Bundle, examples: Sequence[Example], label_names: Sequence[str]) -> Predictions:
    """Return what a model said of rows that it was not fitted on, by the label order of another."""
    probabilities = np.array([model.manifest.out_of_fold[example.key] for example in examples])
    order = [model.label_names.index(name) for name in label_names]
    groups = np.array([example.group for example in examples])
    y_pred = np.argsort(order)[model.decide(probabilities)]
    return Predictions(index_labels(examples, label_names), y_pred, probabilities[:, order], groups)


def _check_score(metric: Metric, before: Predictions, after: Predictions) -> Check:
    """Fail a fall of over 2 points, or one that the interval shows."""
    gain = difference(metric, before, after)
    return Check(gain.value >= -SCORE_FALL and gain.high >= 0, f"{metric.title} {gain.points}")


def _check_slices(
    metric: Metric, before: Predictions, after: Predictions, slices: Sequence[tuple[str, str, np.ndarray]]
) -> Check:
    """Fail a slice of 50 rows or more that falls by over 5 points."""
    large = {f"{dimension}: {value}": rows for dimension, value, rows in slices if len(rows) >= SLICE_ROWS}
    gains = {name: difference(metric, before.take(rows), after.take(rows)) for name, rows in large.items()}
    fallen = [f"; {name} {gain.points}" for name, gain in gains.items() if gain.value < -SLICE_FALL]
    words = f"{len(fallen)} of {len(gains)} slices fall by over {100 * SLICE_FALL:.0f} points"
    return Check(not fallen, words + "".join(fallen))


def _check_behaviour(standing: Bundle, new: Bundle, cases: Sequence[Case]) -> Check | None:
    """Fail if fewer cases pass; None where there are none."""
    models = standing, new
    before, after = (try_cases(cases, model.predict_proba, model.label_names, model.decide) for model in models)
    if not before or not after:
        return None
    return Check(after.rate >= before.rate, f"behaviour cases {before.rate:.1%} before, {after.rate:.1%} now")


def _check_calibration(before: Predictions, after: Predictions) -> Check:
    """Fail a calibration error that rises while the Brier score is no better (that of a constant label is perfect)."""
    pairs = {metric: (metric.value(before), metric.value(after)) for metric in METRICS if not metric.about_labels}
    words = [f"{metric.title} {old:.3f}, {new:.3f}" for metric, (old, new) in pairs.items()]
    gains = {metric.key: new - old for metric, (old, new) in pairs.items()}
    return Check(gains["ece"] <= 0 or gains["brier"] < 0, f"confidence before, now: {'; '.join(words)}")
