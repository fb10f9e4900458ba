"""Say whether one model, or candidate, is better than another on the same rows, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import metrics
from pipeline.bundle import Bundle
from pipeline.classifiers import index_labels
from pipeline.config import Config
from pipeline.dataset import Example
from pipeline.errors import InputError
from pipeline.metrics import Interval
from pipeline.selection import Result, judged


@dataclass(frozen=True)
class Comparison:
    """Macro-F1 of two models on the same rows, the gain of the second, and where they disagree."""

    first: Interval
    second: Interval
    gain: Interval
    only_first: int  # rows that only the first has right
    only_second: int
    p_value: float  # McNemar's exact test: that such rows are as many on either side by chance

    @property
    def verdict(self) -> str:
        """Say it in plain words."""
        if self.gain.high < 0:
            return say_gain(Interval(-self.gain.value, -self.gain.high, -self.gain.low, self.gain.unit), "A")
        return say_gain(self.gain, "B")


@dataclass(frozen=True)
class Gain:
    """What a candidate scores more than the TF-IDF candidate, in macro-F1 on the same held-out rows."""

    name: str
    rows: int
    interval: Interval

    def __str__(self) -> str:
        """Say it in plain words."""
        return say_gain(self.interval, self.name)


def say_gain(gain: Interval, name: str) -> str:
    """Say whether the named one is better than the other; neither is where the interval holds zero."""
    points, low, high = (100 * value for value in (gain.value, gain.low, gain.high))
    over = "" if gain.unit == "articles" else f" (over {gain.unit}: few articles)"
    if gain.low > 0:
        return f"{name} is better by {points:.1f} points, 95 % interval {low:.1f} to {high:.1f}{over}"
    if gain.high < 0:
        return f"{name} is worse by {-points:.1f} points, 95 % interval {-high:.1f} to {-low:.1f}{over}"
    words = f"{name} scores {points:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}{over}"
    return f"no difference is shown: {words}"


def against_tfidf(results: Sequence[Result], config: Config) -> list[Gain]:
    """Compare each candidate with the first TF-IDF one: paired bootstrap over articles on the rows they share."""
    reference = next((result for result in results if result.candidate.kind == "tfidf"), None)
    gains = []
    for result in results if reference else ():
        if reference is None or result is reference:
            continue
        rows = judged([reference, result], config)
        groups = [example.group for example, kept in zip(result.examples, rows, strict=True) if kept]
        found = metrics.paired_difference(
            *(result.y_true[rows], reference.y_pred[rows], result.y_pred[rows], groups, len(config.label_names)),
            resamples=config.selection.resamples,
        )
        gains.append(Gain(result.candidate.name, int(rows.sum()), found))
    return gains


def compare(first: Bundle, second: Bundle, examples: Sequence[Example]) -> Comparison:
    """Score two models on the same rows: paired bootstrap over articles, and McNemar (1947)."""
    from scipy.stats import binomtest

    if set(first.label_names) != set(second.label_names):
        raise InputError(
            "the second model", f"knows {', '.join(second.label_names)}", expected=", ".join(first.label_names)
        )
    names = first.label_names
    order = [second.label_names.index(name) for name in names]
    y_true, groups = index_labels(examples, names), [example.group for example in examples]
    a = first.predict_proba(first.read_examples(examples)).argmax(1)
    b = second.predict_proba(second.read_examples(examples))[:, order].argmax(1)
    only_a = int(np.sum((a == y_true) & (b != y_true)))
    only_b = int(np.sum((b == y_true) & (a != y_true)))
    return Comparison(
        first=metrics.interval(y_true, a, groups, len(names)),
        second=metrics.interval(y_true, b, groups, len(names)),
        gain=metrics.paired_difference(y_true, a, b, groups, len(names)),
        only_first=only_a,
        only_second=only_b,
        p_value=float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0,
    )
