"""From data to registered champion: compare candidates, select, refit, calibrate, export, track."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline import tracking
from pipeline.bundle import read_manifest
from pipeline.classifiers import create
from pipeline.config import Config
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback, step_of
from pipeline.scoring.abstention import Abstention
from pipeline.training import champion, gate
from pipeline.training.export import export
from pipeline.training.material import Material, log_material, prepare
from pipeline.training.own_labels import OwnLabels, judge_own_labels
from pipeline.training.provenance import run_tags
from pipeline.training.results import CandidateResult, combine, cross_validate, refit
from pipeline.training.scores import against_tfidf, log_result
from pipeline.training.selection import select

OnResult = Callable[[CandidateResult], None]


@dataclass(frozen=True)
class TrainingResult:
    """What a training did."""

    results: tuple[CandidateResult, ...]
    selected: CandidateResult
    reason: str
    folder: Path
    run_id: str
    model_version: str  # empty where none was registered: there is one of this very model
    alias: str  # of that version
    verdict: gate.Verdict
    abstention: Abstention
    own: OwnLabels | None  # None: there are none, or no candidate that learns from them


def train(
    config: Config, on_progress: ProgressCallback, on_result: OnResult, *, promote: bool = False
) -> TrainingResult:
    """Run a training from data to registered champion; the test part stays closed.

    `on_result` gets each candidate's result as soon as there is one; `promote` makes the new model champion even if it
    is worse than the standing one.
    """
    place = champion.Place(config.output)
    place.check_alias(f"output: {config.output}")
    champion.recover(config.output)
    config, material = prepare(config)
    tags = run_tags(config, material.dataset.digest)
    # The time a candidate takes cannot be known before: each counts as one step, refit and export as one.
    on_export = step_of(on_progress, len(config.candidates), len(config.candidates) + 1)
    with tracking.run(f"train {config.name}", experiment=config.registered_model, tags=tags) as run:
        log_material(run, material)
        results, scores = _compare_candidates(run, material, config, on_progress, on_result)
        own = judge_own_labels(material.rows, config, on_export)
        selected, reason = select(results, config, own)
        log_result(run, selected, config)
        run.params({"selected": selected.candidate.name})
        words = f"refit {selected.candidate.name} on all {len(material.train)} rows: "
        classifier = refit(selected, material.train, config, step_of(on_export, 0, 2, words))
        with champion.export_lock(place):
            staged = place.path("staged")
            on_export(0.5, "export the model")
            manifest, card = export(staged, classifier, selected, reason, run.id, material, config)
            on_export(0.6, "compare with the standing champion")
            shipped, _ = classifier.score_held_out() or ((), None)
            verdict = gate.judge(place.folder, staged, [*material.rows, *shipped], config, force=promote)
            known = verdict.unchanged or (not verdict.promoted and _waits_already(place))
            on_export(0.7, "register the model in MLflow")
            tags = champion.describe_folder(staged) | {tracking.OUTPUT: str(place.folder)}
            version = "" if known else run.register(staged, config.registered_model, card, tags)
            role: champion.Role = "champion" if verdict.promoted or verdict.unchanged else "challenger"
            folder, alias, abstention = place.path(role), place.alias(role), manifest.abstention
            outcome = TrainingResult(
                tuple(results), selected, reason, folder, run.id, version, alias, verdict, abstention, own
            )
            run.note(_describe(outcome, scores, config.registered_model))
            run.text(f"{verdict}\n", "promotion.txt")
            if known:
                champion.discard(place)
                run.params({"promoted": verdict.name})
            else:
                champion.install(place, run, config.registered_model, promoted=verdict.promoted, verdict=verdict.name)
    return outcome


def _compare_candidates(
    run: tracking.Run, material: Material, config: Config, on_progress: ProgressCallback, on_result: OnResult
) -> tuple[list[CandidateResult], dict[str, dict[str, float]]]:
    """Score each candidate on held-out rows, and log it as a child of the run; return the scores by name too."""
    results: dict[str, CandidateResult] = {}
    scores: dict[str, dict[str, float]] = {}
    children, count = {}, len(config.candidates)
    for position, candidate in enumerate(config.candidates):
        on_step = step_of(on_progress, position, count + 1, f"{position + 1}/{count} {candidate.name}: ")
        if (classifier := create(candidate)).combines:
            result = combine(candidate, [results[name] for name in classifier.parts], config)
        else:
            result = cross_validate(candidate, material.rows, material.folds, config, on_step)
        results[candidate.name] = result
        on_result(result)
        with run.child(candidate.name) as child:
            log_material(child, material)
            scores[candidate.name] = log_result(child, result, config)
            children[candidate.name] = child
    for gain in against_tfidf(list(results.values()), config):
        children[gain.name].metrics({"gain_over_tfidf": gain.interval.value})
        children[gain.name].text(f"{gain}\n", "against_tfidf.txt")
    return list(results.values()), scores


def _describe(outcome: TrainingResult, scores: dict[str, dict[str, float]], registered_model: str) -> str:
    """Write what a run's page begins with, as Markdown: what was tried, chosen and why, and what comes next."""
    columns = {"macro_f1": "macro-F1", "macro_f1_low": "from", "macro_f1_high": "to", "macro_f1_real": "of real text"}
    columns |= {"log_loss": "log-loss", "ece": "ECE", "held_out_rows": "rows", "seconds": "seconds"}
    selected = outcome.selected.candidate.name
    lines = [f"**Selected: {selected}**: {outcome.reason}.", ""]
    lines += ["| candidate | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, values in scores.items():
        cells = (f"{values[key]:.3f}" if key in values else "" for key in list(columns)[:-2])
        counts = f"{values['held_out_rows']:,.0f} | {values['seconds']:.0f}"
        lines.append(f"| {name}{' *' if name == selected else ''} | {' | '.join(cells)} | {counts} |")
    lines += ["", f"```\n{outcome.verdict}\n```", ""]
    lines += [f"{outcome.own}\n"] if outcome.own else []
    version = f"registered as models:/{registered_model}/{outcome.model_version} ({outcome.alias})"
    lines += [f"Exported to `{outcome.folder}/`, {version if outcome.model_version else 'where it stands already'}. "]
    lines[-1] += f"`stance eval --model {outcome.folder}` scores it on the test part; "
    lines[-1] += f"`stance train --from-run {outcome.run_id}` repeats this training. Where this store is not at hand: "
    lines[-1] += "check out the tag `git_commit`, `pip install --requirement requirements.txt --editable .` and "
    return "\n".join(lines) + "`stance train --config config.yaml`, with these two files from the artifacts."


def _waits_already(place: champion.Place) -> bool:
    try:
        return gate.is_same_model(read_manifest(place.path("challenger")), read_manifest(place.path("staged")))
    except InputError:  # no challenger, or one that cannot be read
        return False
