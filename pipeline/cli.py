"""Words to stage calls, summaries, exit codes. Each command imports its stage when it runs."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from pipeline.cli_label import app as label
from pipeline.console import out
from pipeline.console import table as new_table
from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.evaluation import Evaluation
    from pipeline.evaluation import Table as Scores
    from pipeline.prediction import Summary
    from pipeline.selection import Result
    from pipeline.training import Outcome
    from pipeline.tuning.trials import Trial

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
    from pipeline.dataset import load_dataset
    from pipeline.labels import agreement

    settings = read_config(config)
    dataset = load_dataset(settings)
    table = new_table("origin", "part", "articles", "sentences", *settings.label_names)
    for place in [*sorted({(e.origin, e.split) for e in dataset.examples}), None]:
        rows = [e for e in dataset.examples if place in (None, (e.origin, e.split))]
        counts = Counter(e.label for e in rows)
        numbers = [len({e.article_id for e in rows}), len(rows), *(counts[name] for name in settings.label_names)]
        table.add_row(*(place or ("all", "")), *map(str, numbers), style=None if place else "bold")
    out.print(table)
    if dataset.unlabelled:
        out.print(f"{dataset.unlabelled} articles have no label yet")
    found = agreement(dataset.judgements, settings.label_names, random_state=settings.random_state)
    if found:
        out.print(
            f"\nAgreement of annotators: Krippendorff's alpha {found.alpha:.3f} "
            f"[{found.low:.3f}, {found.high:.3f}] over {found.spans} sentences judged twice; "
            f"{found.differ} differed and were settled."
        )
    out.print(
        f"Leak report: {len(dataset.duplicates)} pairs of near-duplicate articles, {dataset.across or 'none'} across "
        "the split; "
        f"{len(dataset.leaks)} sentences of the train part stand in another part too and are withheld."
    )
    for leak in dataset.leaks[:10]:
        out.print(f"  {leak.first} ~ {leak.second} ({leak.overlap:.0%})")
    if settings.data.source:
        out.print(f"Text and labels are those of {settings.data.source}.")
        return
    out.print(f"Labels are a language model's reading under {settings.data.labels / 'CODEBOOK.md'}.")
    out.print(f"The articles of origin {', '.join(settings.data.invented)} are invented.")


@app.command(epilog="Example: stance split, then look at the new rows with `git diff seeds/index.csv`")
def split(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Give newly labelled articles a part, train or test; what has one never moves."""
    from pipeline.config import read_config
    from pipeline.dataset import INDEX, extend_index

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
    from pipeline import corpora as room
    from pipeline.config import read_config
    from pipeline.progress import Bar

    known = room.read_external(labels, read_config(config).label_names)
    with Bar() as bar:
        if sources and all(source.is_file() for source in sources):
            found = room.rebuilt(sources, known, read_config(config).label_names)
        elif sources:
            found = room.hydrate(known, room.clones(sources[0]), bar.update)
        else:
            found = room.hydrate(known, room.download(output.with_name("downloads")), bar.update)
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
    from pipeline.training import train

    settings = read_config(config)

    def announce(result: Result) -> None:
        found = result.macro_f1(result.unseen, settings.selection.resamples)
        sys.stderr.write(f"{result.candidate.name}: macro-F1 {found}\n")

    with Bar() as bar:
        outcome = train(settings, bar.update, announce, promote=promote)
    _print_outcome(outcome, settings)


