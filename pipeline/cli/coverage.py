"""What a batch of articles argues for: `stance coverage`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from pipeline.cli.console import out
from pipeline.cli.options import DEFAULT_CONFIG, DEFAULT_MODEL, ConfigFile, Model, read_config, stoppable
from pipeline.errors import InputError
from pipeline.progress import Bar

if TYPE_CHECKING:
    from pipeline.bundle import Bundle
    from pipeline.config import Config
    from pipeline.coverage.drift import Traits
    from pipeline.coverage.holders import Holders
    from pipeline.coverage.measure import Coverage, Labelled
    from pipeline.coverage.rows import Batch, Span
    from pipeline.reporting.coverage_words import Source

app = typer.Typer()
ROWS, ACTORS = "rows.jsonl", "actors.yaml"  # of the output; beside the config


@app.command(
    epilog="Examples: stance coverage rows.csv --output page/    "
    "stance coverage articles/ --output page/ --by outlet,quarter --labels labels/"
)
def coverage(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Rows of `stance predict`, or articles, which it predicts.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder for the page and its tables.")],
    by: Annotated[
        str | None,
        typer.Option(help="What to group by: outlet, target, speaker, week, month, quarter, year. Else time, outlet."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labelled sentences, a file or folder; those drawn at random correct the model.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Rows of an earlier batch that this one is compared with, a file or folder.")
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Log the page and its tables as a run in MLflow.")] = False,
    model: Model = DEFAULT_MODEL,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Say how much of the coverage takes which side, when and where, and how sure that is: a page and its tables."""
    from pipeline.coverage.measure import FEWEST_ARTICLES, measure
    from pipeline.coverage.periods import SPEAKER, check_dimensions, choose_period, read_events
    from pipeline.coverage.rows import find_rows
    from pipeline.reporting.coverage_page import write_page
    from pipeline.reporting.coverage_words import Source

    began = perf_counter()
    dimensions = None if by is None else check_dimensions(by)
    if output.exists() and not output.is_dir():
        raise InputError(output, "is a file", expected="a folder")
    using, events = _model(model, config), read_events(config.parent)
    actors = _find_actors(config.parent, using.sides)
    if actors is None and SPEAKER in (dimensions or ()):
        then = f"put a table of actors there, name two sides in the config (`positive`), or leave {SPEAKER} out"
        raise InputError("--by", f"{SPEAKER} needs two sides and {config.parent / ACTORS}", then=then)
    before = _read_reference(reference, using)
    files = find_rows(inputs, using.label_names) or [_predict(inputs, output / ROWS, using.bundle, model)]
    wanted, texts = _read_labels(labels, using.label_names)
    with _open_holders(actors, using.sides, output) as holders:
        batch = _read(files, using, wanted=texts, sides=using.sides, holders=holders)
    if dimensions is None:
        dimensions = [*filter(None, [choose_period(batch.dates, FEWEST_ARTICLES)]), "outlet"]
    foreign = using.bundle is not None and not batch.quotes.fit(using.bundle)
    labelled, others = _labelled(batch, wanted, using, before, foreign=foreign)
    measured = measure(batch, labelled, dimensions, using.sides, others)
    names = ", ".join(map(str, files))
    source = Source(names, using.name, len(wanted), _read_rejected(files), events, foreign)
    page = write_page(measured, batch, source, output)
    _show(measured, batch, page)
    if log:
        _log(measured, source, page, using, perf_counter() - began)


def _show(measured: Coverage, batch: Batch, page: Path) -> None:
    """Print what the batch says and where the page is, and which rows do not count."""
    from pipeline.reporting.coverage_words import alike, answer, leaning, speaking

    if batch.rejects:
        sys.stderr.write(f"{batch.rejects.total():,} rows do not count; the first: {batch.first_reject}\n")
    said = (answer(measured), leaning(measured), speaking(batch), alike(measured), f"Page: {page}")
    out.print("\n".join(filter(None, said)))


def _log(measured: Coverage, source: Source, page: Path, using: _Using, seconds: float) -> None:
    """Log the page and its tables as a run, with the tags that trainings have."""
    from pipeline.reporting.coverage_page import log_page
    from pipeline.training.provenance import run_tags

    digest = using.bundle.manifest.data.digest if using.bundle else ""
    tags = run_tags(using.config, digest) if using.config else {}
    run_id = log_page(measured, source, page, using.bundle, experiment=using.experiment, tags=tags, seconds=seconds)
    out.print(f"Logged as run {run_id} of the experiment {using.experiment}")


class _Using(NamedTuple):
    """The model, or what the config says where none was trained here."""

    label_names: tuple[str, ...]
    sides: tuple[str, ...]
    config: Config | None
    bundle: Bundle | None = None
    name: str = "unknown"

    @property
    def experiment(self) -> str:
        return self.config.registered_model if self.config else "stance"


