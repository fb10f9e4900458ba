"""Search the options of candidates, and write the config that `stance train` takes.

A search space (`space`) is tried in studies that outlive a kill (`study`), one trial after the
other (`trials`), on the rows and folds that training compares candidates on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import tracking
from pipeline.classifiers import create
from pipeline.classifiers.folds import with_teachers
from pipeline.config import read_mapping
from pipeline.data.dataset import load_dataset, to_dataset_dict
from pipeline.data.digest import fingerprint
from pipeline.data.examples import Example
from pipeline.data.files import write_whole
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback, step_of
from pipeline.training.material import PARTS
from pipeline.training.provenance import run_tags
from pipeline.training.rows import check_classes, make_folds
from pipeline.training.tuning.course import Course
from pipeline.training.tuning.space import Space
from pipeline.training.tuning.study import Study, TrialResult, open_studies
from pipeline.training.tuning.trials import Tuned, search

# The first words of a config that tuning wrote: such a file may be written over, others may not.
HEADER = "# Written by `stance tune`"


@dataclass(frozen=True)
class TuningResult:
    """What a tuning did, over all its runs."""

    tuned: tuple[Tuned, ...]
    rows: str  # what was scored, in words
    resumed: int  # trials that an earlier run had finished
    run_id: str


def tune(
    space: Space,
    output: Path,
    on_progress: ProgressCallback,
    on_result: Callable[[TrialResult], None],
    *,
    trials: int | None = None,
    minutes: float = math.inf,
    restart: bool = False,
) -> TuningResult:
    """Run the trials of a search space and write the config with the best options to `output`; goes on after a kill.

    `trials` for each candidate stand in place of what the space says. After `minutes` no trial begins; each candidate
    has its share of them, and at least one trial. `restart` throws away the trials of earlier runs.
    """
    _check_output(output, space)
    config, name = space.config, space.path.stem
    dataset = load_dataset(config)
    end = time.monotonic() + 60 * minutes
    course = _lay_out(space, dataset.part("train"), dataset.part("validation"))
    tags = run_tags(config, dataset.digest)
    file, identity = config.cache / "tune" / f"{name}.db", _identity(space, dataset.digest)
    with (
        open_studies(file, identity, restart=restart) as (storage, run_id),
        tracking.run(f"tune {name}", experiment=config.registered_model, tags=tags, run_id=run_id) as parent,
    ):
        if not run_id:
            for split, rows in to_dataset_dict(dataset, config.label_names, PARTS).items():
                parent.inputs(f"{config.name}-{split}", rows, dataset.digest, split)
            parent.params({"space": space.path, "random_state": config.random_state, "folds": course.count})
        begun = identity | {"run_id": run_id or parent.id}
        opened = [Study(storage, wanted, config.random_state, begun) for wanted in space.searches]
        resumed = sum(len(study.finished) for study in opened)
        tuned = []
        for position, study in enumerate(opened):
            step = step_of(on_progress, position, len(opened))
            seconds = max(0.0, end - time.monotonic()) / (len(opened) - position)
            tuned.append(search(study, course, trials or space.trials, step, on_result, parent, seconds))
        outcome = TuningResult(tuple(tuned), _describe(course), resumed, parent.id)
        content = _render(outcome, space, dataset.digest)
        _write(output, content)
        parent.text(content, "tuned.yaml")
        parent.note("\n".join(line.lstrip("# ") for line in content.splitlines() if line.startswith("#")))
        parent.metrics({"trials": sum(len(entry.trials) for entry in tuned)})
    return outcome


def _check_output(output: Path, space: Space) -> None:
    """Find before the first trial what would keep its result from being written, or overwrite what is a person's."""
    then = "choose another --output"
    if output.resolve() == space.config_path.resolve():
        raise InputError(output, "is the config that is tuned", then=then)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.exists() and not output.read_text(encoding="utf-8", errors="replace").startswith(HEADER):
            raise InputError(output, "is there, and `stance tune` did not write it", then=then)
    except OSError as error:
        raise InputError(output, error.strerror or str(error), then=then) from None


def _lay_out(space: Space, train: Sequence[Example], validation: Sequence[Example]) -> Course:
    """Take the rows and folds of a training; InputError where they cannot tell trials apart."""
    config = space.config
    check_classes(train, config)
    course = Course(config, [*train, *validation], make_folds(train, validation, config))
    for wanted in space.searches:
        knows = any(create(corner).knows_invented_text for corner in wanted.corners())
        if knows and not course.enough_real_text:
            where = f"{space.path}: candidate {wanted.candidate.name!r}"
            real = int(course.real.sum())
            what = f"the pretrained model knows the invented text, and {real} real rows are too few to tune on"
            raise InputError(where, what, expected=f"{config.selection.real_rows} (selection.real_rows)")
    return course


def _identity(space: Space, data: str) -> dict[str, str]:
    """Return what two runs must share for their trials to be of one study, by the names in IDENTITY."""
    tried = [(wanted.candidate.model_dump(), wanted.distributions()) for wanted in space.searches]
    config = space.config.model_dump(mode="json", include={"label_names", "random_state", "data", "selection"})
    tuned = [create(with_teachers(wanted.candidate, space.config.candidates)) for wanted in space.searches]
    modules = {Course.__module__, Space.__module__, Study.__module__}.union(*(kind.modules for kind in tuned))
    program = fingerprint(modules, files=[file for kind in tuned for file in kind.files])
    return {"space": fingerprint((), tried), "config": fingerprint((), config), "data": data, "program": program}


def _describe(course: Course) -> str:
    """Say what was scored."""
    real = int(course.real.sum())
    if course.enough_real_text:
        return f"{real} held-out rows of real text"
    pretrained = any(create(candidate).chosen_on_real_text for candidate in course.config.candidates)
    then = "; with so few, `stance train` takes the pretrained model whatever is tuned" if pretrained else ""
    return f"{len(course.real)} held-out rows ({real} of real text, too few to choose by{then})"


def _render(outcome: TuningResult, space: Space, data: str) -> str:
    """Return the config with the best options in their places, and above it where they come from."""
    import yaml

    lines = [
        f"{HEADER} from {space.path} for {space.config_path}.",
        f"# Study {space.config.cache / 'tune' / space.path.stem}.db, MLflow run {outcome.run_id}, data {data}.",
        f"# Macro-F1 and 95 % interval on {outcome.rows}:",
    ]
    for entry in outcome.tuned:
        early = f"{len(entry.trials) - len(entry.best)} of {len(entry.trials)} trials did not come to their end"
        best = f"trial {entry.best[0].number} {entry.best[0].macro_f1}" if entry.best else "none"
        lines.append(f"# - {entry.candidate.name}: {best}, before {entry.before}; {entry.verdict}; {early}.")
    lines.append("# The best of many trials flatters itself: `stance eval` scores what is trained on the test part.")
    content = read_mapping(space.config_path)
    content.pop("name", None)
    if space.config.data.source:  # which would be registered under the name of the new file
        content.setdefault("registered_model", space.config.registered_model)
    options = {entry.candidate.name: entry.candidate.options for entry in outcome.tuned}
    for candidate in content["candidates"]:
        candidate.get("options", candidate).update(options.get(candidate.get("name", candidate["kind"]), {}))
    header = "".join(" ".join(line.split()) + "\n" for line in lines)
    return header + yaml.safe_dump(content, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)


def _write(output: Path, content: str) -> None:
    try:
        with write_whole(output) as partial:
            partial.write_text(content, encoding="utf-8")
    except OSError as error:
        then = "the trials are kept: the same command writes it again"
        raise InputError(output, error.strerror or str(error), then=then) from None
