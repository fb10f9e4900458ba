"""The words of the labelling loop: `stance label ...`. Each command imports its room when it runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Argument, Option
from typer.core import TyperGroup

from pipeline.cli.console import out, print_table
from pipeline.cli.options import DEFAULT_CONFIG, DEFAULT_MODEL, Model, command, read_config
from pipeline.errors import InputError
from pipeline.progress import Bar

if TYPE_CHECKING:
    from pipeline.data.annotations import Annotation as Label
    from pipeline.data.formats.rows import Reject, Row
    from pipeline.labelling.agreement import Agreement


class _BatchOrCommand(TyperGroup):
    """`stance label batch.csv` labels that batch: what is no command is a file."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `start` before a file's name; a word without a suffix is a command, or nearly one."""
        if args and not args[0].startswith("-") and Path(args[0]).suffix and args[0] not in self.commands:
            args = ["start", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_BatchOrCommand,
    no_args_is_help=True,
    help="From new articles to better labels with the least reading. `stance label BATCH.csv` labels in the terminal.",
    epilog="Examples:\n\n  stance label suggest new/ --number 100 --output batch.csv\n\n  stance label batch.csv\n\n"
    "  stance label import batch.csv --annotator anna --articles new/",
)
ConfigFile = Annotated[Path, Option("--config", "-c", help="The YAML file that says where labels are.")]
Correct = Annotated[bool, Option("--correct", help="Let a new label take the place of the annotator's earlier one.")]
Strategy = Literal["margin", "entropy", "least_confidence", "random"]
Part = Literal["train", "test", "all"]
Order = Literal["confidence", "cleanlab"]
Output = Annotated[Path, Option("--output", "-o", help="A .csv, .xlsx, .jsonl, or .json (Label Studio) file.")]


