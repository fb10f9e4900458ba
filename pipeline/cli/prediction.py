"""New articles in batches: `stance predict`."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Argument, Option

from pipeline.cli.console import out
from pipeline.cli.options import DEFAULT_MODEL, Model, stoppable
from pipeline.errors import InputError
from pipeline.progress import Bar

if TYPE_CHECKING:
    from pipeline.prediction import Summary

app = typer.Typer()


@app.command(
    epilog="Examples: stance predict articles/ --output rows.csv    "
    "cat rows.jsonl | stance predict - --output rows.parquet --unit sentence"
)
def predict(
    inputs: Annotated[list[str], Argument(metavar="INPUT...", help="Text, pages, Word, tables, folders, or -")],
    output: Annotated[Path, Option("--output", "-o", help="A .jsonl, .csv, .xlsx or .parquet file.")],
    model: Model = DEFAULT_MODEL,
    unit: Annotated[
        Literal["article", "sentence"], Option(help="Cut articles into sentences, or take each row as one.")
    ] = "article",
    restart: Annotated[bool, Option("--restart", help="Throw away what a stopped run has done.")] = False,
    abstain: Annotated[bool, Option("--abstain", help="Label `uncertain` what is below the threshold.")] = False,
    engine: Annotated[Literal["local", "ray"], Option(help="`ray`: many cores or machines, into a folder.")] = "local",
    ray_address: Annotated[str | None, Option(help="A Ray cluster, HOST:PORT; else this machine.")] = None,
    exact: Annotated[bool, Option("--exact", help="Let the whole model score every sentence.")] = False,
    show_dropped: Annotated[Path | None, Option(help="List here the lines that are no sentences.")] = None,
) -> None:
    """Label every sentence of new articles, one row each; goes on where an earlier run was stopped."""
    if ray_address and engine == "local":
        raise InputError("--ray-address", "is for --engine ray")
    options: dict[str, Any] = {"unit": unit, "restart": restart, "abstain": abstain, "exact": exact}
    options["show_dropped"] = show_dropped
    if engine == "ray":
        from pipeline.prediction import distributed

        with stoppable("nothing is kept; the same command begins anew"):
            summary = distributed.predict(inputs, output, model, address=ray_address, **options)
    else:
        from pipeline.bundle import load_bundle
        from pipeline.prediction import predict as label

        with stoppable(f"the same command goes on where {output} was stopped"), Bar() as bar:
            summary = label(inputs, output, load_bundle(model), on_progress=lambda done: _show(done, bar), **options)
    if summary.resumed:
        sys.stderr.write(f"went on after {summary.resumed:,} sentences that an earlier run had done\n")
    show_batch(summary, output)


def _show(done: Summary, bar: Bar) -> None:
    left = "" if done.left is None else f", {timedelta(seconds=round(done.left))} left"
    counts = f"{done.articles:,} articles, {done.sentences:,} sentences"
    bar.update(done.share, f"{counts}, {done.rate:,.0f} a second{left}")


def show_batch(summary: Summary, output: Path) -> None:
    """Print what a batch did; InputError with the first reasons where nothing could be read."""
    summary.check(output)
    off = f"; {summary.off_topic} off topic, not counted" if summary.off_topic else ""
    counts = f"{summary.articles} articles, {summary.sentences} sentences ({_list(summary.labels)}{off})"
    out.print(f"{counts}: {output}")
    if summary.dropped:
        kinds = _list(dict(sorted(summary.dropped.items(), key=lambda item: -item[1])))
        out.print(f"{sum(summary.dropped.values())} lines are no sentences ({kinds}); --show-dropped lists them")
    if summary.undated:
        dates = ", ".join(map(repr, summary.unclear))
        out.print(f"{summary.undated} articles have no sure date ({dates}); it is left empty")
    if summary.unknown:
        names = ", ".join(f"{name!r} ({count})" for name, count in sorted(summary.unknown.items()))
        sys.stderr.write(f"the model has not learned the targets {names}: labelled by what its targets share\n")
    if summary.rejected:
        out.print(f"{summary.rejects} inputs could not be read: {summary.rejected} says where and why")


def _list(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
