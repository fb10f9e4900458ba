"""Accuracy against what people would use instead, on rows that nothing was trained on: same rows, same machine.

Five parts, each a table and a piece of reports/accuracy.json, which grows as soon as a figure is there:

    held-out    all candidates and exported models on held-out real sentences, and on whole articles
    tweeteval   TweetEval's stance task, its official metric on the validation part, over random starts
    folds       the candidates of TweetEval's config by cross-validation inside its training part
    few         8, 16, 32, 64 labelled sentences for each label, over random draws
    growth      training time at 1, 2, 4, 8 thousand sentences, with a plot and the fitted exponent

    python benchmarks/accuracy.py --part held-out --model models/champion --model models/full
    python benchmarks/accuracy.py --part few --starts 3
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rivals

from pipeline.bundle import load_bundle
from pipeline.classifiers import create, index_labels
from pipeline.classifiers.folds import assign_folds
from pipeline.config import Candidate, read_config
from pipeline.data.dataset import Example, load_dataset, read_corpora
from pipeline.scoring import metrics
from pipeline.scoring.predictions import Predictions

LABEL_NAMES = ("pro-sanctions", "pro-dialogue", "neutral")
# Fits on rows and scores texts: (train, label_names, texts, random_state) -> scores of shape (n, labels).
System = Callable[[Sequence[Example], Sequence[str], Sequence[str], int], np.ndarray]


def ours(kind: str, **options: Any) -> System:
    """Return a candidate as a system."""

    def run(train: Sequence[Example], names: Sequence[str], texts: Sequence[str], random_state: int) -> np.ndarray:
        classifier = create(Candidate(name=kind, kind=kind, options=options), random_state)
        classifier.fit(train, names, lambda share, words: None)
        return classifier.decision_function(texts)

    return run


CHEAP = {
    "majority": ours("majority"),
    "keywords": ours("keywords", lexicon="configs/lexicon.yaml"),
    "TF-IDF": ours("tfidf"),
    "frozen MiniLM + LR": ours("embedding"),
    "hybrid": ours("hybrid"),
}
ENCODERS = {
    "finetune": ours("finetune", validation_share=0.0),
    "contrastive": ours("contrastive"),
    "run_classification": rivals.run_classification,
}


BASE_SIZE = "all-mpnet-base-v2"
WITHOUT_LUCK = ("majority", "tfidf", "embedding", "hybrid")  # another random start gives the same model
RIVALS = ("run_classification", "SetFit", "SetFit, 1,000 steps")


class Report:
    """Keeps what was measured, in a file that is whole after each figure."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.content: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    def put(self, part: str, value: Any) -> None:
        """Store a part anew."""
        self.content[part] = value
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial_file = self.file.with_suffix(".partial")
        partial_file.write_text(json.dumps(self.content, indent=1) + "\n")
        partial_file.replace(self.file)


def timed(system: System, *given: Any) -> tuple[np.ndarray, float]:
    """Run a system; return its scores and the seconds it took to train and score."""
    begin = time.perf_counter()
    scores = system(*given)
    return scores, time.perf_counter() - begin


