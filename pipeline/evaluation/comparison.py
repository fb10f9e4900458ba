"""Say whether one model, or candidate, is better than another on the same rows, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.bundle import Bundle
from pipeline.classifiers import index_labels
from pipeline.data.dataset import Example
from pipeline.errors import InputError
from pipeline.scoring import metrics
from pipeline.scoring.metrics import Interval


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
    a = first.decide(first.predict_proba(first.read_examples(examples)))
    b = np.argsort(order)[second.decide(second.predict_proba(second.read_examples(examples)))]
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
