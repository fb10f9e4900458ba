"""The rows that an evaluation scores, and what the model and the baselines say of them: each is asked once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.bundle import Bundle
from pipeline.classifiers import Classifier, create, index_labels
from pipeline.config import Candidate, Config
from pipeline.data.dataset import Dataset, Example, read_labelled
from pipeline.errors import InputError
from pipeline.progress import ignore_progress
from pipeline.scoring.calibration import softmax
from pipeline.scoring.predictions import Predictions, likeliest


@dataclass(frozen=True)
class ScoredRows:
    """Rows, and what was said of them; arrays run over `examples`."""

    examples: tuple[Example, ...]
    predictions: Predictions
    baselines: dict[str, Predictions]
    first_stage: np.ndarray  # which rows the first stage answered, shape (n,)

    def of_origins(self, origins: Collection[str]) -> ScoredRows:
        """Return the rows whose articles come from these places."""
        return self.take([row for row, example in enumerate(self.examples) if example.origin in origins])

    def take(self, rows: Sequence[int] | np.ndarray) -> ScoredRows:
        """Return some of the rows, by position."""
        kept = np.array(rows, int)
        baselines = {name: predictions.take(kept) for name, predictions in self.baselines.items()}
        examples = tuple(self.examples[row] for row in kept)
        return ScoredRows(examples, self.predictions.take(kept), baselines, self.first_stage[kept])


def check_labels(bundle: Bundle, config: Config, then: str = "") -> None:
    """Check that a config is about the labels of a model; InputError names both, and what to pass."""
    if set(bundle.label_names) != set(config.label_names):
        names, expected = (", ".join(each.label_names) for each in (bundle, config))
        own = f"pass --model {config.output}, or --config with the model's own config, {bundle.manifest.config}"
        raise InputError("the model", f"knows {names}", expected=f"{expected} (config {config.name})", then=then or own)


def read_rows(dataset: Dataset, config: Config, data: Path | None = None) -> tuple[Example, ...]:
    """Return the test part, or the rows of a labelled file; InputError where there is none."""
    if data:
        return tuple(read_labelled(data, config.label_names))
    if test := dataset.part("test"):
        return test
    then = "score a labelled file with --data" if config.data.source else "label more articles and run `stance split`"
    where = config.data.source or config.data.seeds / "index.csv"
    raise InputError(where, "no labelled sentence is in the test part", then=then)


def fit_baselines(train: Sequence[Example], label_names: Sequence[str], config: Config) -> dict[str, Classifier]:
    """Fit the baselines on the train part; without a lexicon there is no keyword list."""
    baselines = {}
    for kind in ("majority", "keywords", "tfidf") if config.evaluation.lexicon else ("majority", "tfidf"):
        options = {"lexicon": str(config.evaluation.lexicon)} if kind == "keywords" else {}
        baselines[kind] = create(Candidate(name=kind, kind=kind, options=options), config.random_state)
        baselines[kind].fit(train, label_names, ignore_progress)
    return baselines


def predict(bundle: Bundle, examples: Sequence[Example], label_names: Sequence[str]) -> tuple[Predictions, np.ndarray]:
    """Return what `stance predict` would say, with labels in this order, and which rows the first stage answered."""
    probabilities, stages = bundle.predict_in_stages(bundle.read_examples(examples))
    places = np.array([label_names.index(name) for name in bundle.label_names])
    y_pred, probabilities = places[bundle.decide(probabilities)], probabilities[:, np.argsort(places)]
    groups = np.array([example.group for example in examples])
    return Predictions(index_labels(examples, label_names), y_pred, probabilities, groups), stages != "full"


def predict_rows(bundle: Bundle, baselines: Mapping[str, Classifier], examples: Sequence[Example]) -> ScoredRows:
    """Ask the model and the baselines for what they say of rows."""
    own, first_stage = predict(bundle, examples, bundle.label_names)
    inputs = [example.input for example in examples]
    scores = {name: softmax(baseline.decision_function(inputs)) for name, baseline in baselines.items()}
    others = {name: likeliest(own.y_true, probabilities, own.groups) for name, probabilities in scores.items()}
    return ScoredRows(tuple(examples), own, others, first_stage)
