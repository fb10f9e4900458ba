"""From files to one data set: `stance data`, `split`, `corpora`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text
from typer import Option

from pipeline.cli.console import out, print_table
from pipeline.cli.options import DEFAULT_CONFIG, ConfigFile, command, read_config
from pipeline.errors import InputError
from pipeline.progress import Bar

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.data.dataset import Dataset

app = typer.Typer()
SHOWN = 5  # texts


@app.command(epilog="Example: stance data --config configs/default.yaml")
def data(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Check articles and labels; print counts, agreement and leaks."""
    from pipeline.data.dataset import load_dataset

    settings = read_config(config)
    show_data(load_dataset(settings), settings, config)


@app.command(epilog="Example: stance split, then look at the new rows with `git diff seeds/index.csv`")
def split(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Give newly labelled articles a part, train or test; what has one never moves."""
    from pipeline.data.seeds import INDEX, extend_index

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
        Option("--from", help="Folders of clones, and tables that hold the text already; else it is downloaded."),
    ] = None,
    output: Annotated[Path, Option(help="Where training looks for them.")] = Path(".cache/corpora.jsonl"),
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Bring the texts of the external labels to this machine, each sentence checked by its sha1."""
    from pipeline.data import corpora as room
    from pipeline.data.download import downloads
    from pipeline.data.external import read_external

    settings = read_config(config)
    labels = settings.data.external
    known = read_external(labels, settings.label_names)
    with Bar() as bar:
        if sources:
            texts = room.collect_texts(sources, known, settings.label_names, bar.update)
        elif host := room.find_host(settings):
            texts = room.fetch_texts(known, downloads(host, output.with_name("downloads")), bar.update)
        else:
            raise InputError("stance corpora", "nobody is to be asked (STANCE_OFFLINE or data.corpora_host)")
    room.write_corpora(texts, labels, output)
    for line in texts.describe():
        out.print(line)
    then = f"{command('train', config=config)} trains with them"
    if settings.data.corpora != output:
        then = f"name that file as `data.corpora` in {config}, then {then}"
    out.print(f"Written to {output}; {then}.")


def show_data(dataset: Dataset, settings: Config, config: Path) -> None:
    """Print counts, agreement and leaks; of the user's own labels first. `config` is the file."""
    own = [] if settings.data.source else [example for example in dataset.examples if example.own]
    if own:
        parts = ", ".join(f"{count} in the {part} part" for part, count in Counter(e.split for e in own).items())
        out.print(f"Your own labels: {len(own)} sentences of {len({e.article_id for e in own})} articles ({parts}).\n")
    _show_counts(dataset, settings)
    if dataset.unlabelled:
        out.print(f"{dataset.unlabelled} articles have no label yet")
    _show_agreement(dataset, {example.article_id for example in own}, settings)
    _show_equal_texts(dataset)
    if settings.data.source:
        out.print(f"Text and labels are those of {settings.data.source}.")
        return
    if settings.data.corpora and not settings.data.corpora.exists():
        out.print(f"Real text with labels is not here yet; {command('corpora', config=config)} brings it.")
    out.print(f"Labels are a language model's reading under {settings.data.labels / 'CODEBOOK.md'}.")
    out.print(f"The articles of origin {', '.join(settings.data.invented)} are invented.")


def _show_counts(dataset: Dataset, settings: Config) -> None:
    table: list[list[object]] = []
    for place in [*sorted({(not e.own, e.origin, e.split) for e in dataset.examples}), None]:
        rows = [e for e in dataset.examples if place in (None, (not e.own, e.origin, e.split))]
        counts = Counter(e.label for e in rows)
        numbers = [len({e.article_id for e in rows}), len(rows), *(counts[name] for name in settings.label_names)]
        table.append([*(place[1:] if place else ("all", "")), *numbers])
    table[-1] = [Text(str(cell), "bold") for cell in table[-1]]
    print_table(table, "origin", "part", "articles", "sentences", *settings.label_names)


def _show_agreement(dataset: Dataset, own: set[str], settings: Config) -> None:
    """Print how far annotators agree: on the user's own articles where there are some."""
    from pipeline.labelling.agreement import measure_agreement

    annotations = [row for row in dataset.annotations if not own or row.article_id in own]
    agreement = measure_agreement(annotations, settings.label_names, random_state=settings.random_state)
    if agreement:
        alpha = f"Krippendorff's alpha {agreement.alpha:.3f} [{agreement.low:.3f}, {agreement.high:.3f}]"
        twice = f"{agreement.spans} sentences annotated twice; {agreement.differ} differed and were adjudicated"
        out.print(f"\nAgreement of annotators{' on your own labels' * bool(own)}: {alpha} over {twice}.")
    elif own:
        out.print("\nNo sentence of your own was annotated by two annotators yet.")


def _show_equal_texts(dataset: Dataset) -> None:
    """Print what stands in two parts, and what has two labels."""
    pairs = f"{len(dataset.duplicates)} pairs of near-duplicate articles, {dataset.across or 'none'} across the split"
    withheld = f"{len({leak.first for leak in dataset.leaks})} sentences of the train part"
    out.print(f"Leak report: {pairs}; {withheld} stand in another part too and are withheld.")
    for leak in dataset.leaks[: 2 * SHOWN]:
        out.print(f"  {leak.first} ~ {leak.second} ({leak.overlap:.0%})")
    if dataset.contradictions:
        out.print(f"{len(dataset.contradictions)} texts have two labels or more:")
    for rows in dataset.contradictions[:SHOWN]:
        places = ", ".join(f"{row.id} is {row.label}" for row in rows[:SHOWN])
        out.print(f"  {rows[0].text[:60]!r}: {places}")
