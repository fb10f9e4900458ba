"""How good is a model: `stance eval`, `compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from pipeline.cli.console import out, print_table
from pipeline.cli.options import DEFAULT_CONFIG, DEFAULT_MODEL, ConfigFile, Model, command, read_config, settle
from pipeline.progress import Bar

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.data.dataset import Example
    from pipeline.evaluation.comparison import Comparison
    from pipeline.evaluation.evaluate import Evaluation
    from pipeline.evaluation.subsets import Subset

app = typer.Typer()


@app.command("eval", epilog="Examples: stance eval    stance eval --data my-labels.jsonl")
def evaluate(
    model: Model = DEFAULT_MODEL,
    data: Annotated[Path | None, Option(help="A labelled table of rows id, text, label.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Score the exported model on the test part, or on your own labelled file."""
    from pipeline.bundle import load_bundle
    from pipeline.evaluation.evaluate import evaluate
    from pipeline.reporting.publishing import publish

    bundle, settings = load_bundle(model), read_config(config)
    with Bar() as bar:
        evaluation = evaluate(bundle, settings, data, bar.update)
        bar.update(0.9, "write the report")
        page, unlogged = publish(evaluation, bundle, settings, data)
    show_evaluation(evaluation, settings)
    out.print(f"\nReport: {page}" + (f" (not logged: {unlogged})" if unlogged else ""))
    label = command("predict", "articles/", "--output", "rows.csv", model=model)
    out.print(f"Next: {label} labels new articles.")


