"""From files to one data set: `stance data`, `split`, `corpora`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import out
from pipeline.cli.options import DEFAULT_CONFIG, ConfigFile
from pipeline.cli.summaries import show_data
from pipeline.errors import InputError

app = typer.Typer()


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
