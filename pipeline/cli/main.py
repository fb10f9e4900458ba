"""Words to stage calls, exit codes. Each command imports its stage when it runs."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from pipeline.cli.console import out
from pipeline.cli.label import app as label
from pipeline.cli.summaries import (
    describe_trial,
    show_batch,
    show_comparison,
    show_data,
    show_evaluation,
    show_training,
    show_tuning,
)
from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.prediction import Summary
    from pipeline.training.selection import CandidateResult
    from pipeline.training.tuning.trials import Trial

app = typer.Typer(
    name="stance",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Learn from labelled sentences what news articles argue for in the policy toward North Korea, or what any "
    "texts argue for toward any target, and label new ones.",
    epilog="Examples:\n\n  stance train\n\n  stance eval\n\n  stance predict articles/ --output rows.csv",
)

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The YAML file that says what to do.")]
Model = Annotated[Path, typer.Option("--model", "-m", help="An exported model.")]
DEFAULT_CONFIG, DEFAULT_MODEL = Path("configs/default.yaml"), Path("models/champion")


@contextmanager
def _stoppable(then: str) -> Iterator[None]:
    """End on Ctrl-C and SIGTERM with one line and the shell's exit code, 130 and 143."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as stopped:
        sys.stderr.write(f"stance: stopped; {then}\n")
        raise typer.Exit(128 + (stopped.args or (signal.SIGINT,))[0]) from None
    finally:
        signal.signal(signal.SIGTERM, before)


