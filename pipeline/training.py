"""Cross-validate candidates on the train part, select one, refit, calibrate, export, track."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pipeline import __version__, figures, metrics, tracking
from pipeline.bundle import write_bundle
from pipeline.calibration import Calibration, fit_calibration
from pipeline.classifiers import Report, create, index_labels
from pipeline.config import Candidate, Config
from pipeline.dataset import Dataset, Example, load_dataset, to_dataset_dict
from pipeline.errors import raise_problems
from pipeline.model_card import write_card

# A change in one of these can change what a candidate learns.
LIBRARIES = ("numpy", "scikit-learn", "torch", "transformers", "tokenizers", "onnxruntime")


@dataclass(frozen=True)
class Result:
    """A candidate as cross-validation found it; arrays run over the training examples."""

    candidate: Candidate
    scores: np.ndarray  # out of fold, shape (n, k)
    folds: np.ndarray  # shape (n,)
    seconds: float
    calibration: Calibration
    y_true: np.ndarray
    macro_f1: metrics.Interval

    @property
    def y_pred(self) -> np.ndarray:
        """Label indices, out of fold."""
        return self.probabilities.argmax(1)

    @property
    def probabilities(self) -> np.ndarray:
        """Calibrated, out of fold, shape (n, k)."""
        return self.calibration.apply(self.scores)


@dataclass(frozen=True)
class Outcome:
    """What a training did."""

    results: tuple[Result, ...]
    selected: Result
    reason: str
    folder: Path
    run_id: str
    model_version: str


def train(config: Config, report: Report, announce: Callable[[Result], None]) -> Outcome:
    """Run a training from data to registered champion.

    Args:
        config: what to do.
        report: told the share that is done, and what is being done.
        announce: told each candidate's result as soon as there is one.

    """
    dataset = load_dataset(config)
    examples = dataset.part("train")
    check_classes(examples, config)
    # Options are checked before the first minute of work is spent.
    for candidate in config.candidates:
        create(candidate)
    folds = make_folds(examples, config)
    parts = to_dataset_dict(dataset, config.label_names)
    commit = git_commit()
    tags = {"git_commit": commit, "data_digest": dataset.digest, "config": config.name}
    # The time a candidate takes cannot be known before: each counts as one step, the refit as one.
    steps = len(config.candidates) + 1
    results: list[Result] = []
    with tracking.run(f"train {config.name}", tags=tags) as parent:
        for split in parts:
            parent.inputs(f"{config.name}-{split}", parts[split], dataset.digest, split)
        parent.params({"random_state": config.random_state, "folds": config.selection.folds, "rows": len(examples)})
        for position, candidate in enumerate(config.candidates):

            def told(share: float, words: str, position: int = position, name: str = candidate.name) -> None:
                report((position + share) / steps, f"{position + 1}/{len(config.candidates)} {name}: {words}")

            result = cross_validate(candidate, examples, folds, config, told)
            results.append(result)
            announce(result)
            with tracking.run(candidate.name, nested=True, tags=tags) as child:
                _log(child, result, config)
        selected, reason = select(results, examples, config)

        def refitting(share: float, words: str) -> None:
            report((steps - 1 + share) / steps, f"refit {selected.candidate.name} on all {len(examples)} rows: {words}")

        classifier = create(selected.candidate, config.random_state)
        classifier.fit(examples, config.label_names, refitting)
        facts = {
            "label_names": list(config.label_names),
            "config": config.name,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "git_commit": commit,
            "run_id": parent.id,
            "versions": {"stance-pipeline": __version__, "python": platform.python_version()}
            | {name: version(name) for name in LIBRARIES},
            "data": describe(dataset),
            "metrics": {"cross_validated": describe_scores(selected, config)},
            "out_of_fold": {
                example.id: [round(float(p), 4) for p in row]
                for example, row in zip(examples, selected.probabilities, strict=True)
                if example.origin not in config.data.invented
            },
        }
        card = write_card(facts, selected.candidate, reason)
        write_bundle(config.output, classifier, selected.candidate, selected.calibration, facts, card)
        _log(parent, selected, config)
        parent.params({"selected": selected.candidate.name})
        report((steps - 0.1) / steps, "register the model in MLflow")
        registered = tracking.register(config.output, config.label_names, card)
    return Outcome(tuple(results), selected, reason, config.output, parent.id, registered)


def check_classes(examples: Sequence[Example], config: Config) -> None:
    """Check that every label has examples in as many articles as there are folds."""
    problems = []
    for label in config.label_names:
        groups = {example.group for example in examples if example.label == label}
        if len(groups) < config.selection.folds:
            problems.append(
                f"{config.data.labels}: {label!r} has examples in {len(groups)} articles of the train part; "
                f"expected at least {config.selection.folds}, one for each fold; label more or lower selection.folds"
            )
    raise_problems(problems)


def make_folds(examples: Sequence[Example], config: Config) -> np.ndarray:
    """Return the fold of each example, whole articles together; shape (n,)."""
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(config.selection.folds, shuffle=True, random_state=config.random_state)
    y, groups = index_labels(examples, config.label_names), [example.group for example in examples]
    folds = np.empty(len(examples), dtype=np.int64)
    for number, (_, held_out) in enumerate(splitter.split(y, y, groups)):
        folds[held_out] = number
    return folds


def cross_validate(
    candidate: Candidate, examples: Sequence[Example], folds: np.ndarray, config: Config, report: Report
) -> Result:
    """Score each fold by a fit on the others; a fold whose inputs did not change is read from the cache."""
    numbers = np.unique(folds)
    y_true = index_labels(examples, config.label_names)
    scores = np.empty((len(examples), len(config.label_names)))
    seconds = 0.0
    for position, number in enumerate(numbers):
        inside = [e for e, fold in zip(examples, folds, strict=True) if fold != number]
        outside = [e for e, fold in zip(examples, folds, strict=True) if fold == number]
        file = config.cache / "folds" / f"{_fold_digest(candidate, inside, outside, config)}.npz"
        if not file.exists():

            def told(share: float, words: str, position: int = position) -> None:
                report((position + share) / len(numbers), f"fold {position + 1} of {len(numbers)}, {words}")

            told(0.0, "fit")
            begin = time.perf_counter()
            classifier = create(candidate, config.random_state)
            classifier.fit(inside, config.label_names, told)
            found = classifier.decision_function([example.text for example in outside])
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(".partial")
            with partial.open("wb") as stream:
                np.savez(stream, scores=found, seconds=time.perf_counter() - begin)
            partial.replace(file)
        with np.load(file, allow_pickle=False) as stored:
            scores[folds == number] = stored["scores"]
            seconds += float(stored["seconds"])
    calibration = fit_calibration(scores, y_true, folds)
    macro_f1 = metrics.interval(
        y_true,
        calibration.apply(scores).argmax(1),
        [example.group for example in examples],
        len(config.label_names),
        resamples=config.selection.resamples,
    )
    return Result(candidate, scores, folds, seconds, calibration, y_true, macro_f1)


def _fold_digest(candidate: Candidate, inside: Sequence[Example], outside: Sequence[Example], config: Config) -> str:
    """Name everything that a fold's scores depend on: data, options, our code, library versions."""
    total = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("classifiers/*.py")):
        total.update(file.read_bytes())
    lexicon = candidate.options.get("lexicon", "configs/lexicon.yaml")
    if candidate.kind == "keywords" and Path(lexicon).exists():
        total.update(Path(lexicon).read_bytes())
    names = [candidate.kind, candidate.options, config.random_state, config.label_names]
    names += [version(library) for library in LIBRARIES]
    rows = [[e.text, e.label, e.group, e.origin] for e in inside], [e.text for e in outside]
    total.update(json.dumps([names, rows], sort_keys=True, default=str).encode())
    return total.hexdigest()[:24]


