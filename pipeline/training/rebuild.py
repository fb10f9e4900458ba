"""Train again from what a run in MLflow holds, and say whether the numbers are the same."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline import tracking
from pipeline.config import Config, read_config

# Configs that were read from MLflow, and the folds of a training from one: nothing is remembered from before.
RUNS, CACHE = Path(".cache/runs"), Path(".cache/rebuild")
TIMES = ("seconds",)  # they differ whatever else is the same
TELLING = ("data_digest", "git_commit", "python", "processor", "codebook")  # tags that may explain a difference


@dataclass(frozen=True)
class Comparison:
    """A training beside the one that it repeats."""

    run_id: str  # of the earlier one
    same: int  # numbers
    different: tuple[str, ...]  # the others, in words
    circumstances: tuple[str, ...]  # what else is not the same, in words

    def __str__(self) -> str:
        """Say it in a few lines."""
        total = self.same + len(self.different)
        lines = [f"Run {self.run_id} again: {self.same} of its {total} numbers are the same."]
        lines += [f"  {words}" for words in self.different]
        if self.circumstances:
            lines += ["What else differs:", *(f"  {words}" for words in self.circumstances)]
        return "\n".join(lines)


def read_training(run_id: str) -> tuple[tracking.Recorded, Config]:
    """Return what a run in MLflow holds, and its config with an empty cache, so that every number is made anew."""
    recorded = tracking.read_run(run_id, RUNS)
    shutil.rmtree(CACHE, ignore_errors=True)
    return recorded, read_config(recorded.config).model_copy(update={"cache": CACHE})


def compare(before: tracking.Recorded, run_id: str) -> Comparison:
    """Compare the numbers of each candidate with those of another run, and what may explain a difference."""
    after = tracking.read_run(run_id, RUNS)
    numbers, again = _flatten(before.metrics), _flatten(after.metrics)
    different = _differences(numbers, again)
    tags = [{name: run.tags.get(name, "none") for name in TELLING} for run in (before, after)]
    packages = [dict(line.split("==", 1) for line in run.requirements) for run in (before, after)]
    circumstances = _differences(*tags) + _differences(*packages)
    return Comparison(before.run_id, len(numbers) - len(different), tuple(different), tuple(circumstances))


def _flatten(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {f"{name} {key}": value for name, row in metrics.items() for key, value in row.items() if key not in TIMES}


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Name what is not the same, missing things too."""
    return [
        f"{name}: {after.get(name, 'none')}, was {value}" for name, value in before.items() if after.get(name) != value
    ]
