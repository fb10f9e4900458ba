"""What each candidate gains over plain TF-IDF, on the held-out rows that both have predictions for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.config import Config
from pipeline.evaluation.comparison import say_gain
from pipeline.scoring import metrics
from pipeline.scoring.metrics import Interval
from pipeline.training.selection import CandidateResult, selection_mask


@dataclass(frozen=True)
class Gain:
    """What a candidate scores more than the TF-IDF candidate, in macro-F1 on the same held-out rows."""

    name: str
    rows: int
    interval: Interval

    def __str__(self) -> str:
        """Say it in plain words."""
        return say_gain(self.interval, self.name)


def against_tfidf(results: Sequence[CandidateResult], config: Config) -> list[Gain]:
    """Compare each candidate with the first TF-IDF one: paired bootstrap over articles on the rows they share."""
    reference = next((result for result in results if result.candidate.kind == "tfidf"), None)
    gains = []
    for result in results if reference else ():
        if reference is None or result is reference:
            continue
        rows = selection_mask([reference, result], config)
        groups = [example.group for example, kept in zip(result.examples, rows, strict=True) if kept]
        found = metrics.paired_difference(
            *(result.y_true[rows], reference.y_pred[rows], result.y_pred[rows], groups, len(config.label_names)),
            resamples=config.selection.resamples,
        )
        gains.append(Gain(result.candidate.name, int(rows.sum()), found))
    return gains
