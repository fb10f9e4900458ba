"""Compare candidates on rows that none of them has seen, and choose one."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pipeline.classifiers import Classifier, create, index_labels
from pipeline.classifiers.ensemble import ENSEMBLE, Ensemble, blend
from pipeline.classifiers.teachers import STUDENT, sources, with_teachers
from pipeline.config import Candidate, Config
from pipeline.data.annotations import RANDOM
from pipeline.data.dataset import Example
from pipeline.errors import InputError, raise_problems
from pipeline.progress import ProgressCallback
from pipeline.scoring import metrics
from pipeline.scoring.calibration import Calibration, fit_calibration

# A change in one of these can change what a candidate learns.
LIBRARIES = ("numpy", "scikit-learn", "torch", "transformers", "tokenizers", "onnxruntime")
FEWEST_BLIND = 100  # rows to calibrate on
# The fold of rows that are trained on in every fold, and scored in none.
ALWAYS = -1


@dataclass(frozen=True)
class CandidateResult:
    """A candidate as found on held-out rows; arrays run over `examples`."""

    candidate: Candidate
    examples: tuple[Example, ...]
    y_true: np.ndarray  # label indices, shape (n,)
    folds: np.ndarray  # shape (n,)
    scores: np.ndarray  # shape (n, k)
    calibration: Calibration
    seconds: float
    real: np.ndarray  # whether a row is real text, shape (n,)
    held_out: np.ndarray  # from pretraining too, shape (n,); other rows give no honest score
    members: tuple[CandidateResult, ...] = ()
    fitted: Classifier | None = None  # where the fit that was scored is the one to export

    @property
    def probabilities(self) -> np.ndarray:
        """Calibrated, shape (n, k)."""
        return self.calibration.apply(self.scores)

    @property
    def y_pred(self) -> np.ndarray:
        """Label indices, shape (n,)."""
        return self.probabilities.argmax(1)

    def macro_f1(
        self, rows: np.ndarray, resamples: int, labels: Sequence[int] | None = None
    ) -> metrics.Interval | None:
        """Return macro-F1 on some rows, over some labels if these are named; None where there are no rows."""
        if not rows.any():
            return None
        groups = [example.group for example, kept in zip(self.examples, rows, strict=True) if kept]
        size = self.scores.shape[1]
        statistic = partial(metrics.macro_f1, labels=labels)
        return metrics.interval(
            self.y_true[rows], self.y_pred[rows], groups, size, statistic=statistic, resamples=resamples
        )


def make_folds(train: Sequence[Example], validation: Sequence[Example], config: Config) -> np.ndarray:
    """Return the fold of each row of train and validation, whole articles together; shape (n,).

    With a validation part, candidates learn from the train part and are scored on the other, once:
    a start that has seen the train part's real text cannot be cross-validated on it.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if validation:
        return np.array([ALWAYS] * len(train) + [0] * len(validation))
    splitter = StratifiedGroupKFold(config.selection.folds, shuffle=True, random_state=config.random_state)
    y, groups = index_labels(train, config.label_names), [example.group for example in train]
    folds = np.empty(len(train), dtype=np.int64)
    for number, (_, held_out) in enumerate(splitter.split(y, y, groups)):
        folds[held_out] = number
    return folds


def check_candidates(candidates: Sequence[Candidate]) -> None:
    """Check kinds, options, and that ensembles name earlier candidates; before any work is spent."""
    names: list[str] = []
    for candidate in candidates:
        if candidate.kind == ENSEMBLE:
            members = Ensemble.members_of(candidate)
            unknown = [name for name in members if name not in names]
            if unknown or len(members) < 2:
                where, what = f"candidate {candidate.name!r}", f"members {', '.join(members) or 'none'}"
                raise InputError(where, what, expected=f"two or more of the candidates before it: {', '.join(names)}")
        else:
            create(candidate)
        teacher = candidate.options.get("teacher")
        if candidate.kind == STUDENT and teacher not in names:
            where, what = f"candidate {candidate.name!r}", f"teacher {teacher or 'none'}"
            raise InputError(where, what, expected=f"one of the candidates before it: {', '.join(names)}")
        names.append(candidate.name)


def check_classes(examples: Sequence[Example], config: Config) -> None:
    """Check that every label has examples in as many articles as there are folds."""
    where, problems = config.data.source or config.data.labels, []
    found = Counter(example.label for example in examples)
    if len(found) < 2:
        only = f"only {next(iter(found))!r} occurs" if found else "there is no row"
        raise InputError(where, f"{only} in the train part", expected=f"all of {', '.join(config.label_names)}")
    for label in config.label_names:
        groups = {example.group for example in examples if example.label == label}
        if len(groups) < config.selection.folds:
            single = ", and that is a single one" if found[label] == 1 else ""
            problems.append(
                f"{where}: {label!r} has examples in {len(groups)} articles of the train part{single}; "
                f"expected at least {config.selection.folds}, one for each fold; label more or lower selection.folds"
            )
    raise_problems(problems)


