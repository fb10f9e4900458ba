"""From data to a champion: `stance train`, `tune`, `pretrain`, `rollback`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text
from typer import Argument, Option

from pipeline.cli.console import out, print_table
from pipeline.cli.options import DEFAULT_CONFIG, ConfigFile, command, read_config
from pipeline.errors import InputError
from pipeline.progress import Bar

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.training.results import CandidateResult
    from pipeline.training.train import TrainingResult
    from pipeline.training.tuning import TuningResult
    from pipeline.training.tuning.study import TrialResult
    from pipeline.training.tuning.trials import Tuned

app = typer.Typer()
SHOWN = 5  # trials of each candidate


@app.command(epilog="Examples: stance train    stance train --config configs/smoke.yaml")
def train(
    config: ConfigFile = DEFAULT_CONFIG,
    promote: Annotated[bool, Option("--promote", help="Make it champion, even if worse or not compared.")] = False,
    from_run: Annotated[str, Option(metavar="RUN_ID", help="Repeat what a run in MLflow holds, and compare.")] = "",
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
    space: Annotated[Path, Argument(metavar="SPACE", help="The YAML file that says what to try.")] = Path(
        "configs/tune/default.yaml"
    ),
    output: Annotated[Path, Option("--output", "-o", help="The config to write.")] = Path("configs/tuned.yaml"),
    trials: Annotated[int | None, Option(min=1, help="For each candidate, in place of what SPACE says.")] = None,
    minutes: Annotated[float, Option(min=0, help="Begin no trial after these; later goes on.")] = math.inf,
    restart: Annotated[bool, Option("--restart", help="Throw away the trials of earlier runs.")] = False,
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
    name: Annotated[
        str, Argument(help="Which model: `accurate`, `small`, which that one teaches, or `plain`, the expert of this.")
    ],
    config: ConfigFile = DEFAULT_CONFIG,
    unlabelled: Annotated[list[Path] | None, Option(help="Articles to learn from without labels.")] = None,
    output: Annotated[Path | None, Option(help="Its folder; else where it ships.", show_default=False)] = None,
    checkpoint: Annotated[str, Option(help="A folder with the base-size encoder; else fetched.")] = "",
    only_first_stage: Annotated[
        bool, Option("--first-stage", help="Rebuild only this and the held-out vectors (minutes).")
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
        if recipe.helps:  # an expert has no stages; those of the model that it helps are rebuilt
            if output:
                return
            name, recipe, folder = recipe.helps, room.RECIPES[recipe.helps], HOME / recipe.helps
        for expert in (other for other, its in room.RECIPES.items() if its.helps == name):
            out.print(f"its expert {expert}: {room.pretrain_expert(settings, folder, expert)}")
        base = "" if recipe.teacher else checkpoint
        out.print(f"first stage: {room.pretrain_first_stage(settings, texts, folder, bar.update, base)}")
        if not recipe.teacher:
            return  # vectors of the base-size model would be too large to ship
        vectors = room.pretrain_held_out(settings, folder, bar.update)
        out.print(f"vectors of {vectors} real sentences to try labels on")
        if not output:
            stage = room.pretrain_second_stage(settings, HOME / recipe.teacher, name, bar.update, checkpoint)
            out.print(f"second stage of {recipe.teacher}: {stage}")
            stage = room.pretrain_first_stage(settings, texts, HOME / recipe.teacher, bar.update, checkpoint)
            out.print(f"its first stage, for both: {stage}")


@app.command(epilog="Example: stance rollback")
def rollback(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Return to the champion before this one; a second time comes back."""
    from pipeline.training import champion

    settings = read_config(config)
    place = champion.Place(settings.output)
    run_id, version = champion.rollback(place, settings.registered_model)
    registered = f"models:/{settings.registered_model}/{version} ({place.alias('champion')})" if version else ""
    out.print(f"{place.folder}/ is the model of run {run_id} again, {registered or 'not registered in this store'}.")


def show_training(outcome: TrainingResult, settings: Config, config: Path) -> None:
    """Print the candidates, what was selected and why, and where it went; `config` is the file."""
    from pipeline.training.scores import against_tfidf

    _show_scores(outcome, settings)
    _show_kinds_of_text(outcome, settings)
    real = outcome.results[0].real
    if not real.all():
        rows = f"{int(real.sum())} of the {len(real)} rows are real text"
        out.print(f"{rows}; scores on invented text are no guide to news.")
    if not all(result.held_out.all() for result in outcome.results):
        out.print("The pretrained model has learned from the invented train text: it is scored on the real rows alone.")
    if gains := against_tfidf(outcome.results, settings):
        out.print("\nMacro-F1 against tfidf on the same held-out rows (paired bootstrap over articles):")
        for gain in gains:
            out.print(f"  {gain} (on {gain.rows:,} rows)")
    if outcome.own:
        out.print(f"\n{outcome.own}")
    out.print(f"\n* selected: {outcome.reason}.")
    out.print(f"{str(outcome.abstention).capitalize()}.")
    out.print(str(outcome.verdict))
    if outcome.model_version:
        registered = f"models:/{settings.registered_model}/{outcome.model_version} ({outcome.alias})"
        out.print(f"Exported to {outcome.folder}/, registered as {registered}.")
    else:
        out.print(f"{outcome.folder}/ holds this very model already: it stays, and no version was registered.")
    if not (outcome.verdict.promoted or outcome.verdict.unchanged):
        again = command("train", "--promote", config=config)
        out.print(f"{settings.output}/ is unchanged; {again} would replace it all the same.")
    evaluate = command("eval", config=config, model=outcome.folder)
    out.print(f"Next: {evaluate} scores it on the test part; {_ui(settings)} shows the runs.")


