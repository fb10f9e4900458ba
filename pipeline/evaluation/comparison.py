"""Say whether one model, or candidate, is better than another on the same rows, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.bundle import Bundle
from pipeline.data.dataset import Example
from pipeline.errors import InputError
from pipeline.evaluation.rows import predict
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.metrics import MACRO_F1, difference, metrics_for
from pipeline.scoring.scores import Scores, score


@dataclass(frozen=True)
class Comparison:
    """The scores of two models on the same rows, what the second has more, and where they disagree."""

    first: Scores
    second: Scores
    gains: dict[str, Interval]  # second minus first by a metric's key, paired
    only_first: int  # rows that only the first has right
    only_second: int
    p_value: float  # McNemar's exact test: that such rows are as many on either side by chance

    @property
    def verdict(self) -> str:
        """Say by macro-F1 which is better, in plain words."""
        gain = self.gains[MACRO_F1.key]
        if gain.high < 0:
            return describe_gain(Interval(-gain.value, -gain.high, -gain.low, gain.unit), "A")
        return describe_gain(gain, "B")


def describe_gain(gain: Interval, name: str) -> str:
    """Say whether the named one is better than the other; neither is where the interval holds zero."""
    points, low, high = (100 * value for value in (gain.value, gain.low, gain.high))
    over = "" if gain.unit == "articles" else f" (over {gain.unit}: few articles)"
    if gain.low > 0:
        return f"{name} is better by {points:.1f} points, 95 % interval {low:.1f} to {high:.1f}{over}"
    if gain.high < 0:
        return f"{name} is worse by {-points:.1f} points, 95 % interval {-high:.1f} to {-low:.1f}{over}"
    words = f"{points:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}{over}"
    return f"no difference is shown: {name} scores {words}"


def compare_models(first: Bundle, second: Bundle, examples: Sequence[Example]) -> Comparison:
    """Score two models on the same rows: paired bootstrap over articles, and McNemar (1947).

    InputError where they know other labels; another order is the same labels.
    """
    from scipy.stats import binomtest

    names = first.label_names
    if set(names) != set(second.label_names):
        raise InputError("the second model", f"knows {', '.join(second.label_names)}", expected=", ".join(names))
    (a, _), (b, _) = (predict(model, examples, names) for model in (first, second))
    metrics = metrics_for(names, first.manifest.positive)
    only_a, only_b = int(np.sum(a.hits & ~b.hits)), int(np.sum(b.hits & ~a.hits))
    return Comparison(
        first=score(a, metrics),
        second=score(b, metrics),
        gains={metric.key: difference(metric, a, b) for metric in metrics},
        only_first=only_a,
        only_second=only_b,
        p_value=float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0,
    )