def _print_outcome(outcome: Outcome, settings: Config) -> None:
    from pipeline.comparison import against_tfidf
    from pipeline.training import describe_scores

    title = "Candidates on rows that are new to them: macro-F1, of real and of invented text, and F1 of each label"
    positive = (f"F1 of {', '.join(settings.positive)}",) if settings.positive else ()
    columns = ("rows", "macro-F1", "95 % interval", *positive, "real", "invented", *settings.label_names, "seconds")
    table = new_table("candidate", *columns, title=title)
    for result in outcome.results:
        scores = describe_scores(result, settings)
        chosen = result is outcome.selected
        numbers = [f"{scores[f'f1_{name}']:.3f}" for name in settings.label_names]
        apart = [scores.get(f"macro_f1_{kind}") for kind in ("real", "invented")]
        table.add_row(
            result.candidate.name + (" *" if chosen else ""),
            f"{scores['rows']:.0f}",
            f"{scores['macro_f1']:.3f}",
            f"{scores['macro_f1_low']:.3f} to {scores['macro_f1_high']:.3f}",
            *(f"{scores['positive_f1']:.3f}" for _ in positive),
            *("" if score is None else f"{score:.3f}" for score in apart),
            *numbers,
            f"{result.seconds:.0f}",
            style="bold" if chosen else None,
        )
    out.print(table)
    real = outcome.results[0].real
    if not real.all():
        words = "rows are real text; scores on invented text are no guide to news."
        out.print(f"{int(real.sum())} of the {len(real)} {words}")
    if not all(result.unseen.all() for result in outcome.results):
        out.print("The shipped start has learned from the invented train text: it is scored on the real rows alone.")
    if gains := against_tfidf(outcome.results, settings):
        out.print("\nMacro-F1 against tfidf on the same held-out rows (paired bootstrap over articles):")
        for gain in gains:
            out.print(f"  {gain} (on {gain.rows:,} rows)")
    out.print(f"\n* selected: {outcome.reason}.")
    out.print(f"Abstaining: {outcome.abstention}.")
    alias = outcome.folder.name if outcome.verdict.promoted else "challenger"
    out.print(f"{outcome.verdict}", markup=False)
    out.print(f"Exported to {outcome.folder}/, registered as models:/stance/{outcome.model_version} ({alias}).")
    if not outcome.verdict.promoted:
        out.print(f"{settings.output}/ is unchanged; `stance train --promote` would replace it all the same.")
    out.print("Next: `make eval` scores it on the test part; `make ui` shows the runs.")


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
    from pipeline.cli_tune import describe, show
    from pipeline.progress import Bar
    from pipeline.tuning import tune as search
    from pipeline.tuning.space import read_space

    wanted = read_space(space)

    def announce(trial: Trial) -> None:
        sys.stderr.write(f"{describe(trial, trials or wanted.trials)}\n")

    with _stoppable("finished trials are kept, the same command goes on from there"), Bar() as bar:
        outcome = search(wanted, output, bar.update, announce, trials=trials, restart=restart)
    if outcome.resumed:
        sys.stderr.write(f"went on after {outcome.resumed} trials that an earlier run had finished\n")
    show(outcome, output)