@app.command(epilog="Example: stance data --config configs/default.yaml")
def data(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Check articles and labels; print counts, agreement and leaks."""
    from pipeline.config import read_config
    from pipeline.data.dataset import load_dataset

    settings = read_config(config)
    show_data(load_dataset(settings), settings)


@app.command(epilog="Example: stance split, then look at the new rows with `git diff seeds/index.csv`")
def split(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Give newly labelled articles a part, train or test; what has one never moves."""
    from pipeline.config import read_config
    from pipeline.data.dataset import INDEX, extend_index

    settings = read_config(config)
    new = extend_index(settings)
    for row in new:
        out.print(f"{row['article_id']}: {row['split']}")
    out.print(f"{len(new)} articles added to {settings.data.seeds / INDEX}; edit origin, outlet and date there")


@app.command(
    epilog="Examples: stance corpora    stance corpora --from clones/    "
    "stance corpora --from ../shared/corpora/real/sentences.jsonl"
)
def corpora(
    sources: Annotated[
        list[Path] | None,
        typer.Option("--from", help="A folder of clones, or tables that hold the text already; else it is downloaded."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Where training looks for them.")] = Path(".cache/corpora.jsonl"),
    labels: Annotated[Path, typer.Option(help="Labels that name their text by place.")] = Path("labels/external"),
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Bring the texts of the external labels to this machine, each sentence checked by its sha1."""
    from pipeline.config import read_config
    from pipeline.data import corpora as room
    from pipeline.progress import Bar

    known = room.read_external(labels, read_config(config).label_names)
    with Bar() as bar:
        if sources and all(source.is_file() for source in sources):
            found = room.load_texts(sources, known, read_config(config).label_names)
        elif sources:
            found = room.fetch_texts(known, room.clones(sources[0]), bar.update)
        else:
            found = room.fetch_texts(known, room.download(output.with_name("downloads")), bar.update)
    for name in found.vanished:
        sys.stderr.write(f"missing: {name}\n")
    for why, count in found.missing.most_common():
        out.print(f"{count} sentences left out: {why}")
    if not found.rows:
        raise InputError(output, "not one sentence could be had", then="see the reasons above")
    room.write_corpora(found, room.read_split(labels), output)
    counts = ", ".join(f"{n} {name}" for name, n in found.sources.most_common())
    out.print(f"{len(found.rows)} sentences ({counts}): {output}")
    out.print("Next: `stance train --config configs/full.yaml` trains with them.")


@app.command(epilog="Examples: stance train    stance train --config configs/smoke.yaml")
def train(
    config: ConfigFile = DEFAULT_CONFIG,
    promote: Annotated[bool, typer.Option("--promote", help="Make it champion even if it is worse.")] = False,
) -> None:
    """Cross-validate the candidates, select one, export it and register it in MLflow."""
    from pipeline.config import read_config
    from pipeline.progress import Bar
    from pipeline.training.train import train

    settings = read_config(config)

    def on_result(result: CandidateResult) -> None:
        found = result.macro_f1(result.held_out, settings.selection.resamples)
        sys.stderr.write(f"{result.candidate.name}: macro-F1 {found}\n")

    with Bar() as bar:
        outcome = train(settings, bar.update, on_result, promote=promote)
    show_training(outcome, settings)


@app.command(
    epilog="Examples: stance tune    stance tune configs/tune/default.yaml --trials 50 --output configs/tuned.yaml"
)
def tune(
    space: Annotated[Path, typer.Argument(metavar="SPACE", help="The YAML file that says what to try.")] = Path(
        "configs/tune/default.yaml"
    ),
    output: Annotated[Path, typer.Option("--output", "-o", help="The config to write.")] = Path("configs/tuned.yaml"),
    trials: Annotated[int | None, typer.Option(min=1, help="For each candidate, in place of what SPACE says.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Throw away the trials of earlier runs.")] = False,
) -> None:
    """Search the options of candidates by cross-validation; write the best as a config for `stance train`."""
    from pipeline.progress import Bar
    from pipeline.training.tuning import tune as search
    from pipeline.training.tuning.space import read_space

    wanted = read_space(space)

    def on_result(trial: Trial) -> None:
        sys.stderr.write(f"{describe_trial(trial, trials or wanted.trials)}\n")

    with _stoppable("finished trials are kept, the same command goes on from there"), Bar() as bar:
        outcome = search(wanted, output, bar.update, on_result, trials=trials, restart=restart)
    if outcome.resumed:
        sys.stderr.write(f"went on after {outcome.resumed} trials that an earlier run had finished\n")
    show_tuning(outcome, output)


@app.command("eval", epilog="Examples: stance eval    stance eval --data my-labels.jsonl")
def evaluate(
    model: Model = DEFAULT_MODEL,
    data: Annotated[Path | None, typer.Option(help="A labelled table of rows id, text, label.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Score the exported model on the test part, or on your own labelled file."""
    from pipeline.bundle import load_bundle
    from pipeline.config import read_config
    from pipeline.evaluation.evaluate import evaluate
    from pipeline.progress import Bar
    from pipeline.reporting.evaluation_page import publish

    bundle, settings = load_bundle(model), read_config(config)
    with Bar() as bar:
        whole = evaluate(bundle, settings, data, bar.update)
        bar.update(0.9, "write the report")
        page, unlogged = publish(whole, bundle, settings, data)
    show_evaluation(whole, bundle, settings)
    out.print(f"\nReport: {page}" + (f" (not logged: {unlogged})" if unlogged else ""), markup=False)


@app.command(
    epilog="Examples: stance predict articles/ --output rows.csv    "
    "cat rows.jsonl | stance predict - --output rows.parquet --unit sentence"
)
def predict(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Files .txt .html .jsonl .csv .parquet, folders, or -")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .jsonl, .csv or .parquet file.")],
    model: Model = DEFAULT_MODEL,
    unit: Annotated[
        Literal["article", "sentence"], typer.Option(help="Cut articles into sentences, or take each row as one.")
    ] = "article",
    restart: Annotated[bool, typer.Option("--restart", help="Throw away what a stopped run has done.")] = False,
    abstain: Annotated[
        bool, typer.Option("--abstain", help="Label `uncertain` what is less sure than the model's threshold.")
    ] = False,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="This process, or Ray on many cores or machines (OUTPUT: a folder).")
    ] = "local",
    ray_address: Annotated[str | None, typer.Option(help="A Ray cluster, HOST:PORT; else this machine.")] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Let the whole model score every sentence, plainly neutral ones too.")
    ] = False,
) -> None:
    """Label every sentence of new articles, one row each; goes on where an earlier run was stopped."""
    if ray_address and engine == "local":
        raise InputError("--ray-address", "is for --engine ray")
    options: dict[str, Any] = {"unit": unit, "restart": restart, "abstain": abstain, "exact": exact}
    if engine == "ray":
        from pipeline.prediction import distributed

        with _stoppable("nothing is kept; the same command begins anew"):
            done = distributed.predict(inputs, output, model, address=ray_address, **options)
        show_batch(done, output)
        return
    from pipeline.bundle import load_bundle
    from pipeline.prediction import predict as label
    from pipeline.progress import Bar

    with _stoppable(f"the same command goes on where {output} was stopped"), Bar() as bar:

        def show(done: Summary) -> None:
            left = "" if done.left is None else f", {timedelta(seconds=round(done.left))} left"
            counts = f"{done.articles:,} articles, {done.sentences:,} sentences"
            bar.update(done.share, f"{counts}, {done.rate:,.0f} a second{left}")

        summary = label(inputs, output, load_bundle(model), on_progress=show, **options)
    if summary.resumed:
        sys.stderr.write(f"went on after {summary.resumed:,} sentences that an earlier run had done\n")
    show_batch(summary, output)


