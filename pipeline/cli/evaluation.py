"""How good is a model: `stance eval`, `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import out
from pipeline.cli.evaluation_summary import show_comparison, show_evaluation
from pipeline.cli.options import DEFAULT_CONFIG, DEFAULT_MODEL, ConfigFile, Model, command, read_config, settle
from pipeline.progress import Bar

app = typer.Typer()


@app.command("eval", epilog="Examples: stance eval    stance eval --data my-labels.jsonl")
def evaluate(
    model: Model = DEFAULT_MODEL,
    data: Annotated[Path | None, typer.Option(help="A labelled table of rows id, text, label.")] = None,
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
    first: Annotated[Path, typer.Argument(metavar="A", help="An exported model.", callback=settle)],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.", callback=settle)],
    data: Annotated[Path | None, typer.Option(help="A labelled table; else the test part.")] = None,
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
