"""From data to registered champion: compare candidates, select, refit, calibrate, export, track."""

from __future__ import annotations

import platform
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pipeline import __version__, tracking
from pipeline.bundle import write_bundle
from pipeline.classifiers import create
from pipeline.classifiers.agreement import check_agreement, exported_form
from pipeline.classifiers.ensemble import ENSEMBLE
from pipeline.classifiers.pretrained import first_stage
from pipeline.config import Candidate, Config
from pipeline.data.dataset import Dataset, Example, load_dataset, to_dataset_dict
from pipeline.data.examples import join
from pipeline.manifest import Manifest, Selection, TrainingData
from pipeline.progress import ProgressCallback
from pipeline.reporting.model_card import write_card
from pipeline.scoring.abstention import Abstention, find_threshold
from pipeline.training import promotion
from pipeline.training.scores import against_tfidf, describe_scores, log_result, weak_slices
from pipeline.training.selection import (
    LIBRARIES,
    CandidateResult,
    check_candidates,
    check_classes,
    check_validation,
    combine,
    cross_validate,
    exclude_active_samples,
    make_folds,
    refit,
    select,
    selection_mask,
)
from pipeline.training.unlabelled import cut_unlabelled


@dataclass(frozen=True)
class TrainingResult:
    """What a training did."""

    results: tuple[CandidateResult, ...]
    selected: CandidateResult
    reason: str
    folder: Path
    run_id: str
    model_version: str
    verdict: promotion.Verdict
    abstention: Abstention


def train(
    config: Config,
    on_progress: ProgressCallback,
    on_result: Callable[[CandidateResult], None],
    *,
    promote: bool = False,
) -> TrainingResult:
    """Run a training from data to registered champion.

    Args:
        config: what to do.
        on_progress: told the share that is done, and what is being done.
        on_result: told each candidate's result as soon as there is one.
        promote: make the new model champion even if it is worse than the standing one.

    """
    # Everything that can be wrong with the input is found before the first minute of work is spent.
    check_candidates(config.candidates)
    dataset = load_dataset(config)
    rows, validation = dataset.part("train"), dataset.part("validation")
    check_classes(rows, config)
    check_validation(validation, config)
    config = cut_unlabelled(config, dataset.examples)
    folds = make_folds(rows, validation, config)
    parts = to_dataset_dict(dataset, config.label_names)
    tags = {"git_commit": git_commit(), "data_digest": dataset.digest, "config": config.name}
    # The time a candidate takes cannot be known before: each counts as one step, the refit as one.
    steps = len(config.candidates) + 1
    results: dict[str, CandidateResult] = {}
    children: dict[str, tracking.Run] = {}
    with tracking.run(f"train {config.name}", tags=tags) as parent:
        for split in parts:
            parent.inputs(f"{config.name}-{split}", parts[split], dataset.digest, split)
        parent.params({"random_state": config.random_state, "folds": config.selection.folds, "rows": len(rows)})
        for position, candidate in enumerate(config.candidates):
            told = _prefixed(on_progress, position, steps, f"{position + 1}/{len(config.candidates)} {candidate.name}")
            result = _score(candidate, results, [*rows, *validation], folds, config, told)
            results[candidate.name] = result
            on_result(result)
            with tracking.run(candidate.name, nested=True, tags=tags) as child:
                log_result(child, result, config)
                children[candidate.name] = child
        for gain in against_tfidf(list(results.values()), config):
            children[gain.name].metrics({"gain_over_tfidf": gain.interval.value})
            children[gain.name].text(f"{gain}\n", "against_tfidf.txt")
        selected, reason = select(list(results.values()), config)
        told = _prefixed(on_progress, steps - 1, steps, f"refit {selected.candidate.name} on all {len(rows)} rows")
        classifier = refit(selected, rows, config, told)
        abstention = _abstention(selected, config)
        exported = exported_form(selected.candidate, classifier)
        # No label of the test part is looked at here: only whether two forms of one model say the same.
        held_out = [example.input for example in dataset.part("test") or rows]
        manifest = Manifest(
            topic=config.topic,
            source=config.data.source,
            label_names=config.label_names,
            positive=config.positive,
            targets=tuple(sorted({join(example.target) for example in rows} - {""})),
            metric=config.selection.metric,
            candidate=selected.candidate,
            calibration=selected.calibration,
            abstention=abstention,
            config=config.name,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            git_commit=tags["git_commit"],
            run_id=parent.id,
            versions={"stance-pipeline": __version__, "python": platform.python_version()}
            | {name: version(name) for name in LIBRARIES},
            encoders=tuple(_encoders(selected)),
            data=_describe(dataset, config),
            selection=Selection(reason=reason, held_out=describe_scores(selected, config)),
            exported_form=check_agreement(selected.candidate, classifier, exported, selected.calibration, held_out),
            out_of_fold=_out_of_fold(selected, rows, config),
        )
        log_result(parent, selected, config)
        parent.params({"selected": selected.candidate.name})
        test = dataset.part("test")
        with promotion.turn(config.output):
            challenger = promotion.challenger_of(config.output)
            stage = first_stage(exported, config.label_names)
            on_progress((steps - 0.3) / steps, "write the model card")
            card = write_card(manifest, weak_slices(selected, config))
            write_bundle(challenger, exported, manifest, card, stage)
            on_progress((steps - 0.2) / steps, "compare with the standing champion")
            verdict = promotion.judge(config.output, test, config.evaluation, force=promote)
            on_progress((steps - 0.1) / steps, "register the model in MLflow")
            columns = ("text", "target") if manifest.targets else ("text",)
            registered = _register(parent, challenger, verdict, config, card, columns)
            parent.note(f"Selected: {reason}.\n\n```\n{verdict}\n```")
            if verdict.promoted:
                promotion.install(config.output)
    folder = config.output if verdict.promoted else challenger
    return TrainingResult(tuple(results.values()), selected, reason, folder, parent.id, registered, verdict, abstention)