def check_validation(validation: Sequence[Example], config: Config) -> None:
    """Check that a validation part can be divided: what is fitted on it is judged on other articles of it."""
    groups = {example.group for example in validation}
    if validation and len(groups) < config.selection.folds:
        raise InputError(
            config.data.source or config.data.labels,
            f"the validation part holds {len(groups)} articles",
            expected=f"at least {config.selection.folds}, one for each fold",
            then="label more or lower selection.folds",
        )


def cross_validate(
    candidate: Candidate, rows: Sequence[Example], folds: np.ndarray, config: Config, on_progress: ProgressCallback
) -> CandidateResult:
    """Score each fold by a fit on all other rows; a fold whose inputs did not change comes from the cache."""
    whole = with_teachers(candidate, config.candidates)
    scored = folds != ALWAYS
    scores = np.empty((len(rows), len(config.label_names)))
    numbers = np.unique(folds[scored])
    seconds = 0.0
    fitted = None
    for position, number in enumerate(numbers):
        inside = [e for e, fold in zip(rows, folds, strict=True) if fold != number]
        outside = [e for e, fold in zip(rows, folds, strict=True) if fold == number]
        file = config.cache / "folds" / f"{_digest(whole, inside, outside, config)}.npz"
        if not file.exists():

            def told(share: float, words: str, position: int = position) -> None:
                on_progress((position + share) / len(numbers), f"fold {position + 1} of {len(numbers)}, {words}")

            told(0.0, "fit")
            begin = time.perf_counter()
            classifier = create(whole, config.random_state)
            classifier.fit(inside, config.label_names, told)
            found = classifier.decision_function([example.input for example in outside])
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(".partial")
            with partial.open("wb") as stream:
                np.savez(stream, scores=found, seconds=time.perf_counter() - begin)
            partial.replace(file)
            fitted = classifier if not scored.all() else None
        with np.load(file, allow_pickle=False) as stored:
            scores[folds == number] = stored["scores"]
            seconds += float(stored["seconds"])
    examples = tuple(example for example, kept in zip(rows, scored, strict=True) if kept)
    return _result(candidate, examples, folds[scored], scores[scored], seconds, config, fitted=fitted)


def combine(candidate: Candidate, members: Sequence[CandidateResult], config: Config) -> CandidateResult:
    """Score an ensemble from what its members scored; its weights are fitted without the fold they score."""
    first = members[0]
    folds = _divide(first.examples, first.folds, config)
    logs = [np.log(np.clip(member.probabilities, 1e-9, None)) for member in members]
    scores = np.empty_like(first.scores)
    for number in np.unique(folds):
        inside = folds != number
        weights = blend([log[inside] for log in logs], first.y_true[inside])
        scores[~inside] = sum(weight * log[~inside] for weight, log in zip(weights, logs, strict=True))
    seconds = sum(member.seconds for member in members)
    return _result(candidate, first.examples, folds, scores, seconds, config, members=tuple(members))


def _divide(examples: Sequence[Example], folds: np.ndarray, config: Config) -> np.ndarray:
    """Divide a single fold (a validation part) by article: what is fitted on it is judged on other articles."""
    if len(np.unique(folds)) > 1:
        return folds
    return np.unique([example.group for example in examples], return_inverse=True)[1] % config.selection.folds


def _result(
    candidate: Candidate,
    examples: tuple[Example, ...],
    folds: np.ndarray,
    scores: np.ndarray,
    seconds: float,
    config: Config,
    *,
    members: tuple[CandidateResult, ...] = (),
    fitted: Classifier | None = None,
) -> CandidateResult:
    y_true = index_labels(examples, config.label_names)
    real = np.array([example.origin not in config.data.invented for example in examples])
    enough = real.sum() >= config.selection.real_rows
    if candidate.kind == "pretrained" or (candidate.kind == "adapted" and not enough):
        calibration = Calibration()  # on real text, by what ships with it; bad labels cannot undo that
    else:
        rows = exclude_active_samples(examples, real if enough else np.ones_like(real))
        calibration = fit_calibration(scores[rows], y_true[rows], _divide(examples, folds, config)[rows])
    learned_from = sources(with_teachers(candidate, config.candidates))
    knows = any(map(learned_before, learned_from)) or any(not member.held_out.all() for member in members)
    unseen = real if knows and real.any() else np.ones_like(real)
    return CandidateResult(
        candidate, examples, y_true, folds, scores, calibration, seconds, real, unseen, members, fitted
    )


