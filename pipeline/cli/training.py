"""From data to a champion: `stance train`, `tune`, `pretrain`, `rollback`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.console import out
from pipeline.cli.options import DEFAULT_CONFIG, ConfigFile, read_config
from pipeline.cli.summaries import describe_trial, show_training, show_tuning
from pipeline.errors import InputError
from pipeline.progress import Bar

if TYPE_CHECKING:
    from pipeline.training.results import CandidateResult
    from pipeline.training.tuning.study import TrialResult

app = typer.Typer()


@app.command(epilog="Examples: stance train    stance train --config configs/smoke.yaml")
def train(
    config: ConfigFile = DEFAULT_CONFIG,
    promote: Annotated[
        bool, typer.Option("--promote", help="Make it champion, even if worse or not compared.")
    ] = False,
    from_run: Annotated[
        str, typer.Option(metavar="RUN_ID", help="Repeat a training from what its run holds in MLflow, and compare.")
    ] = "",
) -> None:
    """Cross-validate the candidates, select one, export it and register it in MLflow."""
    from pipeline.data.corpora import bring_texts
    from pipeline.training import rebuild
    from pipeline.training.train import train

    if from_run and config != DEFAULT_CONFIG:
        raise InputError("--from-run", "takes the config that the run holds", then="leave out --config")
    if from_run:
        recorded, settings = rebuild.read_training(from_run)
        config = recorded.config
    else:
        settings = read_config(config)

    def on_result(result: CandidateResult) -> None:
        score = result.macro_f1(result.held_out, settings.selection.resamples)
        sys.stderr.write(f"{result.candidate.name}: macro-F1 {score}\n")

    with Bar() as bar:
        if message := bring_texts(settings, bar.update):
            sys.stderr.write(f"{message}\n")
        outcome = train(settings, bar.update, on_result, promote=promote)
    show_training(outcome, settings, config)
    if from_run:
        out.print(f"\n{rebuild.compare(recorded, outcome.run_id)}")


@app.command(
    epilog="Examples: stance tune    stance tune configs/tune/default.yaml --trials 50 --output configs/tuned.yaml"
)
def tune(
    space: Annotated[Path, typer.Argument(metavar="SPACE", help="The YAML file that says what to try.")] = Path(
        "configs/tune/default.yaml"
    ),
    output: Annotated[Path, typer.Option("--output", "-o", help="The config to write.")] = Path("configs/tuned.yaml"),
    trials: Annotated[int | None, typer.Option(min=1, help="For each candidate, in place of what SPACE says.")] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Begin no trial after these; later goes on.")] = math.inf,
    restart: Annotated[bool, typer.Option("--restart", help="Throw away the trials of earlier runs.")] = False,
) -> None:
    """Search the options of candidates by cross-validation; write the best as a config for `stance train`."""
    from pipeline.training.tuning import tune as search
    from pipeline.training.tuning.space import read_space

    wanted = read_space(space)

    def on_result(trial: TrialResult) -> None:
        sys.stderr.write(f"{describe_trial(trial, trials or wanted.trials)}\n")

    with Bar() as bar:
        outcome = search(wanted, output, bar.update, on_result, trials=trials, minutes=minutes, restart=restart)
    if outcome.resumed:
        sys.stderr.write(f"went on after {outcome.resumed} trials that an earlier run had finished\n")
    show_tuning(outcome, output, wanted.config)


@app.command(epilog="Examples: stance pretrain accurate    stance pretrain small --unlabelled articles/ (an hour each)")
def pretrain(
    name: Annotated[str, typer.Argument(help="Which model: `accurate`, or `small`, which that one teaches.")],
    config: ConfigFile = DEFAULT_CONFIG,
    unlabelled: Annotated[
        list[Path] | None, typer.Option(help="Articles of the domain, without labels, to learn from as well.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The model's folder; else that from which it ships.", show_default=False)
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(help="A folder with the base-size encoder, where that is not to be fetched.")
    ] = "",
    only_first_stage: Annotated[
        bool,
        typer.Option("--first-stage", help="Only rebuild its first stage and held-out vectors (minutes)."),
    ] = False,
) -> None:
    """Rebuild a pretrained model, from the texts that `stance corpora` brought; goes on if interrupted."""
    from pipeline.classifiers.pretrained_folder import HOME
    from pipeline.training import pretrain as room

    if name not in room.RECIPES:
        raise InputError(name, "no such pretrained model", expected=" or ".join(room.RECIPES))
    settings, recipe, folder, texts = read_config(config), room.RECIPES[name], output or HOME / name, unlabelled or []
    with Bar() as bar:
        if not only_first_stage:
            card = room.pretrain(settings, recipe, texts, folder, bar.update, checkpoint)
            out.print(f"{folder}/: macro-F1 and 95 % interval on the validation part: {card['validation_macro_f1']}")
        base = "" if recipe.teacher else checkpoint
        out.print(f"first stage: {room.pretrain_first_stage(settings, texts, folder, bar.update, base)}")
        if recipe.teacher:  # of the base-size model they would be too large to ship
            vectors = room.pretrain_held_out(settings, folder, bar.update)
            out.print(f"vectors of {vectors} real sentences to try labels on")
        if recipe.teacher and not output:
            stage = room.pretrain_second_stage(settings, HOME / recipe.teacher, name, bar.update, checkpoint)
            out.print(f"second stage of {recipe.teacher}: {stage}")


@app.command(epilog="Example: stance rollback")
def rollback(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Return to the champion before this one; a second time comes back."""
    from pipeline.training import champion

    settings = read_config(config)
    place = champion.Place(settings.output)
    run_id, version = champion.rollback(place, settings.registered_model)
    registered = f"models:/{settings.registered_model}/{version} ({place.alias('champion')})" if version else ""
    out.print(f"{place.folder}/ is the model of run {run_id} again, {registered or 'not registered in this store'}.")