def _register(
    run: tracking.Run, folder: Path, verdict: promotion.Verdict, config: Config, card: str, columns: Sequence[str]
) -> str:
    """Register the new model, as champion if it was promoted, and log why it was or was not."""
    registered = run.register(folder, config.label_names, card, columns)
    run.params({"promoted": verdict.name})
    run.text(f"{verdict}\n", "promotion.txt")
    # A model for another place (models/full) has the alias of that place, and leaves the champion alone.
    place = config.output.name
    if verdict.promoted and place == tracking.CHAMPION:
        run.set_alias(tracking.PREVIOUS, promotion.run_of(config.output))
    run.set_alias(place if verdict.promoted else tracking.CHALLENGER)
    return registered


def _prefixed(on_progress: ProgressCallback, position: int, steps: int, prefix: str) -> ProgressCallback:
    return lambda share, words: on_progress((position + share) / steps, f"{prefix}: {words}")


def _score(
    candidate: Candidate,
    earlier: dict[str, CandidateResult],
    rows: Sequence[Example],
    folds: np.ndarray,
    config: Config,
    on_progress: ProgressCallback,
) -> CandidateResult:
    if candidate.kind == ENSEMBLE:
        return combine(candidate, [earlier[name] for name in candidate.options["members"]], config)
    return cross_validate(candidate, rows, folds, config, on_progress)


def _describe(dataset: Dataset, config: Config) -> TrainingData:
    rows = Counter(f"{example.split}/{example.origin}/{example.label}" for example in dataset.examples)
    return TrainingData(digest=dataset.digest, rows=dict(sorted(rows.items())), invented=config.data.invented)


def _abstention(selected: CandidateResult, config: Config) -> Abstention:
    """Find the threshold on held-out rows; the pretrained model has its own, for where real text is too little."""
    target = config.abstain.precision
    if selected.candidate.kind == "pretrained" and selected.real.sum() < config.selection.real_rows:
        from pipeline.classifiers.checkpoint import pretrained_head

        own = pretrained_head().abstention
        if own and own.target_precision == target:
            return own
    rows = exclude_active_samples(selected.examples, selection_mask([selected], config))
    return find_threshold(selected.y_true[rows], selected.probabilities[rows], target)


def _encoders(result: CandidateResult) -> list[str]:
    """Name the pretrained encoders in a model, each once."""
    if result.members:
        return sorted({name for member in result.members for name in _encoders(member)})
    own = getattr(create(result.candidate), "checkpoint", "")
    return [own] if own else []


def _out_of_fold(selected: CandidateResult, rows: Sequence[Example], config: Config) -> dict[str, tuple[float, ...]]:
    """Return the held-out probabilities of the train part's real text, for evaluation to score."""
    train = {example.id for example in rows}
    return {
        example.id: tuple(round(float(p), 4) for p in row)
        for example, row, real in zip(selected.examples, selected.probabilities, selected.real, strict=True)
        if real and example.id in train
    }


def git_commit() -> str:
    """Return the commit of the code that runs, `-dirty` where files were changed; empty outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - fixed words
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()