@app.command(epilog="Example: stance compare models/champion models/full --data held-out.jsonl")
def compare(
    first: Annotated[Path, Argument(metavar="A", help="An exported model.", callback=settle)],
    second: Annotated[Path, Argument(metavar="B", help="Another one.", callback=settle)],
    data: Annotated[Path | None, Option(help="A labelled table; else the test part.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Say whether model B is better than model A on the same rows, and how sure that is."""
    from pipeline.bundle import load_bundle
    from pipeline.data.dataset import load_dataset, read_labelled
    from pipeline.evaluation.comparison import compare_models
    from pipeline.evaluation.rows import check_labels, read_rows

    a, b = load_bundle(first), load_bundle(second)
    if data:
        rows = tuple(read_labelled(data, a.label_names))
    else:
        settings = read_config(config)
        check_labels(a, settings, "pass --config with the config of these models, or --data with a labelled table")
        rows = read_rows(load_dataset(settings), settings)
    show_comparison(compare_models(a, b, rows), (first, second), rows)


def show_evaluation(evaluation: Evaluation, settings: Config) -> None:
    """Print what real documents give, then all scores beside the baselines, and where the model is weak."""
    from pipeline.reporting.findings import MOST_WEAK, describe_real, describe_rows

    if lead := describe_real(evaluation.main):
        out.print(f"{lead}\n")
    _show_subsets(evaluation)
    _show_metrics(evaluation)
    _show_confidence(evaluation)
    for subset in evaluation.main:
        _show_labels(subset, evaluation.label_names)
    if evaluation.contrast:
        _show_contrast(evaluation.contrast)
    out.print(f"\nOf {describe_rows(evaluation, settings)} (macro-F1 {evaluation.macro_f1:.3f}):")
    for part in evaluation.weakest[:MOST_WEAK]:
        out.print(f"Weak on {part.dimension}: {part.value}, macro-F1 {part.macro_f1}, {len(part.rows)} sentences")
    if evaluation.behaviour:
        baseline = evaluation.baseline_behaviour
        beside = f"; a keyword list passes {baseline.rate:.0%}" if baseline else ""
        cases = f"{evaluation.behaviour.rate:.0%} of {len(evaluation.behaviour.results)} cases"
        out.print(f"Behaviour: {cases} pass{beside}.")
    audit = evaluation.audit
    hidden = f"{audit.change.value:+.3f} macro-F1 with the obvious words hidden; " if audit.change else ""
    out.print(f"Keywords: {hidden}{audit.share:.0%} of {audit.examined} stance predictions hang on one word.")
    if evaluation.untried:
        out.print(f"Not tried, because the config names none: {', '.join(evaluation.untried)}.")
    if not settings.data.source:
        out.print("Labels are a language model's reading under the codebook.")


def _show_subsets(evaluation: Evaluation) -> None:
    names, rows = evaluation.headline.baselines, []
    for subset in evaluation.subsets:
        scores, name = subset.scores, "  " * subset.nested + subset.name + " ‡" * subset.measured
        values = f"{scores.articles:,}", f"{scores.rows:,}", f"{scores['macro_f1']}{' †' * scores.few_articles}"
        rows.append([name, *values, *(f"{subset.baseline_scores[each]['macro_f1'].value:.3f}" for each in names)])
    print_table(rows, "rows", "articles", "sentences", "macro-F1, 95 % interval", *names)
    if evaluation.headline.measured:
        out.print(
            "‡ measured when the model was made, beside baselines trained on the real text: `stance corpora` brings it."
        )
    if any(subset.scores.few_articles for subset in evaluation.subsets):
        out.print("† fewer than ten articles: the interval is over sentences.")


def _show_metrics(evaluation: Evaluation) -> None:
    """Print all scores but the first: a line for each, a column for each kind of rows."""
    subsets = evaluation.main
    rows = [
        (metric.title, *(subset.scores.intervals.get(metric.key, "") for subset in subsets))
        for metric in evaluation.headline.metrics[1:]
    ]
    print_table(rows, "score", *(subset.name for subset in subsets), title="\nAll scores, 95 % intervals")
    for metric in evaluation.headline.metrics:
        if metric.key == "positive_f1":
            out.print(f"{metric.title}: {metric.meaning}.")


def _show_confidence(evaluation: Evaluation) -> None:
    """Print what the threshold for abstaining comes to, and what the first stage costs."""
    from pipeline.reporting.findings import describe_answers, describe_first_stage
    from pipeline.scoring.abstention import SHARES

    out.print(f"{str(evaluation.abstention).capitalize()}.")
    name = evaluation.headline.name
    if evaluation.answered_by_label:
        out.print(f"Right from the threshold on, by label: {describe_answers(evaluation)} ({name}).")
    curve = evaluation.risk_coverage
    right = ", ".join(f"{curve.at(share):.1%} of the most confident {share:.0%}" for share in SHARES)
    out.print(f"Right without a threshold: {right}; area under the risk-coverage curve {curve.aurc:.3f} ({name}).")
    if evaluation.first_stage:
        out.print(describe_first_stage(evaluation))


def _show_labels(subset: Subset, label_names: Sequence[str]) -> None:
    rows = [
        (label.name, *(f"{value:.3f}" for value in (label.precision, label.recall, label.f1)), f"{label.rows:,}")
        for label in subset.scores.by_label(label_names)
    ]
    print_table(rows, "label", "precision", "recall", "F1", "sentences", title=f"\n{subset.name}, per label")


def _show_contrast(contrast: Subset) -> None:
    title = f"\nInvented sentences in {contrast.scores.articles:,} groups that differ by little (contrast)"
    scored = {"this model": contrast.scores, **contrast.baseline_scores}
    rows = [(name, f"{scores.rows:,}", *(interval for _, interval in scores)) for name, scores in scored.items()]
    print_table(rows, "labelled by", "sentences", *(metric.title for metric in contrast.metrics), title=title)


def show_comparison(comparison: Comparison, models: tuple[Path, Path], rows: Sequence[Example]) -> None:
    """Print two models' scores on the same rows, what the second has more, and the verdict."""
    for letter, folder in zip("AB", models, strict=True):
        out.print(f"{letter}: {folder}")
    table = []
    for metric, interval in comparison.first:
        gain, better = comparison.gains[metric.key], "higher" if metric.higher_is_better else "lower"
        ends = f"{gain.value:+.3f}", f"{gain.low:+.3f} to {gain.high:+.3f}"
        table.append((metric.title, interval, comparison.second[metric.key], *ends, better))
    print_table(table, "score", "A", "B", "B - A", "95 % interval", "better is")
    articles = len({row.group for row in rows})
    out.print(f"\nMacro-F1 on {len(rows):,} sentences of {articles:,} articles: {comparison.verdict}.")
    alone = f"A alone is right on {comparison.only_first}, B alone on {comparison.only_second}"
    out.print(f"{alone}: p = {comparison.p_value:.3g} by McNemar's exact test.")