def note(words: str) -> None:
    """Tell how far the work is."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {words}\n")


def show(title: str, lines: list[dict[str, object]]) -> None:
    """Print a Markdown table."""
    columns = list(lines[0])
    print(f"\n### {title}\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for line in lines:
        cells = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in line.values()]
        print(f"| {' | '.join(cells)} |")
    sys.stdout.flush()


def score(name: str, y_pred: np.ndarray, rows: list[Example], seconds: float) -> dict[str, object]:
    """Return one line of the table of held-out rows."""
    y_true = index_labels(rows, LABEL_NAMES)
    groups = np.array([row.group for row in rows])
    found = metrics.measure(metrics.MACRO_F1, Predictions(y_true, y_pred, np.eye(3)[y_pred], groups))
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


def held_out(options: argparse.Namespace, report: Report) -> None:
    """Score rivals, candidates and exported models on the test documents."""
    rows = read_corpora(options.data, LABEL_NAMES)
    train = [row for row in rows if row.split == "train"]
    sets = {
        "sampled sentences of held-out documents": [row for row in rows if row.split == "test"],
        "all sentences of held-out whole articles": [row for row in rows if row.split == "full-article-test"],
    }
    texts = [row.input for part in sets.values() for row in part]
    systems = CHEAP | ({} if options.quick else ENCODERS)
    if not options.quick:
        # All pairs of thousands of rows would take SetFit hours.
        systems["SetFit, 1,000 steps"] = partial(rivals.setfit, max_steps=1000)
        # Texts padded to 128 tokens would take a base-size encoder hours, too.
        systems[f"{BASE_SIZE}, run_classification"] = partial(
            rivals.run_classification, encoder=BASE_SIZE, folder=options.base_size, padded=False
        )
    predictions: dict[str, tuple[np.ndarray, float]] = {}
    for name, system in systems.items():
        note(f"held-out: {name} on {len(train)} rows")
        scores, seconds = timed(system, train, LABEL_NAMES, texts, 13)
        predictions[name] = scores.argmax(1), seconds
    for folder in options.model:
        begin = time.perf_counter()
        probabilities = load_bundle(folder).predict_proba(texts)
        predictions[str(folder)] = probabilities.argmax(1), time.perf_counter() - begin
    start, found = 0, {}
    for title, part in sets.items():
        lines = [score(n, y[start : start + len(part)], part, s) for n, (y, s) in predictions.items()]
        show(f"{title} ({len(part)} rows, {len({row.group for row in part})} documents)", lines)
        found[title] = lines
        start += len(part)
    report.put("held-out", found)


def tweeteval(options: argparse.Namespace, report: Report) -> None:
    """Score the candidates of a config, and the rivals, on its validation part over random starts."""
    config = read_config(options.tweeteval)
    dataset = load_dataset(config)
    train, rows = dataset.part("train"), dataset.part("validation")
    systems = {c.name: ours(c.kind, **c.options) for c in config.candidates if c.kind not in ("ensemble", "distil")}
    if not options.quick:
        systems |= {"run_classification": rivals.run_classification}
        systems["SetFit, 1,000 steps"] = partial(rivals.setfit, max_steps=1000)
    y_true, lines = index_labels(rows, config.label_names), []
    positive = [config.label_names.index(name) for name in config.positive]
    for name, system in systems.items():
        found = []
        for start in range(1 if name in WITHOUT_LUCK else options.rival_starts if name in RIVALS else options.starts):
            note(f"tweeteval: {name}, start {start + 1}")
            scores, seconds = timed(system, train, config.label_names, [row.input for row in rows], start)
            matrix = metrics.confusion(y_true, scores.argmax(1), len(config.label_names))
            found.append((float(metrics.macro_f1(matrix, positive)), float(metrics.macro_f1(matrix)), seconds))
        official, macro, seconds = np.array(found).T
        lines.append(
            {"model": name, "starts": len(found), "official": official.mean(), "±": official.std()}
            | {"macro_f1": macro.mean(), "± ": macro.std(), "seconds": float(np.median(seconds))}
        )
        report.put("tweeteval", lines)
    show(f"TweetEval stance: {len(train)} tweets to learn from, {len(rows)} to score", lines)


def folds(options: argparse.Namespace, report: Report) -> None:
    """Score the candidates of TweetEval's config on folds of its training part, balanced by target and label."""
    config = read_config(options.tweeteval)
    rows = np.array(load_dataset(config).part("train"), dtype=object)
    y_true, kinds = index_labels(rows, config.label_names), [f"{row.target} {row.label}" for row in rows]
    texts, groups = np.array([row.input for row in rows], dtype=object), [row.group for row in rows]
    positive = [config.label_names.index(name) for name in config.positive]
    lines, scores = [], {}
    for candidate in (c for c in config.candidates if c.kind not in ("majority", "distil")):
        found = []
        for start in range(options.starts):
            note(f"folds: {candidate.name}, cross-validation {start + 1}")
            if candidate.kind == "ensemble":  # its weights are not tuned here: members count the same
                members = (scores[name, start] for name in candidate.options["members"])
                said = np.sum([each / each.std() for each in members], axis=0)
            else:
                numbers, said = assign_folds(kinds, groups, 5, start), np.empty((len(rows), len(config.label_names)))
                for number in range(5):
                    held_out = numbers == number
                    given = rows[~held_out], config.label_names, texts[held_out].tolist(), start
                    said[held_out] = ours(candidate.kind, **candidate.options)(*given)
                scores[candidate.name, start] = said - said.mean(1, keepdims=True)
            matrix = metrics.confusion(y_true, said.argmax(1), len(config.label_names))
            found.append((float(metrics.macro_f1(matrix, positive)), float(metrics.macro_f1(matrix))))
        official, macro = np.array(found).T
        lines.append(
            {"model": candidate.name, "cross-validations": len(found), "official": official.mean()}
            | {"±": official.std(), "macro_f1": macro.mean(), "± ": macro.std()}
        )
        report.put("folds", lines)
    show(f"TweetEval stance, five folds of {len(rows)} tweets", lines)


