"""What candidates learn from and are compared on: the train and validation parts, and no other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline import tracking
from pipeline.config import Config
from pipeline.data.dataset import Dataset, Example, load_dataset, to_dataset_dict
from pipeline.training.selection import check_candidates, check_classes, check_validation, make_folds
from pipeline.training.unlabelled import cut_unlabelled

PARTS = ("train", "validation")


@dataclass(frozen=True)
class Material:
    """Rows and the folds they are in; `folds` runs over `rows`, shape (n,)."""

    dataset: Dataset
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    folds: np.ndarray

    @property
    def rows(self) -> list[Example]:
        """The train part, then the validation part."""
        return [*self.train, *self.validation]


def prepare(config: Config) -> tuple[Config, Material]:
    """Load the data, and find whatever is wrong with it before the first minute of work is spent.

    Returns:
        The config, with each candidate's `unlabelled` articles cut into sentences, and the rows.

    """
    check_candidates(config.candidates)
    dataset = load_dataset(config)
    train, validation = map(dataset.part, PARTS)
    check_classes(train, config)
    check_validation(validation, config)
    config = cut_unlabelled(config, dataset.examples)
    return config, Material(dataset, train, validation, make_folds(train, validation, config))


def log_inputs(run: tracking.Run, material: Material, config: Config) -> None:
    """Log the data that a run has seen: the test part is in the digest, and its rows are not told."""
    parts = to_dataset_dict(material.dataset, config.label_names, PARTS)
    for part, rows in parts.items():
        run.inputs(f"{config.name}-{part}", rows, material.dataset.digest, part)
    run.params({"random_state": config.random_state, "folds": config.selection.folds, "rows": len(material.train)})
