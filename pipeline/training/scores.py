"""What candidates score on held-out rows: for the table, the manifest and MLflow, and against plain TF-IDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from pipeline import tracking
from pipeline.classifiers import create
from pipeline.config import Candidate, Config
from pipeline.evaluation.attribution import read_obvious
from pipeline.evaluation.comparison import describe_gain
from pipeline.evaluation.slices import Slice, score_slices, weakest
from pipeline.reporting import charts
from pipeline.reporting.publishing import draw_scores
from pipeline.scoring.abstention import risk_coverage
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.metrics import MACRO_F1, difference, metrics_for, reliability_curve
from pipeline.scoring.scores import Scores, score
from pipeline.training.results import CandidateResult
from pipeline.training.selection import selection_mask


def score_result(result: CandidateResult, config: Config) -> Scores:
    """Score a candidate on the rows that are new to it."""
    metrics = metrics_for(config.label_names, config.positive)
    return score(result.predictions(result.held_out), metrics, resamples=config.selection.resamples)


def score_kinds_of_text(result: CandidateResult, config: Config) -> dict[str, Interval]:
    """Return macro-F1 on real and on invented text, of rows that are new to the candidate, where there are some."""
    kinds = {"real": result.real & result.held_out, "invented": ~result.real & result.held_out}
    scores = {kind: result.macro_f1(rows, config.selection.resamples) for kind, rows in kinds.items()}
    return {kind: score for kind, score in scores.items() if score}


def describe_scores(result: CandidateResult, config: Config) -> dict[str, float]:
    """Return what the manifest holds: each metric with the ends of its interval, and the F1 of each label."""
    scores = score_result(result, config)
    values = {"rows": float(scores.rows), "articles": float(scores.articles), "seconds": result.seconds}
    for metric, interval in scores:
        values[metric.key] = interval.value
        values |= {f"{metric.key}_low": interval.low, f"{metric.key}_high": interval.high}
    return values | {f"f1_{label.name}": label.f1 for label in scores.by_label(config.label_names)}


def weak_slices(result: CandidateResult, config: Config) -> list[Slice]:
    """Return the slices of the rows new to a candidate that are shown to be weaker than the whole."""
    examples = [example for example, kept in zip(result.examples, result.held_out, strict=True) if kept]
    predictions = result.predictions(result.held_out)
    slices = score_slices(examples, predictions, read_obvious(config.evaluation.obvious))
    return weakest(slices, MACRO_F1.value(predictions))


def tracked_scores(result: CandidateResult, config: Config) -> dict[str, float]:
    """Return what MLflow holds: few keys, for it draws a chart of each, and none that a label names."""
    scores, headline = score_result(result, config), MACRO_F1.key
    values = {metric.key: interval.value for metric, interval in scores}
    values |= {f"{headline}_low": scores[headline].low, f"{headline}_high": scores[headline].high}
    if real := score_kinds_of_text(result, config).get("real"):
        ends = {f"{headline}_real_low": real.low, f"{headline}_real_high": real.high}
        values |= {f"{headline}_real": real.value} | ends
    return values | {"held_out_rows": float(scores.rows), "seconds": result.seconds}


def log_result(run: tracking.Run, result: CandidateResult, config: Config) -> dict[str, float]:
    """Log a candidate's options, with those it has by default, its scores, and charts of them; return the scores."""
    run.params(describe_candidate(result.candidate))
    run.metrics(tracked := tracked_scores(result, config))
    title, predictions = f"{result.candidate.name}, held out", result.predictions(result.held_out)
    files = draw_scores(score_result(result, config), config.label_names, title)
    files["reliability"] = charts.standalone(charts.draw_reliability(reliability_curve(predictions), title))
    files["coverage"] = charts.standalone(charts.draw_risk_coverage(risk_coverage(predictions), title))
    for name, chart in files.items():
        run.text(chart, f"{name}.svg")
    return tracked


@dataclass(frozen=True)
class Gain:
    """What a candidate scores more than the TF-IDF candidate, in macro-F1 on the same held-out rows."""

    name: str
    rows: int
    interval: Interval

    def __str__(self) -> str:
        return describe_gain(self.interval, self.name)


def describe_candidate(candidate: Candidate) -> dict[str, Any]:
    """Return the name and kind of a candidate, and its options with those that are left to their defaults."""
    classifier = create(candidate)
    names = [field.name for field in fields(classifier) if field.init]  # type: ignore[arg-type]
    options = {name: getattr(classifier, name) for name in names if name != "random_state"}  # the config's, for all
    return {"candidate": candidate.name, "kind": candidate.kind} | options


def against_tfidf(results: Sequence[CandidateResult], config: Config) -> list[Gain]:
    """Compare each candidate with the first TF-IDF one: paired bootstrap over articles on the rows they share."""
    reference = next((result for result in results if create(result.candidate).reference), None)
    if reference is None:
        return []
    gains = []
    for result in (other for other in results if other is not reference):
        rows = selection_mask([reference, result], config)
        before, after = reference.predictions(rows), result.predictions(rows)
        interval = difference(MACRO_F1, before, after, resamples=config.selection.resamples)
        gains.append(Gain(result.candidate.name, len(before), interval))
    return gains