def _ui(settings: Config) -> str:
    own = settings.registered_model != type(settings).model_fields["registered_model"].default
    return command("ui", *(("--experiment", settings.registered_model) if own else ()))


def _show_scores(outcome: TrainingResult, settings: Config) -> None:
    """Print every metric but that of the positive labels, which stands beside the F1 of each label."""
    from pipeline.scoring.metrics import METRICS
    from pipeline.training.scores import score_result

    first, *others = METRICS
    titles = (f"{first.title}, interval", *(metric.title for metric in others), "seconds")
    rows = []
    for result in outcome.results:
        scores = score_result(result, settings)
        values = scores[first.key], *(f"{scores[metric.key].value:.3f}" for metric in others)
        rows.append((_candidate(outcome, result), scores.rows, *values, f"{result.seconds:.0f}"))
    print_table(rows, "candidate", "rows", *titles, title="Candidates on rows that are new to them")


def _show_kinds_of_text(outcome: TrainingResult, settings: Config) -> None:
    """Print macro-F1 on real and on invented text, the F1 of each label, and the mean of the positive ones."""
    from pipeline.scoring.metrics import METRICS, metrics_for
    from pipeline.training.scores import score_kinds_of_text, score_result

    means = [metric for metric in metrics_for(settings.label_names, settings.positive) if metric not in METRICS]
    columns, rows = ("real", "invented", *settings.label_names, *(metric.title for metric in means)), []
    for result in outcome.results:
        kinds, scores = score_kinds_of_text(result, settings), score_result(result, settings)
        values = [kinds[kind].value if kind in kinds else None for kind in ("real", "invented")]
        values += [label.f1 for label in scores.by_label(settings.label_names)]
        values += [scores[metric.key].value for metric in means]
        rows.append((_candidate(outcome, result), *("" if value is None else f"{value:.3f}" for value in values)))
    print_table(rows, "candidate", *columns, title="\nMacro-F1 of real and of invented text, and F1 of each label")
    for metric in means:
        out.print(f"{metric.title}: {metric.meaning}.")


def _candidate(outcome: TrainingResult, result: CandidateResult) -> Text:
    name = result.candidate.name
    return Text(f"{name} *", "bold") if result is outcome.selected else Text(name)


def describe_trial(trial: TrialResult, total: int) -> str:
    """Return the line that tells how a trial ended."""
    end = trial.ended or f"macro-F1 {trial.macro_f1}"
    options = ", ".join(f"{name} {value}" for name, value in trial.options.items())
    return f"{trial.candidate} trial {trial.number} of {total}: {end}; {options}"


def show_tuning(outcome: TuningResult, output: Path, settings: Config) -> None:
    """Print what came out of a tuning; `output` is the config that it wrote."""
    for entry in outcome.tuned:
        _show_trials(entry)
    out.print(f"\nMacro-F1 on {outcome.rows}.")
    for entry in outcome.tuned:
        out.print(f"{entry.candidate.name}: {entry.verdict}.")
    out.print("The best of many trials flatters itself: only the test part says how good it is.")
    train, evaluate = command("train", config=output), command("eval", config=output, model=settings.output)
    out.print(f"Next: {train}, then {evaluate}; {_ui(settings)} shows the trials.")


def _show_trials(entry: Tuned) -> None:
    names = list(entry.trials[0].options)
    title = f"\n{entry.candidate.name}: {len(entry.trials)} trials, {len(entry.best)} of them to the end"
    scored = [(trial.number, trial.macro_f1, trial.options.values()) for trial in entry.best[:SHOWN] if trial.macro_f1]
    rows = [
        (name, f"{score.value:.3f}", f"{score.low:.3f} to {score.high:.3f}", *options)
        for name, score, options in [*scored, ("as it was", entry.before, ())]
    ]
    print_table(rows, "trial", "macro-F1", "95 % interval", *names, title=title)
    if entry.importances:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in entry.importances.items())
        out.print(f"What mattered, as far as {len(entry.best)} trials tell: {shares}")
