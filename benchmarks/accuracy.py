"""Macro-F1 of the exported model and its rivals on the same held-out real sentences, in one table.

Trains the rivals on the train part of the corpora (git-ignored, see `stance corpora`), scores all on
the test part and on whole articles of it. `--quick` leaves out the rivals that train an encoder.

    python benchmarks/accuracy.py --data .cache/corpora.jsonl --model models/champion --model models/full
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from pipeline import metrics
from pipeline.bundle import load_bundle
from pipeline.classifiers import create, index_labels
from pipeline.config import Candidate
from pipeline.dataset import Example, read_corpora

LABEL_NAMES = ("pro-sanctions", "pro-dialogue", "neutral")
CHEAP = [
    Candidate(name="majority", kind="majority"),
    Candidate(name="keywords", kind="keywords"),
    Candidate(name="tfidf", kind="tfidf"),
    Candidate(name="frozen MiniLM + LR", kind="embedding"),
    Candidate(name="hybrid", kind="hybrid"),
]
ENCODERS = [Candidate(name="fine-tuned MiniLM", kind="finetune", options={"validation_share": 0.0})]


def train_setfit(train: list[Example], texts: list[str]) -> np.ndarray:
    """Fit SetFit on the same encoder and rows, with the library's own defaults but a bounded number of pairs."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    from pipeline.classifiers.checkpoint import DEFAULT, find_checkpoint

    model = SetFitModel.from_pretrained(find_checkpoint(DEFAULT), labels=list(LABEL_NAMES))
    rows = Dataset.from_list([{"text": e.text, "label": LABEL_NAMES.index(e.label)} for e in train])
    arguments = TrainingArguments(batch_size=16, num_epochs=1, max_steps=1000, report_to="none")
    Trainer(model=model, args=arguments, train_dataset=rows).train()
    return np.asarray(model.predict_proba(texts))


def score(name: str, y_pred: np.ndarray, rows: list[Example], seconds: float) -> dict[str, object]:
    """Return one line of the table."""
    y_true = index_labels(rows, LABEL_NAMES)
    groups = [row.group for row in rows]
    found = metrics.interval(y_true, y_pred, groups, 3)
    matrix = metrics.confusion(y_true, y_pred, 3)
    line: dict[str, object] = {"model": name, "macro_f1": found.value, "low": found.low, "high": found.high}
    line |= {f"f1 {label}": value for label, value in zip(LABEL_NAMES, metrics.f1(matrix).tolist(), strict=True)}
    line |= {
        "precision": metrics.precision(matrix).round(3).tolist(),
        "recall": metrics.recall(matrix).round(3).tolist(),
    }
    for source in sorted({row.origin for row in rows}):
        kept = np.array([row.origin == source for row in rows])
        line[source] = float(metrics.macro_f1(metrics.confusion(y_true[kept], y_pred[kept], 3)))
    return line | {"seconds": seconds}


def show(title: str, lines: list[dict[str, object]]) -> None:
    """Print a Markdown table."""
    columns = list(lines[0])
    print(f"\n### {title}\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for line in lines:
        cells = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in line.values()]
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(".cache/corpora.jsonl"))
    parser.add_argument("--model", type=Path, action="append", default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("reports/accuracy.json"))
    options = parser.parse_args()
    rows = read_corpora(options.data, LABEL_NAMES)
    train = [row for row in rows if row.split == "train"]
    sets = {
        "sampled sentences of held-out documents": [row for row in rows if row.split == "test"],
        "all sentences of held-out whole articles": [row for row in rows if row.split == "running-test"],
    }
    texts = [row.text for part in sets.values() for row in part]
    predictions: dict[str, tuple[np.ndarray, float]] = {}
    for candidate in CHEAP + ([] if options.quick else ENCODERS):
        begin = time.perf_counter()
        classifier = create(candidate, random_state=13)
        classifier.fit(train, LABEL_NAMES, lambda share, words: None)
        predictions[candidate.name] = classifier.decision_function(texts).argmax(1), time.perf_counter() - begin
    if not options.quick:
        begin = time.perf_counter()
        predictions["SetFit (1,000 steps)"] = train_setfit(train, texts).argmax(1), time.perf_counter() - begin
    for folder in options.model:
        begin = time.perf_counter()
        probabilities = load_bundle(folder).predict_proba(texts)
        predictions[str(folder)] = probabilities.argmax(1), time.perf_counter() - begin
    start, report = 0, {}
    for title, part in sets.items():
        lines = [score(n, y[start : start + len(part)], part, s) for n, (y, s) in predictions.items()]
        show(f"{title} ({len(part)} rows, {len({row.group for row in part})} documents)", lines)
        report[title] = lines
        start += len(part)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
