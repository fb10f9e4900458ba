"""The one door to the test part: score the exported folder on it, beside the floors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import figures, metrics, tracking
from pipeline.bundle import Bundle
from pipeline.classifiers import create, index_labels
from pipeline.config import Candidate, Config
from pipeline.dataset import Example, load_dataset, read_labelled

FLOORS = ("majority", "keywords", "tfidf")


@dataclass(frozen=True)
class Table:
    """Scores on one set of rows: the model's, and the floors' on the same rows."""

    name: str
    rows: int
    articles: int
    macro_f1: metrics.Interval
    floors: dict[str, metrics.Interval]
    matrix: np.ndarray
    ece: float
    brier: float
    note: str = ""


def evaluate(bundle: Bundle, config: Config, data: Path | None = None) -> list[Table]:
    """Score the exported model on the test part, or on a labelled file, beside floors fitted on the train part.

    Without `data`: all of the test part, its real and its invented text apart, and all real text
    in the repository (the train part's scored out of fold). The test scores are logged to the
    run that made the model.
    """
    dataset = load_dataset(config)
    train = dataset.part("train")
    floors = {kind: create(Candidate(name=kind, kind=kind), config.random_state) for kind in FLOORS}
    for floor in floors.values():
        floor.fit(train, bundle.label_names, lambda share, words: None)

    def score(name: str, examples: Sequence[Example]) -> Table:
        texts = [example.text for example in examples]
        found = {kind: floor.decision_function(texts).argmax(1) for kind, floor in floors.items()}
        return _table(name, examples, bundle.predict_proba(texts), bundle, found)

    if data is not None:
        rows = read_labelled(data, bundle.label_names)
        sources = sorted({example.origin for example in rows})
        parts = [score(f"  {name}", [e for e in rows if e.origin == name]) for name in sources]
        return [score(data.name, rows), *(parts if len(parts) > 1 else [])]
    test = dataset.part("test")
    invented = [e for e in test if e.origin in config.data.invented]
    real = [e for e in test if e.origin not in config.data.invented]
    tables = [score("test part", test)]
    if invented:
        tables.append(score("  authored (invented text)", invented))
    if real:
        tables.append(score("  real text", real))
    folded = [e for e in train if e.id in bundle.manifest["out_of_fold"]]
    if real and folded:
        stored = np.array([bundle.manifest["out_of_fold"][example.id] for example in folded])
        probabilities = np.vstack([bundle.predict_proba([e.text for e in real]), stored])
        tables.append(_table("real text, test and out of fold", [*real, *folded], probabilities, bundle, {}))
    _log(tables[0], bundle)
    return tables


def _table(
    name: str,
    examples: Sequence[Example],
    probabilities: np.ndarray,
    bundle: Bundle,
    floors: dict[str, np.ndarray],
) -> Table:
    size = len(bundle.label_names)
    y_true, y_pred = index_labels(examples, bundle.label_names), probabilities.argmax(1)
    groups = [example.article_id for example in examples]
    interval = metrics.interval(y_true, y_pred, groups, size)
    return Table(
        name=name,
        rows=len(examples),
        articles=len(set(groups)),
        macro_f1=interval,
        floors={kind: metrics.interval(y_true, floor, groups, size) for kind, floor in floors.items()},
        matrix=metrics.confusion(y_true, y_pred, size),
        ece=metrics.reliability(y_true, probabilities).ece,
        brier=metrics.brier(y_true, probabilities),
        note="" if interval.unit == "articles" else "few articles: interval over sentences",
    )


def _log(table: Table, bundle: Bundle) -> None:
    names = bundle.label_names
    with tracking.run("", run_id=bundle.manifest["run_id"]) as run:
        run.metrics({"test_macro_f1": table.macro_f1.value, "test_ece": table.ece})
        run.figures(
            {
                "test_confusion": figures.draw_confusion(table.matrix, names, "test part"),
                "test_classes": figures.draw_classes(table.matrix, names, "test part"),
            }
        )