@app.command("eval", epilog="Examples: stance eval    stance eval --data my-labels.jsonl")
def evaluate(
    model: Model = DEFAULT_MODEL,
    data: Annotated[Path | None, typer.Option(help="A labelled table of rows id, text, label.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Score the exported model on the test part, or on your own labelled file."""
    from pipeline.bundle import load_bundle
    from pipeline.config import read_config
    from pipeline.evaluation import FLOORS, review
    from pipeline.progress import Bar
    from pipeline.report import publish

    bundle, settings = load_bundle(model), read_config(config)
    with Bar() as bar:
        whole = review(bundle, settings, data, bar.update)
        bar.update(0.9, "write the report")
        page, unlogged = publish(whole, bundle, settings, data)
    tables = whole.tables
    floors = [name for name in FLOORS if name in tables[0].floors]
    positive = (
        (f"F1 of {', '.join(bundle.label_names[label] for label in bundle.positive)}",) if bundle.positive else ()
    )
    table = new_table("rows", "articles", "sentences", "macro-F1", "95 % interval", *positive, *floors)
    for found in tables:
        table.add_row(
            found.name,
            str(found.articles),
            str(found.rows),
            f"{found.macro_f1.value:.3f}",
            f"{found.macro_f1.low:.3f} to {found.macro_f1.high:.3f}" + ("" if not found.note else " †"),
            *([f"{found.positive_f1.value:.3f}"] if found.positive_f1 else []),
            *(f"{found.floors[name].value:.3f}" if name in found.floors else "" for name in floors),
        )
    out.print(table)
    if any(found.note for found in tables):
        out.print("† fewer than ten articles: the interval is over sentences.")
    _print_confidence(whole)
    for found in tables:
        _print_classes(found, bundle.label_names)
    for part in whole.weakest[:4]:
        out.print(f"Weak on {part.dimension}: {part.value}, macro-F1 {part.macro_f1}, {len(part.rows)} sentences")
    if whole.behaviour and whole.floor_behaviour:
        cases, rates = len(whole.behaviour.trials), (whole.behaviour.rate, whole.floor_behaviour.rate)
        out.print(f"Behaviour: {rates[0]:.0%} of {cases} cases pass; a keyword list passes {rates[1]:.0%}.")
    hidden = f"{whole.audit.change.value:+.3f} macro-F1 with the obvious words hidden; " if whole.audit.change else ""
    single = f"{whole.audit.share:.0%} of {whole.audit.looked_at} stance predictions hang on one word."
    out.print(f"Keywords: {hidden}{single}")
    if whole.untried:
        out.print(f"Not tried, because the config names none: {', '.join(whole.untried)}.")
    if not settings.data.source:
        out.print("Labels are a language model's reading under the codebook; authored articles are invented.")
    out.print(f"\nReport: {page}" + (f" (not logged: {unlogged})" if unlogged else ""), markup=False)


def _print_confidence(whole: Evaluation) -> None:
    """Print how far confidence can be believed, and what the threshold for abstaining comes to."""
    from pipeline.abstention import SHARES
    from pipeline.findings import describe_answers, describe_first_stage

    asked = whole.abstention
    title = "\nConfidence: calibration error, Brier score; answered, and right of these, from the threshold on"
    table = new_table("rows", "ECE [95 %]", "Brier [95 %]", "answered [95 %]", "right [95 %]", title=title)
    for found in whole.tables:
        sure = [str(score) if score else "" for score in (found.answered, found.answered_right)]
        table.add_row(found.name, str(found.ece), str(found.brier), *sure)
    out.print(table)
    if whole.answered_by_label:
        out.print(f"Right from the threshold on, by label: {describe_answers(whole)} ({whole.tables[0].name}).")
    out.print(f"Threshold: {asked}." if asked else "Threshold: the model's manifest holds none; train again.")
    surest = ", ".join(f"{whole.coverage.at(share):.1%} of the surest {share:.0%}" for share in SHARES)
    out.print(f"Right without a threshold: {surest}; area under the risk-coverage curve {whole.coverage.aurc:.3f}.")
    if whole.first_stage:
        out.print(describe_first_stage(whole))


def _print_classes(found: Scores, label_names: tuple[str, ...]) -> None:
    from pipeline.metrics import f1, precision, recall

    table = new_table("label", "precision", "recall", "F1", "sentences", title=f"\n{found.name.strip()}, per label")
    columns = zip(
        label_names, precision(found.matrix), recall(found.matrix), f1(found.matrix), found.matrix.sum(1), strict=True
    )
    for name, *scores, rows in columns:
        table.add_row(name, *(f"{score:.3f}" for score in scores), str(int(rows)))
    out.print(table)


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
        _print_batch(done, output)
        return
    from pipeline.bundle import load_bundle
    from pipeline.prediction import predict as label
    from pipeline.progress import Bar

    with _stoppable(f"the same command goes on where {output} was stopped"), Bar() as bar:

        def report(done: Summary) -> None:
            left = "" if done.left is None else f", {timedelta(seconds=round(done.left))} left"
            counts = f"{done.articles:,} articles, {done.sentences:,} sentences"
            bar.update(done.share, f"{counts}, {done.rate:,.0f} a second{left}")

        summary = label(inputs, output, load_bundle(model), report=report, **options)
    if summary.resumed:
        sys.stderr.write(f"went on after {summary.resumed:,} sentences that an earlier run had done\n")
    _print_batch(summary, output)


def _print_batch(summary: Summary, output: Path) -> None:
    counts = ", ".join(f"{n} {name}" for name, n in (summary.labels or {}).items())
    out.print(f"{summary.articles} articles, {summary.sentences} sentences ({counts}): {output}")
    if summary.unknown:
        names = ", ".join(f"{name!r} ({count})" for name, count in sorted(summary.unknown.items()))
        sys.stderr.write(f"the model has not learned the targets {names}: labelled by what its targets share\n")
    if summary.rejected:
        out.print(f"{summary.rejects} inputs could not be read: {summary.rejected} says where and why")


@app.command(epilog="Example: stance compare models/champion models/full --data held-out.jsonl")
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="An exported model.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    data: Annotated[Path | None, typer.Option(help="A labelled table; else the test part.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Say whether model B is better than model A on the same rows, and how sure that is."""
    from pipeline.bundle import load_bundle
    from pipeline.comparison import compare as judge
    from pipeline.config import read_config
    from pipeline.dataset import load_dataset, read_labelled

    a, b = load_bundle(first), load_bundle(second)
    rows = read_labelled(data, a.label_names) if data else load_dataset(read_config(config)).part("test")
    found = judge(a, b, rows)
    table = new_table("model", "macro-F1", "95 % interval", "right where the other is wrong")
    lines = [(f"A {first}", found.first, found.only_first), (f"B {second}", found.second, found.only_second)]
    for name, score, alone in lines:
        table.add_row(name, f"{score.value:.3f}", f"{score.low:.3f} to {score.high:.3f}", str(alone))
    out.print(table)
    articles = len({row.group for row in rows})
    out.print(f"\nMacro-F1 on {len(rows)} sentences of {articles} articles: {found.verdict}.")
    out.print(f"McNemar's exact test on the rows where one alone is right: p = {found.p_value:.3g}.")


@app.command(epilog="Example: stance adapt --unlabelled articles/ (hours on two cores, minutes on a GPU)")
def adapt(
    config: ConfigFile = Path("configs/full.yaml"),
    unlabelled: Annotated[
        list[Path] | None, typer.Option(help="Articles of the domain, without labels, to learn from as well.")
    ] = None,
    output: Annotated[Path, typer.Option(help="The adapter's folder.")] = Path("pipeline/adapter"),
    only_first_stage: Annotated[
        bool, typer.Option("--first-stage", help="Only rebuild the first stage before the start that ships (minutes).")
    ] = False,
) -> None:
    """Rebuild the start that ships, from the texts that `stance corpora` brought; goes on if interrupted."""
    from pipeline.adaptation import adapt, adapt_first_stage
    from pipeline.classifiers.checkpoint import ADAPTER
    from pipeline.config import read_config
    from pipeline.progress import Bar

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
    from pipeline import promotion, tracking
    from pipeline.config import read_config

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