@app.command(epilog="Example: stance compare models/champion models/full --data held-out.jsonl")
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="An exported model.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    data: Annotated[Path | None, typer.Option(help="A labelled table; else the test part.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Say whether model B is better than model A on the same rows, and how sure that is."""
    from pipeline.bundle import load_bundle
    from pipeline.config import read_config
    from pipeline.data.dataset import load_dataset, read_labelled
    from pipeline.evaluation.comparison import compare as judge

    a, b = load_bundle(first), load_bundle(second)
    rows = read_labelled(data, a.label_names) if data else load_dataset(read_config(config)).part("test")
    show_comparison(judge(a, b, rows), (first, second), rows)


@app.command(epilog="Example: stance adapt --unlabelled articles/ (hours on two cores, minutes on a GPU)")
def adapt(
    config: ConfigFile = Path("configs/full.yaml"),
    unlabelled: Annotated[
        list[Path] | None, typer.Option(help="Articles of the domain, without labels, to learn from as well.")
    ] = None,
    output: Annotated[Path, typer.Option(help="The adapter's folder.")] = Path("pipeline/pretrained/small"),
    only_first_stage: Annotated[
        bool,
        typer.Option("--first-stage", help="Only rebuild its first stage (minutes)."),
    ] = False,
) -> None:
    """Rebuild the pretrained model that ships, from the texts that `stance corpora` brought; goes on if interrupted."""
    from pipeline.classifiers.checkpoint import ADAPTER
    from pipeline.config import read_config
    from pipeline.progress import Bar
    from pipeline.training.pretrain import adapt, adapt_first_stage

    settings = read_config(config)
    with Bar() as bar:
        if not only_first_stage:
            card = adapt(settings, unlabelled or [], output, bar.update)
            out.print(f"{output}/: macro-F1 and 95 % interval on the validation part: {card['validation_macro_f1']}")
        if only_first_stage or output.resolve() == ADAPTER.resolve():
            found = adapt_first_stage(settings, unlabelled or [], ADAPTER, bar.update)
            out.print(f"first stage: {found}")


@app.command(epilog="Example: stance ui --port 5001")
def ui(port: Annotated[int, typer.Option(help="The port to listen on.")] = 5000) -> None:
    """Open the MLflow UI on this project's runs."""
    from pipeline.tracking import runs_page, serve_ui

    out.print(f"MLflow's UI: {runs_page(port)} (Ctrl-C stops it)")
    serve_ui(port)


@app.command(epilog="Example: stance rollback")
def rollback(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Return to the champion before this one; a second time comes back."""
    from pipeline import tracking
    from pipeline.config import read_config
    from pipeline.training import promotion

    folder = read_config(config).output
    now, before = promotion.rollback(folder)
    try:
        version = tracking.set_alias(tracking.CHAMPION, now)
        tracking.set_alias(tracking.PREVIOUS, before)
    except InputError:
        promotion.rollback(folder)  # folder and registry name the same champion, or nothing has happened
        raise
    registered = f"models:/stance/{version} (champion)" if version else "not registered in this store"
    out.print(f"{folder}/ is the model of run {now} again, {registered}.")


@app.command(epilog="Example: MLFLOW_TRACKING_URI=http://tracking:5000 stance sync")
def sync() -> None:
    """Send the runs that a tracking server did not take when it was down."""
    from pipeline.tracking import sync as send

    out.print(f"{send()} runs sent")


app.add_typer(label, name="label")


def main() -> None:
    """Run the command line; what the user can fix is one line and exit code 2."""
    try:
        app()
    except InputError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"stance: {error}", markup=False, style="red")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; what was finished is kept, the same command goes on from there\n")
        sys.exit(130)