def learned_before(candidate: Candidate) -> bool:
    """Say whether it begins with the pretrained model, which has learned from all invented train text."""
    return candidate.kind in ("pretrained", "adapted") or candidate.options.get("checkpoint") == "pretrained"


def _digest(candidate: Candidate, inside: Sequence[Example], outside: Sequence[Example], config: Config) -> str:
    """Name everything that a fold's scores depend on: data, options, our code, library versions."""
    total = hashlib.sha256()
    package = Path(__file__).parents[1]
    for file in sorted([*package.glob("classifiers/*.py"), *package.glob("pretrained/*/*")]):
        total.update(file.read_bytes())
    for source in sources(candidate):
        if source.kind == "keywords" and (lexicon := Path(source.options["lexicon"])).exists():
            total.update(lexicon.read_bytes())
    names = [candidate.kind, candidate.options, config.random_state, config.label_names]
    names += [version(library) for library in LIBRARIES]
    rows = [[e.input, e.label, e.group, e.origin] for e in inside], [e.input for e in outside]
    total.update(json.dumps([names, rows], sort_keys=True, default=str).encode())
    return total.hexdigest()[:24]


def select(results: Sequence[CandidateResult], config: Config) -> tuple[CandidateResult, str]:
    """Choose by the config's metric on real text; a simpler candidate wins unless the best is shown to be better.

    Where there is too little real text to choose by, the pretrained model stays (it was chosen on real
    text), and without one all rows count.

    Returns:
        The selected result, and the reason in words.

    """
    real, least = results[0].real, config.selection.real_rows
    starts = [result for result in results if result.candidate.kind == "pretrained"]
    if real.sum() < least and starts:
        return starts[0], (
            f"{int(real.sum())} rows of real text are too few to choose by ({least} are needed), and scores on "
            f"invented text mislead: the pretrained model, which was chosen on real text, stays"
        )
    rows = real if real.sum() >= least else np.ones_like(real)
    on = f"on {int(rows.sum())} rows" + (" of real text" if rows.sum() == real.sum() else "")
    groups = [example.group for example, kept in zip(results[0].examples, rows, strict=True) if kept]
    size, resamples = len(config.label_names), config.selection.resamples
    statistic = partial(metrics.macro_f1, labels=config.positions)
    metric = "macro-F1" if config.positions is None else f"F1 of {' and '.join(config.positive)}"
    values = [float(statistic(metrics.confusion(r.y_true[rows], r.y_pred[rows], size))) for r in results]
    best = results[int(np.argmax(values))]
    if not config.selection.prefer_simple:
        return best, f"{best.candidate.name} has the highest {metric} {on}, and the config asks for the highest"
    for result in results:
        if result is best:
            break
        gain = metrics.paired_difference(
            *(best.y_true[rows], result.y_pred[rows], best.y_pred[rows], groups, size),
            statistic=statistic,
            resamples=resamples,
        )
        if gain.low <= 0:
            return result, (
                f"{best.candidate.name} scores {100 * gain.value:.1f} points more than {result.candidate.name} {on}, "
                f"but the 95 % interval of the gain, {100 * gain.low:.1f} to {100 * gain.high:.1f}, holds zero: "
                f"the simpler one is taken"
            )
    return best, f"{best.candidate.name} has the highest {metric} {on}, and no simpler candidate ties with it"


def selection_mask(results: Sequence[CandidateResult], config: Config) -> np.ndarray:
    """Return the rows to judge by: real text where there is enough of it, and new to all of the results; shape (n,)."""
    real = results[0].real
    rows = real if real.sum() >= config.selection.real_rows else np.ones_like(real)
    return np.all([rows, *(result.held_out for result in results)], axis=0)


def exclude_active_samples(examples: Sequence[Example], rows: np.ndarray) -> np.ndarray:
    """Return which of the rows no model's doubt has chosen, so that they mirror their text; all if too few; shape (n,).

    A model that is calibrated on hard rows says that labels are more even, and itself less sure, than text bears out.
    """
    blind = rows & np.array([example.sampling in ("", RANDOM) for example in examples])
    return blind if blind.sum() >= FEWEST_BLIND else rows


def refit(
    result: CandidateResult, train: Sequence[Example], config: Config, on_progress: ProgressCallback
) -> Classifier:
    """Fit the selected candidate, or the members of an ensemble, on the whole train part."""
    if result.members:
        logs = [np.log(np.clip(member.probabilities, 1e-9, None)) for member in result.members]
        return Ensemble.of(
            [
                (member.candidate, refit(member, train, config, on_progress), member.calibration)
                for member in result.members
            ],
            blend(logs, result.y_true),
        )
    if result.fitted is not None:
        return result.fitted
    classifier = create(with_teachers(result.candidate, config.candidates), config.random_state)
    classifier.fit(train, config.label_names, on_progress)
    return classifier
