"""What candidates learn from and are compared on: the train and validation parts, and no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline import tracking
from pipeline.config import Config, TopicWords, read_topic_words
from pipeline.data.dataset import Dataset, Example, load_dataset, to_dataset_dict
from pipeline.training.provenance import requirements
from pipeline.training.rows import check_classes, check_validation, make_folds
from pipeline.training.selection import check_candidates
from pipeline.training.unlabelled import cut_unlabelled

if TYPE_CHECKING:
    from datasets import DatasetDict

PARTS = ("train", "validation")


@dataclass(frozen=True)
class Material:
    """Rows and the folds they are in; `folds` runs over `rows`, shape (n,)."""

    dataset: Dataset
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    folds: np.ndarray
    parts: DatasetDict  # the rows as MLflow shows them, by part
    given: Config  # as it was before its `unlabelled` articles were cut
    topic_words: TopicWords | None

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
    words = read_topic_words(config.topic_words) if config.topic_words else None
    dataset = load_dataset(config)
    train, validation = map(dataset.part, PARTS)
    check_classes(train, config)
    check_validation(validation, config)
    given, config = config, cut_unlabelled(config, dataset.examples)
    folds, parts = make_folds(train, validation, config), to_dataset_dict(dataset, config.label_names, PARTS)
    return config, Material(dataset, train, validation, folds, parts, given, words)


def log_material(run: tracking.Run, material: Material) -> None:
    """Log what a run is rebuilt from: rows (of the test part the digest alone), the whole config, what is installed."""
    import yaml

    config = material.given
    for part, rows in material.parts.items():
        run.inputs(f"{config.name}-{part}", rows, material.dataset.digest, part)
    run.params({"random_state": config.random_state, "folds": config.selection.folds, "rows": len(material.train)})
    content = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    run.text(content, tracking.CONFIG)
    run.text(requirements(), tracking.REQUIREMENTS)
