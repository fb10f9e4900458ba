"""Runs in MLflow: `stance ui`, `sync`."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Option

from pipeline.cli.console import out
from pipeline.cli.options import DEFAULT_MODEL

app = typer.Typer()


@app.command(epilog="Example: stance ui --port 5001")
def ui(
    port: Annotated[int, Option(help="The port to listen on.")] = 5000,
    experiment: Annotated[str, Option(help="The one to open: a config's `registered_model`.")] = "stance",
) -> None:
    """Open the MLflow UI on this project's runs."""
    from pipeline.tracking import runs_page, serve_ui
    from pipeline.training.champion import recover

    recover(DEFAULT_MODEL)
    out.print(f"MLflow's UI: {runs_page(port, experiment)} (Ctrl-C stops it)")
    serve_ui(port)


@app.command(epilog="Example: MLFLOW_TRACKING_URI=http://tracking:5000 stance sync")
def sync() -> None:
    """Send the runs that a tracking server did not take when it was down."""
    from pipeline.tracking import send, tracking_uri
    from pipeline.training.champion import describe_folder, mirror, recover

    recover(DEFAULT_MODEL)
    out.print(f"{send(tracking_uri(), mirror, describe_folder)} runs sent")
