"""Train again from what a run in MLflow holds, and say whether the numbers are the same."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from pipeline import tracking
from pipeline.config import Config, read_config

# Configs that were read from MLflow, and the folds of a training from one: nothing is remembered from before.
RUNS, CACHE = Path(".cache/runs"), Path(".cache/rebuild")
TIMES = ("seconds",)  # they differ whatever else is the same
TELLING = ("data_digest", "git_commit", "python", "processor", "codebook")  # tags that may explain a difference


def read_training(run_id: str) -> tuple[tracking.Recorded, Config]:
    """Return what a run in MLflow holds, and its config with an empty cache, so that every number is made anew."""
    recorded = tracking.read_run(run_id, RUNS)
    shutil.rmtree(CACHE, ignore_errors=True)
    return recorded, read_config(recorded.config).model_copy(update={"cache": CACHE})


def compare(before: tracking.Recorded, run_id: str) -> str:
    """Say which numbers of a candidate are others in another run, and what may explain it, in a few lines."""
    after = tracking.read_run(run_id, RUNS)
    numbers, again = _flatten(before.metrics), _flatten(after.metrics)
    different = _differences(numbers, again)
    tags = [{name: run.tags.get(name, "none") for name in TELLING} for run in (before, after)]
    packages = [dict(line.split("==", 1) for line in run.requirements) for run in (before, after)]
    same = f"{len(numbers) - len(different)} of its {len(numbers)} numbers are the same"
    lines = [f"Run {before.run_id} again: {same}.", *different]
    if circumstances := _differences(*tags) + _differences(*packages):
        lines += ["What else differs:", *circumstances]
    return "\n".join(lines)


def _flatten(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {f"{name} {key}": value for name, row in metrics.items() for key, value in row.items() if key not in TIMES}


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Return a line for each thing that is not the same, missing ones too."""
    differ = {name: value for name, value in before.items() if after.get(name) != value}
    return [f"  {name}: {after.get(name, 'none')}, was {value}" for name, value in differ.items()]