def few(options: argparse.Namespace, report: Report) -> None:
    """Score what a few labelled sentences for each label give, over random draws."""
    rows = read_corpora(options.data, LABEL_NAMES)
    train = [row for row in rows if row.split == "train"]
    test = [row for row in rows if row.split == "test"]
    y_true, texts = index_labels(test, LABEL_NAMES), [row.input for row in test]
    systems: dict[str, System] = {
        "TF-IDF": ours("tfidf"),
        "frozen MiniLM + LR": ours("embedding"),
        "contrastive": ours("contrastive"),
        "anchored to the start": ours("anchored"),
    }
    if not options.quick:
        systems["SetFit"] = rivals.setfit
    lines = []
    for size in options.sizes:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in systems}
        for start in range(options.starts):
            rng = np.random.default_rng(1000 * size + start)
            drawn = [
                row
                for label in LABEL_NAMES
                for row in rng.choice(np.array([r for r in train if r.label == label], dtype=object), size, False)
            ]
            for name, system in systems.items():
                if name in RIVALS and start >= options.rival_starts:
                    continue
                note(f"few: {size} for each label, start {start + 1}, {name}")
                scores, seconds = timed(system, drawn, LABEL_NAMES, texts, start)
                found[name].append((float(metrics.macro_f1(metrics.confusion(y_true, scores.argmax(1), 3))), seconds))
        for name, values in found.items():
            macro, seconds = np.array(values).T
            lines.append(
                {"for each label": size, "model": name, "macro_f1": macro.mean(), "±": macro.std()}
                | {"draws": len(macro), "seconds": float(np.median(seconds))}
            )
        report.put("few", lines)
    show(f"few labels, scored on {len(test)} held-out sentences", lines)


def growth(options: argparse.Namespace, report: Report) -> None:
    """Time training against the number of rows; the exponent is the slope of log time over log rows."""
    train = [row for row in read_corpora(options.data, LABEL_NAMES) if row.split == "train"]
    order = np.random.default_rng(13).permutation(len(train))
    sizes = [size for size in (1000, 2000, 4000, 8000) if size <= len(train)]
    systems = {name: CHEAP[name] for name in ("TF-IDF", "frozen MiniLM + LR", "hybrid")}
    systems |= {name: ENCODERS[name] for name in (() if options.quick else ("finetune", "contrastive"))}
    ours("embedding")([train[i] for i in order[:32]], LABEL_NAMES, ["warm"], 13)
    lines, curves = [], {}
    for name, system in systems.items():
        times = []
        for size in sizes:
            note(f"growth: {name} on {size} rows")
            times.append(timed(system, [train[i] for i in order[:size]], LABEL_NAMES, ["one"], 13)[1])
        exponent = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
        lines.append({"model": name} | {str(s): t for s, t in zip(sizes, times, strict=True)} | {"exponent": exponent})
        curves[name] = times
        report.put("growth", lines)
    show("seconds of training by number of sentences", lines)
    draw_growth(sizes, curves, options.output.with_name("growth.png"))


def draw_growth(sizes: list[int], curves: dict[str, list[float]], file: Path) -> None:
    """Draw time over rows, both logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for name, times in curves.items():
        axes.loglog(sizes, times, marker="o", label=name)
    axes.set(xlabel="labelled sentences", ylabel="seconds of training", title="What training costs as data grow")
    axes.legend()
    figure.savefig(file)
    print(f"plot: {file}")


PARTS = {"held-out": held_out, "tweeteval": tweeteval, "folds": folds, "few": few, "growth": growth}


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="default: all")
    parser.add_argument("--data", type=Path, default=Path(".cache/corpora.jsonl"), help="see `stance corpora`")
    parser.add_argument("--tweeteval", type=Path, default=Path("configs/tweeteval-stance.yaml"))
    parser.add_argument("--model", type=Path, action="append", default=[], help="an exported model to score as well")
    parser.add_argument("--base-size", default="", help=f"a folder with {BASE_SIZE}, where the hub is not at hand")
    parser.add_argument("--starts", type=int, default=10, help="random starts and draws")
    parser.add_argument("--rival-starts", type=int, default=10, help="the same for rivals that train for minutes")
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 16, 32, 64], help="rows for each label")
    parser.add_argument("--quick", action="store_true", help="leave out what trains an encoder for minutes")
    parser.add_argument("--output", type=Path, default=Path("reports/accuracy.json"))
    options = parser.parse_args()
    report = Report(options.output)
    options.rival_starts = min(options.rival_starts, options.starts)
    for part in options.part or PARTS:
        PARTS[part](options, report)


if __name__ == "__main__":
    main()
