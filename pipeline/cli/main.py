"""The `stance` command: its groups in the order of the river, and exit codes."""

from __future__ import annotations

import errno
import os
import re
import sys
from importlib.metadata import requires
from typing import Annotated, Any

import typer
from rich.console import Console
from typer import Option
from typer.core import TyperGroup

from pipeline import __version__
from pipeline.cli import coverage, data, evaluation, label, prediction, tracking, training
from pipeline.cli.console import out
from pipeline.cli.options import stoppable
from pipeline.errors import InputError


class _Stoppable(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run a command; whichever it is, Ctrl-C ends it with one line."""
        with stoppable("the same command takes up what was finished"):
            return super().invoke(ctx)


app = typer.Typer(
    name="stance",
    cls=_Stoppable,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Learn from labelled sentences what news articles argue for in the policy toward North Korea, or what any "
    "texts argue for toward any target, and label new ones.",
    epilog="Examples:\n\n  stance train\n\n  stance eval\n\n  stance predict articles/ --output rows.csv",
)
for group in (data, training, evaluation, prediction, coverage, tracking):
    app.add_typer(group.app)
app.add_typer(label.app, name="label")


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"stance-pipeline {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, Option("--version", callback=_version, is_eager=True, help="Name and version.")] = False,
) -> None: ...


def main() -> None:
    """Run the command line; what the user can fix is one line and exit code 2."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except InputError as error:
        _refuse(str(error))
    except ModuleNotFoundError as error:
        if not (extra := extra_of(error.name or "")):
            raise
        _refuse(f'the package {error.name} is missing; install it with: pip install "stance-pipeline[{extra}]"')
    except OSError as error:
        # A file that cannot be written is named by its error; standard output has no name.
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
        _refuse(f"standard output: {error.strerror}; files that the command writes are complete")


def extra_of(module: str) -> str:
    """Return the extra of this package that brings a module; empty where none does."""
    for line in requires("stance-pipeline") or ():
        distribution, _, extra = line.partition("extra ==")
        if re.split(r"[^\w-]", distribution)[0].replace("-", "_") == module.partition(".")[0]:
            return extra.strip(" '\"")
    return ""


def _refuse(words: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"stance: {words}", markup=False, style="red")
    sys.exit(2)