def _model(model: Path, config: Path) -> _Using:
    from pipeline.bundle import load_bundle

    settings = read_config(config) if config != DEFAULT_CONFIG or config.exists() else None
    if settings and model == DEFAULT_MODEL and not model.exists():
        return _Using(settings.label_names, settings.positive, settings)
    bundle = load_bundle(model)
    sides = bundle.manifest.positive
    if not sides and settings and set(settings.label_names) == set(bundle.label_names):
        sides = settings.positive  # the model was exported before they were named
    return _Using(bundle.label_names, sides, settings, bundle, str(model))


def _read(files: list[Path], using: _Using, **asked: Any) -> Batch:
    from pipeline.coverage.rows import read_batch

    threshold = using.bundle.abstention.confidence if using.bundle else None
    with Bar() as bar:
        return read_batch(files, using.label_names, bar.update, threshold=threshold, **asked)


def _read_reference(reference: Path | None, using: _Using) -> Batch | None:
    """Return the earlier batch that this one is compared with, if one is named."""
    from pipeline.coverage.rows import find_rows

    if reference is None:
        return None
    files = find_rows([reference], using.label_names)
    if not files:
        raise InputError(reference, "holds no predicted rows", expected="rows of `stance predict`")
    return _read(files, using)


def _find_actors(configs: Path, sides: tuple[str, ...]) -> Path | None:
    """Return the table of actors beside the config; None where there is none, or there are not two sides."""
    table = configs / ACTORS
    return table if len(sides) == 2 and table.is_file() else None


@contextmanager
def _open_holders(table: Path | None, sides: tuple[str, ...], output: Path) -> Iterator[Holders | None]:
    """Yield what gathers who takes a side, and writes it down; None without a table of actors."""
    from pipeline.coverage.actors import read_actors
    from pipeline.coverage.holders import NAME, Holders
    from pipeline.data.files import write_whole

    if table is None:
        yield None
        return
    actors = read_actors(table)
    with (
        write_whole(output / NAME) as partial,
        partial.open("w", encoding="utf-8-sig", errors="replace", newline="") as stream,
    ):
        yield Holders(actors, sides, stream)


def _read_rejected(files: list[Path]) -> Counter[str]:
    """Return why articles have no rows, and how many: what `stance predict` wrote beside its rows."""
    from pipeline.coverage.rows import REJECTED
    from pipeline.data.formats.rows import Row
    from pipeline.data.tables import read_rows

    rejected = [file.with_name(file.name + REJECTED) for file in files]
    rows = (row for file in rejected if file.is_file() for row in read_rows(file) if isinstance(row, Row))
    return Counter(str(row.fields.get("why") or "could not be read") for row in rows)


def _predict(inputs: list[str], rows: Path, bundle: Bundle | None, model: Path) -> Path:
    """Predict articles first; goes on where an earlier run was stopped."""
    from pipeline.bundle import load_bundle
    from pipeline.prediction import predict

    rows.parent.mkdir(parents=True, exist_ok=True)
    with stoppable("the same command goes on from there"), Bar() as bar:
        predict(
            inputs,
            rows,
            bundle or load_bundle(model),
            on_progress=lambda done: bar.update(
                done.share, f"{done.articles:,} articles, {done.sentences:,} sentences"
            ),
        ).check(rows)
    return rows


def _read_labels(path: Path | None, label_names: tuple[str, ...]) -> tuple[dict[Span, str], dict[Span, str]]:
    """Return the labels, and the texts, of the sentences that were drawn at random."""
    from pipeline.data.annotations import RANDOM, adjudicate, read_labels

    if path is None:
        return {}, {}
    rows = [row for row in read_labels(path, label_names) if row.sampling == RANDOM]
    if not rows:
        raise InputError(path, f"holds no sentence with `sampling: {RANDOM}`", expected="some drawn by `label suggest`")
    return adjudicate(rows), {row.span: row.text for row in rows}


def _labelled(
    batch: Batch, labels: dict[Span, str], using: _Using, before: Batch | None, *, foreign: bool
) -> tuple[Labelled, Traits | None]:
    """Return what corrects the model, the person's own labels or what ships with it, and what the batch is like."""
    from pipeline.coverage.drift import Traits
    from pipeline.coverage.held_out import find_held_out
    from pipeline.coverage.measure import describe_batch, describe_held_out, from_held_out, from_own_labels

    own = from_own_labels(batch, labels)
    if labels:
        sys.stderr.write(f"{own.sentences:,} of {len(labels):,} sentences labelled at random stand in these rows\n")
    facts = None
    if using.bundle and not foreign:
        facts = find_held_out(batch.label_names, using.bundle.predict_proba)
    labelled = own if own.enough or facts is None else from_held_out(facts, using.sides, batch.least)
    if before:
        return labelled, describe_batch(before, "the earlier rows")
    if own.enough:
        return own, Traits("your labelled sentences", own.sums, facts.words if facts else None)
    return labelled, describe_held_out(facts, batch.threshold) if facts else None