@app.command(epilog="Example: stance label suggest new/ --number 100 --output batch.csv")
def suggest(
    inputs: Annotated[list[str], Argument(metavar="ARTICLES...", help="Files, folders, or -")],
    output: Output,
    number: Annotated[int, Option(min=1, help="How many sentences.")] = 100,
    strategy: Annotated[Strategy, Option(help="Which sentences come first.")] = "margin",
    random_share: Annotated[float, Option(min=0, max=1, help="Share drawn blindly, to estimate from.")] = 0.1,
    model: Model = DEFAULT_MODEL,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Pick the sentences of new articles whose labels would teach the model most."""
    from pipeline.bundle import load_bundle
    from pipeline.labelling.choice import Plan
    from pipeline.labelling.exchange import check_output, write_batch
    from pipeline.labelling.project import read_project
    from pipeline.labelling.suggestion import suggest as pick

    check_output(output)
    settings = read_config(config)
    if own := read_project(settings).own(settings):
        out.print(f"Your own labels so far: {_count(own, settings.label_names)}.")
    plan = Plan(number, strategy, random_share, settings.random_state)
    with Bar() as bar:
        batch = pick(inputs, load_bundle(model), settings, plan, bar.update)
    write_batch(output, batch.rows, settings.label_names)
    _print_rejects(batch.pool.rejects)
    for why, count in batch.pool.left_out.most_common():
        out.print(f"{count} sentences left out: {why}")
    blind = sum(row["sampling"] == "random" for row in batch.rows)
    each = _by_label([row["guess"] for row in batch.rows], settings.label_names)
    out.print(f"{len(batch.rows)} of {len(batch.pool.sentences)} sentences ({each}; {blind} drawn at random): {output}")
    if output.suffix == ".json":
        interface = f"paste {output.with_suffix('.xml')} as the labelling interface"
        out.print(f"Next: in Label Studio, {interface}, import {output}")
        output = Path("EXPORT.json")
    elif output.suffix == ".xlsx":
        out.print("Next: fill the column `label` in a spreadsheet")
    else:
        out.print(f"Next: {command('label', output, config=config)}, or fill the column `label` elsewhere")
    out.print(f"Then: {_import(output, ['ARTICLES' if word == '-' else word for word in inputs], config)}")


def _import(batch: Path, articles: Sequence[str], config: Path) -> str:
    sources = [word for name in articles for word in ("--articles", name)]
    return command("label", "import", batch, "--annotator", "NAME", *sources, config=config)


def _print_rejects(rejects: Iterable[Reject]) -> None:
    for reject in rejects:
        out.print(f"left out: {reject}")


@app.command(epilog="Example: stance label batch.csv")
def start(
    batch: Annotated[Path, Argument(metavar="BATCH", help="A .csv or .jsonl batch.")],
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Label a batch in the terminal: 1 2 3, skip, undo, note; each answer is saved at once."""
    from pipeline.labelling.terminal import label_batch

    labelled, rows = label_batch(batch, read_config(config).label_names)
    out.print(f"{labelled} of {rows} sentences have a label: {batch}")
    out.print(f"Next: {_import(batch, ['ARTICLES'], config)}")


@app.command("import", epilog="Example: stance label import batch.csv --annotator anna --articles new/")
def import_(
    file: Annotated[Path, Argument(help="A filled batch, or a Label Studio export (.json or .csv).")],
    annotator: Annotated[str, Option(help="Whose annotations these are; a row's own name comes behind it.")] = "",
    articles: Annotated[list[Path] | None, Option(help="New articles, which join the seeds.")] = None,
    old_codebook: Annotated[bool, Option(help="Take annotations made under another version.")] = False,
    correct: Correct = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Check every row of a batch, then add all of them to the labels or none."""
    from pipeline.data.annotations import ADJUDICATED, FORMERLY
    from pipeline.labelling.exchange import read_batch

    if annotator in (ADJUDICATED, FORMERLY):
        then = f"record them with {command('label', 'adjudicate', config=config)}"
        raise InputError(f"--annotator {annotator}", "is kept for decisions", then=then)
    options = {"annotator": annotator, "articles": articles or [], "old_codebook": old_codebook, "correct": correct}
    _take_in(read_batch(file), config, options)


def _take_in(rows: list[Row], config: Path, options: dict[str, Any]) -> None:
    from pipeline.labelling.importing import LABELS, import_batch

    settings = read_config(config)
    done = import_batch(rows, settings, **options)
    _print_rejects(done.rejects)
    if done.added:
        out.print(f"{_count(done.added, settings.label_names, 'added ')}: {settings.data.labels / LABELS}")
    else:
        out.print("0 annotations added")
    split, decide = command("split", config=config), command("label", "adjudicate", config=config)
    for count, what in [
        (len(done.corrected), "annotations took the place of earlier ones"),
        (done.known, "rows were there already and changed nothing"),
        (done.unlabelled, "rows have no label yet"),
        (done.restored, "rows with changed quotes, spaces or ids were taken by the article's own text"),
        (len(done.articles), f"articles joined the seeds; {split} gives them a part"),
        (done.undecided, f"sentences are evenly split now; decide with {decide}"),
    ]:
        if count:
            out.print(f"{count} {what}")


@app.command(
    epilog="Examples: stance label adjudicate --output conflicts.csv    then stance label adjudicate conflicts.csv"
)
def adjudicate(
    file: Annotated[Path | None, Argument(help="Decided conflicts or a decided review.")] = None,
    output: Annotated[Path | None, Option("--output", "-o", help="Write the conflicts here to decide.")] = None,
    every: Annotated[bool, Option("--all", help="Also what a majority decides.")] = False,
    correct: Correct = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Show sentences on which annotators are evenly split, or record decisions."""
    from pipeline.data.annotations import ADJUDICATED
    from pipeline.labelling.agreement import conflicts
    from pipeline.labelling.exchange import check_output, read_batch, write_batch
    from pipeline.labelling.project import read_project

    if file is not None:
        decisions = read_batch(file)
        for decision in decisions:
            decision.fields.pop("annotator", None)
        _take_in(decisions, config, {"annotator": ADJUDICATED, "correct": correct})
        return
    settings = read_config(config)
    if output:
        check_output(output)
    rows = conflicts(read_project(settings), every=every)
    for row in rows:
        out.print(f"{row['article_id']}:{row['start']}-{row['end']}  {row['votes']}", style="bold")
        out.print(f"  {row['text']}\n")
    out.print(f"{len(rows)} sentences to decide")
    if output and rows:
        write_batch(output, rows, settings.label_names)
        out.print(f"Next: label {output}, then {command('label', 'adjudicate', output, config=config)}")
    elif rows:
        words = ("label", "adjudicate", *(["--all"] if every else []), "--output", "conflicts.csv")
        out.print(f"Next: {command(*words, config=config)} writes them to a file to decide")


@app.command(epilog="Example: stance label agreement")
def agreement(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Show how far annotators agree: alpha, kappa by pair, confusions, by label and by month."""
    from pipeline.labelling.agreement import (
        compare_annotators,
        estimate_shares,
        measure_agreement,
        measure_by,
        measure_by_label,
    )
    from pipeline.labelling.project import read_project

    settings = read_config(config)
    project = read_project(settings)
    own = project.own(settings)
    names, rows, state = settings.label_names, own or project.annotations, settings.random_state
    shipped = len(project.annotations) - len(rows)
    if shipped:
        out.print(f"Your own labels: {_count(own, names)}. The {shipped:,} annotations that ship are left out here.\n")
    overall = measure_agreement(rows, names, random_state=state)
    if overall is None:
        out.print(f"No sentence{' of your own' * bool(shipped)} was annotated by two annotators yet.")
    else:
        months = measure_by(lambda row: project.month(row.article_id), rows, names, random_state=state)
        _print_alpha({"all": overall} | measure_by_label(rows, names, random_state=state) | months)
        for pair in compare_annotators(rows, names):
            title = f"\n{pair.first} (rows) and {pair.second} (columns): kappa {pair.kappa:.3f}"
            print_table(
                ((name, *counts) for name, counts in zip(names, pair.matrix, strict=True)), "", *names, title=title
            )
    for name, share in estimate_shares(rows, names).items():
        out.print(f"Share of {name} in running text, from sentences drawn at random: {share}")


def _count(annotations: Sequence[Label], names: Sequence[str], done: str = "") -> str:
    """Say how many annotations there are, by label."""
    return f"{len(annotations)} annotations {done}({_by_label([row.label for row in annotations], names)})"


def _by_label(labels: Sequence[str], names: Sequence[str]) -> str:
    return ", ".join(f"{labels.count(name)} {name}" for name in names)


def _print_alpha(measured: dict[str, Agreement]) -> None:
    rows = []
    for name, own in measured.items():
        # One article alone has no spread to measure.
        known = own.low < own.high or not own.differ
        interval = f"{own.low:.3f} to {own.high:.3f}" if known else ""
        rows.append((name, f"{own.alpha:.3f}", interval, own.spans, own.differ))
    print_table(rows, "Krippendorff's alpha", "alpha", "95 % interval", "sentences", "differ")


@app.command(epilog="Example: stance label review --number 50 --output review.csv")
def review(
    output: Output,
    number: Annotated[int, Option(help="How many sentences at most.")] = 50,
    part: Annotated[Part, Option(help="Whose labels.")] = "train",
    order: Annotated[Order, Option(help="What comes first; cleanlab needs the extra `review`.")] = "confidence",
    candidate: Annotated[str, Option(help="The model to cross-validate: a candidate of the config.")] = "tfidf",
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Write existing labels, the least believable first, to look at again."""
    from pipeline.labelling.exchange import check_output, write_batch
    from pipeline.labelling.review import find_candidate
    from pipeline.labelling.review import review as look

    check_output(output)
    settings = read_config(config)
    chosen = find_candidate(settings, candidate)
    with Bar() as bar:
        rows = look(settings, chosen, part=part, order=order, number=number, on_progress=bar.update)
    write_batch(output, rows, settings.label_names)
    out.print(f"{len(rows)} sentences to look at again: {output}")
    out.print(f"Next: label only those that are wrong, then {command('label', 'adjudicate', output, config=config)}")


@app.command(
    epilog="Examples: stance label export labels.csv    stance label export random.jsonl --examples --sampling random"
)
def export(
    output: Annotated[Path, Argument(help="A .csv, .xlsx, .jsonl, or .json (Label Studio) file.")],
    examples: Annotated[bool, Option(help="Adjudicated rows as `stance eval --data` reads them (.jsonl).")] = False,
    sampling: Annotated[str, Option(help="With --examples: only sentences that were chosen so.")] = "",
    part: Annotated[str, Option(help="With --examples: only this part, train or test.")] = "",
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Write all annotations for use elsewhere, or adjudicated examples to score a model on."""
    from pipeline.labelling.agreement import annotation_rows, example_rows
    from pipeline.labelling.exchange import check_suffix, write_batch
    from pipeline.labelling.project import read_project

    check_suffix(output)
    if examples and output.suffix != ".jsonl":
        raise InputError(output, "is no JSONL", expected="a .jsonl file for --examples")
    settings = read_config(config)
    project = read_project(settings)
    rows = example_rows(project, sampling=sampling, part=part) if examples else annotation_rows(project)
    if not rows:
        raise InputError(output, "there is nothing to export", then=f"see {command('data', config=config)}")
    write_batch(output, rows, settings.label_names)
    out.print(f"{len(rows)} {'examples' if examples else 'annotations'}: {output}")
