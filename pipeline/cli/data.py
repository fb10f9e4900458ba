"""From files to one data set: `stance data`, `split`, `corpora`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import out
from pipeline.cli.options import DEFAULT_CONFIG, ConfigFile, command, read_config
from pipeline.cli.summaries import show_data
from pipeline.errors import InputError
from pipeline.progress import Bar

app = typer.Typer()


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
        typer.Option("--from", help="Folders of clones, and tables that hold the text already; else it is downloaded."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Where training looks for them.")] = Path(".cache/corpora.jsonl"),
    labels: Annotated[Path, typer.Option(help="Labels that name their text by place.")] = Path("labels/external"),
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Bring the texts of the external labels to this machine, each sentence checked by its sha1."""
    from pipeline.data import corpora as room
    from pipeline.data.download import downloads
    from pipeline.data.external import read_external

    settings = read_config(config)
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
