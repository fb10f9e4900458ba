"""The gate: a new model becomes champion only if it is not worse than the standing one; and the way back.

Folders beside the champion's: `NAME.challenger` holds a new model until it is judged, `NAME.previous` the
champion before this one.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.bundle import Bundle, load_bundle, read_manifest
from pipeline.classifiers import index_labels
from pipeline.config import EvaluationSettings
from pipeline.data.dataset import Example
from pipeline.errors import InputError
from pipeline.evaluation.attribution import read_obvious
from pipeline.evaluation.behaviour import Case, read_cases, try_cases
from pipeline.evaluation.slices import cut_rows
from pipeline.scoring import metrics

DEFAULT = EvaluationSettings()
# What counts as worse, in shares of 1.
SCORE_FALL = 0.02
SLICE_FALL, SLICE_ROWS = 0.05, 50


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

    @property
    def name(self) -> str:
        """Say it in one word, for a table of runs."""
        return "forced" if self.forced else "yes" if self.promoted else "no"

    def __str__(self) -> str:
        """Write the reason, and a line for each check."""
        return "\n".join([self.reason, *(f"  {'ok  ' if c.passed else 'FAIL'} {c.words}" for c in self.checks)])


def challenger_of(champion: Path) -> Path:
    """Return where a new model waits."""
    return champion.with_name(f"{champion.name}.challenger")


def previous_of(champion: Path) -> Path:
    """Return where the champion before this one lies."""
    return champion.with_name(f"{champion.name}.previous")


@contextmanager
def turn(champion: Path) -> Iterator[None]:
    """Wait until no other training is exporting to this place."""
    from filelock import FileLock

    champion.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(champion.with_name(f".{champion.name}.lock")):
        yield


def judge(
    champion: Path, examples: Sequence[Example], tried_on: EvaluationSettings = DEFAULT, *, force: bool = False
) -> Verdict:
    """Compare the challenger with the standing champion on the same test rows.

    Args:
        champion: the standing champion's folder, which may not exist.
        examples: the test part.
        tried_on: the behaviour cases and the obvious words that both are tried on, if there are any.
        force: promote whatever comes out; the verdict says so.

    """
    new = load_bundle(challenger_of(champion))
    if not champion.exists():
        return Verdict(True, "promoted: there was no champion yet")
    try:
        standing = load_bundle(champion)
    except InputError as error:
        return Verdict(True, f"promoted: the standing champion cannot be loaded ({error}); it is kept as the previous")
    if set(standing.label_names) != set(new.label_names):
        return Verdict(True, f"promoted: the standing champion knows other labels ({', '.join(standing.label_names)})")
    if not examples:
        return Verdict(True, "promoted: there is no test part to compare on")
    checks = compare(
        standing, new, examples, read_cases(tried_on.behaviour, new.label_names), read_obvious(tried_on.obvious)
    )
    failed = [check.words for check in checks if not check.passed]
    if not failed:
        return Verdict(True, f"promoted: not worse than the standing champion on {len(examples)} test rows", checks)
    why = "; ".join(failed)
    if force:
        return Verdict(True, f"promoted because --promote was given, though {why}", checks, forced=True)
    return Verdict(False, f"not promoted: {why}", checks)


def compare(
    standing: Bundle,
    new: Bundle,
    examples: Sequence[Example],
    cases: Sequence[Case],
    obvious: re.Pattern[str] | None = None,
) -> tuple[Check, ...]:
    """Ask the questions of the gate: score, slices, behaviour, calibration.

    A fall of the score counts when it is over 2 points or shown by the interval; a slice of 50 rows or more,
    when it falls by over 5 points; behaviour, when fewer cases pass. Calibration counts when its error rises
    while the Brier score is no better: who always gives the commonest label is perfectly calibrated.
    """
    names = new.label_names
    order = [standing.label_names.index(name) for name in names]
    y_true, groups = index_labels(examples, names), np.array([example.article_id for example in examples])
    before = standing.predict_proba(standing.read_examples(examples))
    after = new.predict_proba(new.read_examples(examples))
    old, young = np.argsort(order)[standing.decide(before)], new.decide(after)
    before = before[:, order]

    labels = new.positive if new.manifest.metric == "positive_f1" else None
    statistic = partial(metrics.macro_f1, labels=labels)
    metric = "macro-F1" if labels is None else f"F1 of {' and '.join(names[label] for label in labels)}"

    def gain(rows: np.ndarray) -> metrics.Interval:
        return metrics.paired_difference(
            y_true[rows], old[rows], young[rows], groups[rows].tolist(), len(names), statistic=statistic
        )

    whole = gain(np.arange(len(examples)))
    checks = [Check(whole.value >= -SCORE_FALL and whole.high >= 0, f"{metric} {_points(whole)}")]
    slices = [
        (f"{name}: {value}", gain(rows)) for name, value, rows in cut_rows(examples, obvious) if len(rows) >= SLICE_ROWS
    ]
    fallen = [f"; {name} {_points(found)}" for name, found in slices if found.value < -SLICE_FALL]
    words = f"{len(fallen)} of {len(slices)} slices fall by over {100 * SLICE_FALL:.0f} points"
    checks.append(Check(not fallen, words + "".join(fallen)))
    rates = [try_cases(cases, model.predict_proba, model.label_names) for model in (standing, new)]
    if rates[0] and rates[1]:
        words = f"behaviour cases {rates[0].rate:.1%} before, {rates[1].rate:.1%} now"
        checks.append(Check(rates[1].rate >= rates[0].rate, words))
    ece = [metrics.reliability(y_true, probabilities).ece for probabilities in (before, after)]
    brier = [metrics.brier(y_true, probabilities) for probabilities in (before, after)]
    words = f"calibration error {ece[0]:.3f} before, {ece[1]:.3f} now; Brier score {brier[0]:.3f}, {brier[1]:.3f}"
    checks.append(Check(ece[1] <= ece[0] or brier[1] < brier[0], words))
    return tuple(checks)


def _points(found: metrics.Interval) -> str:
    value, low, high = (100 * number for number in (found.value, found.low, found.high))
    return f"{value:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})"


def install(champion: Path) -> None:
    """Put the challenger in the champion's place; what stood there becomes the previous one."""
    previous = previous_of(champion)
    if champion.exists():
        shutil.rmtree(previous, ignore_errors=True)
        champion.rename(previous)
    challenger_of(champion).rename(champion)


def rollback(champion: Path) -> tuple[str, str]:
    """Exchange champion and previous; return the run ids of the champion now and of the one before.

    InputError if there is nothing to return to.
    """
    previous = previous_of(champion)
    if not previous.exists():
        raise InputError(previous, "there is no previous champion to return to", then="see `stance ui`")
    now, before = read_manifest(previous).run_id, ""
    with turn(champion):
        aside = champion.with_name(f".{champion.name}.aside")
        if champion.exists():
            champion.rename(aside)
        previous.rename(champion)
        if aside.exists():
            aside.rename(previous)
            before = run_of(previous)
    return now, before


def run_of(folder: Path) -> str:
    """Return the run that made an exported model; empty where it cannot be known."""
    try:
        return read_manifest(folder).run_id
    except InputError:
        return ""