def select(results: Sequence[Result], examples: Sequence[Example], config: Config) -> tuple[Result, str]:
    """Choose the highest macro-F1; a simpler candidate wins when it is not shown to be worse.

    Returns:
        The selected result, and the reason in words.

    """
    best = max(results, key=lambda result: result.macro_f1.value)
    groups = [example.group for example in examples]
    for result in results:
        if result is best:
            break
        gain = metrics.paired_difference(
            best.y_true,
            result.y_pred,
            best.y_pred,
            groups,
            len(config.label_names),
            resamples=config.selection.resamples,
        )
        if gain.low <= 0:
            return result, (
                f"{best.candidate.name} scores {100 * gain.value:.1f} points more than {result.candidate.name}, "
                f"but the 95 % interval of the gain, {100 * gain.low:.1f} to {100 * gain.high:.1f}, holds zero; "
                f"the simpler one is taken"
            )
    return best, f"{best.candidate.name} has the highest macro-F1, and no simpler candidate ties with it"


def describe_scores(result: Result, config: Config) -> dict[str, float]:
    """Return the few numbers of a result that are logged and stored."""
    matrix = metrics.confusion(result.y_true, result.y_pred, len(config.label_names))
    values = {
        "macro_f1": result.macro_f1.value,
        "macro_f1_low": result.macro_f1.low,
        "macro_f1_high": result.macro_f1.high,
        "log_loss": metrics.log_loss(result.y_true, result.probabilities),
        "ece": metrics.reliability(result.y_true, result.probabilities).ece,
        "seconds": result.seconds,
    }
    scores = np.nan_to_num(metrics.f1(matrix))
    return values | {f"f1_{name}": float(score) for name, score in zip(config.label_names, scores, strict=True)}


def describe(dataset: Dataset) -> dict[str, object]:
    """Return the facts of a data set that the manifest stores."""
    rows: dict[str, int] = {}
    for example in dataset.examples:
        key = f"{example.split}/{example.origin}/{example.label}"
        rows[key] = rows.get(key, 0) + 1
    return {"digest": dataset.digest, "rows": dict(sorted(rows.items()))}


def _log(run: tracking.Run, result: Result, config: Config) -> None:
    matrix = metrics.confusion(result.y_true, result.y_pred, len(config.label_names))
    name = f"{result.candidate.name}, out of fold"
    run.params({"candidate": result.candidate.name, "kind": result.candidate.kind} | result.candidate.options)
    run.metrics(describe_scores(result, config))
    run.figures(
        {
            "confusion": figures.draw_confusion(matrix, config.label_names, name),
            "reliability": figures.draw_reliability(metrics.reliability(result.y_true, result.probabilities), name),
            "classes": figures.draw_classes(matrix, config.label_names, name),
        }
    )


def git_commit() -> str:
    """Return the commit of the code that runs, `-dirty` where files were changed; empty outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - fixed words
    except (OSError, subprocess.CalledProcessError):
        return ""
