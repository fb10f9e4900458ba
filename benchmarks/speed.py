"""Time training and prediction beside a peer: ratios of medians, runs interleaved, one machine.

Prediction: sentences a second of the exported model and of transformers' own pipeline on the same
encoder with a classification layer, batch size 32. Training: seconds for each candidate's fold.

    python benchmarks/speed.py --model models/champion --sentences 600 --runs 5
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.bundle import load_bundle
from pipeline.classifiers import create
from pipeline.config import read_config
from pipeline.dataset import load_dataset


def peer(texts: list[str]) -> Callable[[], object]:
    """Return transformers' pipeline on the default encoder, as its documentation shows it."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    from pipeline.classifiers.checkpoint import DEFAULT, find_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        place = find_checkpoint(DEFAULT)
        AutoTokenizer.from_pretrained(place).save_pretrained(folder)
        AutoModelForSequenceClassification.from_pretrained(place, num_labels=3).save_pretrained(folder)
        classify = pipeline("text-classification", model=folder, device="cpu")
    return lambda: list(classify(texts, batch_size=32, truncation=True, max_length=128))


def timed(run: Callable[[], object]) -> float:
    """Return the seconds of one run."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def main() -> None:
    """Run the benchmark and print a small table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/champion"))
    parser.add_argument("--config", type=Path, default=Path("configs/default.yaml"))
    parser.add_argument("--sentences", type=int, default=600)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-training", action="store_true")
    options = parser.parse_args()
    config = read_config(options.config)
    train = load_dataset(config).part("train")
    texts = [example.text for example in train][: options.sentences]
    bundle = load_bundle(options.model)
    sides: dict[str, Callable[[], object]] = {
        "stance (exported model)": lambda: bundle.predict_proba(texts),
        "transformers pipeline, batch 32": peer(texts),
    }
    for run in sides.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.runs):
        for name, run in sides.items():
            seconds[name].append(timed(run))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    mine, theirs = medians.values()
    print(f"\n| prediction of {len(texts)} sentences | sentences a second | ratio |\n|---|---|---|")
    for name, value in medians.items():
        print(f"| {name} | {len(texts) / value:.0f} | {theirs / value:.2f} |")
    report = {"prediction": {name: len(texts) / value for name, value in medians.items()}, "ratio": theirs / mine}
    if not options.no_training:
        print(f"\n| training on {len(train)} sentences | seconds | beside tfidf |\n|---|---|---|")
        training: dict[str, float] = {}
        for candidate in config.candidates:
            classifier = create(candidate, config.random_state)
            training[candidate.name] = timed(lambda c=classifier: c.fit(train, config.label_names, lambda s, w: None))
        for name, value in training.items():
            print(f"| {name} | {value:.1f} | {value / training['tfidf']:.1f} |")
        report["training"] = training
    Path("reports").mkdir(exist_ok=True)
    Path("reports/speed.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
