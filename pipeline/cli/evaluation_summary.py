"""What `stance eval` and `compare` print: tables that align, then sentences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.console import out
from pipeline.cli.console import table as new_table

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.data.dataset import Example
    from pipeline.evaluation.comparison import Comparison
    from pipeline.evaluation.evaluate import Evaluation
    from pipeline.evaluation.subsets import Subset
    from pipeline.scoring.bootstrap import Interval

MOST_WEAK = 4  # slices that are named


def show_evaluation(evaluation: Evaluation, settings: Config) -> None:
    """Print the scores beside the baselines, how far confidence can be believed, and where the model is weak."""
    _show_subsets(evaluation)
    _show_confidence(evaluation)
    for subset in evaluation.subsets:
        _show_labels(subset, evaluation.label_names)
    for part in evaluation.weakest[:MOST_WEAK]:
        out.print(f"Weak on {part.dimension}: {part.value}, macro-F1 {part.macro_f1}, {len(part.rows)} sentences")
    if evaluation.behaviour:
        cases, rate = len(evaluation.behaviour.results), evaluation.behaviour.rate
        baseline = evaluation.baseline_behaviour
        beside = f"; a keyword list passes {baseline.rate:.0%}" if baseline else ""
        out.print(f"Behaviour: {rate:.0%} of {cases} cases pass{beside}.")
    audit = evaluation.audit
    hidden = f"{audit.change.value:+.3f} macro-F1 with the obvious words hidden; " if audit.change else ""
    out.print(f"Keywords: {hidden}{audit.share:.0%} of {audit.examined} stance predictions hang on one word.")
    if evaluation.untried:
        out.print(f"Not tried, because the config names none: {', '.join(evaluation.untried)}.")
    if not settings.data.source:
        out.print("Labels are a language model's reading under the codebook; authored articles are invented.")


def _show_subsets(evaluation: Evaluation) -> None:
    """Print what the labels are worth, on all rows and on parts of them, beside the baselines."""
    whole = evaluation.subsets[0]
    first, *others = [metric for metric, _ in whole.scores if metric.about_labels]
    titles = [first.title, "95 % interval", *(metric.title for metric in others), *whole.baselines]
    table = new_table("rows", "articles", "sentences", *titles)
    for subset in evaluation.subsets:
        scores = subset.scores
        headline = scores[first.key]
        table.add_row(
            _name(subset),
            str(scores.articles),
            str(scores.rows),
            f"{headline.value:.3f}",
            _ends(headline) + (" †" if scores.few_articles else ""),
            *(f"{scores[metric.key].value:.3f}" for metric in others),
            *(f"{baseline[first.key].value:.3f}" for baseline in subset.baselines.values()),
        )
    out.print(table)
    if any(subset.scores.few_articles for subset in evaluation.subsets):
        out.print("† fewer than ten articles: the interval is over sentences.")


def _show_confidence(evaluation: Evaluation) -> None:
    """Print how far confidence can be believed, and what the threshold for abstaining comes to."""
    from pipeline.reporting.findings import describe_answers, describe_first_stage
    from pipeline.scoring.abstention import SHARES

    chosen = [metric for metric, _ in evaluation.scores if not metric.about_labels]
    title = "\nConfidence, with 95 % intervals"
    if evaluation.abstention.confidence is not None:
        title += "; `answered` and `right if answered` are from the threshold on"
    table = new_table("rows", *(metric.title for metric in chosen), title=title)
    for subset in evaluation.subsets:
        intervals = [subset.scores.intervals.get(metric.key) for metric in chosen]
        table.add_row(_name(subset), *(str(interval or "") for interval in intervals))
    out.print(table)
    if evaluation.answered_by_label:
        answers = describe_answers(evaluation)
        out.print(f"Right from the threshold on, by label: {answers} ({evaluation.subsets[0].name}).")
    out.print(f"{str(evaluation.abstention).capitalize()}.")
    curve = evaluation.risk_coverage
    right = ", ".join(f"{curve.at(share):.1%} of the most confident {share:.0%}" for share in SHARES)
    out.print(f"Right without a threshold: {right}; area under the risk-coverage curve {curve.aurc:.3f}.")
    if evaluation.first_stage:
        out.print(describe_first_stage(evaluation))


def _show_labels(subset: Subset, label_names: Sequence[str]) -> None:
    table = new_table("label", "precision", "recall", "F1", "sentences", title=f"\n{subset.name}, per label")
    for label in subset.scores.by_label(label_names):
        scores = (label.precision, label.recall, label.f1)
        table.add_row(label.name, *(f"{value:.3f}" for value in scores), str(label.rows))
    out.print(table)


def show_comparison(comparison: Comparison, models: tuple[Path, Path], rows: Sequence[Example]) -> None:
    """Print two models' scores on the same rows, what the second has more, and the verdict."""
    table = new_table("model", "macro-F1", "95 % interval", "right where the other is wrong")
    lines = [
        (f"A {models[0]}", comparison.first, comparison.only_first),
        (f"B {models[1]}", comparison.second, comparison.only_second),
    ]
    for name, scores, alone in lines:
        table.add_row(name, f"{scores['macro_f1'].value:.3f}", _ends(scores["macro_f1"]), str(alone))
    out.print(table)
    table = new_table("score", "A", "B", "B - A", "95 % interval", "better is", title="\nAll scores")
    for metric, interval in comparison.first:
        gain, second = comparison.gains[metric.key], comparison.second[metric.key]
        values = (f"{interval.value:.3f}", f"{second.value:.3f}", f"{gain.value:+.3f}")
        better = "higher" if metric.higher_is_better else "lower"
        table.add_row(metric.title, *values, f"{gain.low:+.3f} to {gain.high:+.3f}", better)
    out.print(table)
    articles = len({row.group for row in rows})
    out.print(f"\nMacro-F1 on {len(rows)} sentences of {articles} articles: {comparison.verdict}.")
    out.print(f"McNemar's exact test on the rows where one alone is right: p = {comparison.p_value:.3g}.")


def _name(subset: Subset) -> str:
    return f"  {subset.name}" if subset.nested else subset.name


def _ends(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}"
