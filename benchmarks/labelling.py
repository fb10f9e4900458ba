"""Does a strategy pay? Simulated labelling of real sentences: macro-F1 against the number of labels.

    make bench-labelling                      10 random starts, about 15 minutes on two cores
    python benchmarks/labelling.py --quick    2 starts, a small pool, a minute

Each start keeps a third of the documents apart to score on, begins with the same random labels for all
strategies, and lets each strategy choose the rest by `pipeline.labelling.choice.choose`, as
`stance label suggest` does. Labels come from the file, so the annotator never errs. The model learns
TF-IDF terms and calibrates on its own folds; the shipped start is not used: it knows these sentences.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from pipeline.calibration import fit_calibration
from pipeline.labelling.choice import STRATEGIES, Plan, choose
from pipeline.metrics import confusion, macro_f1

LABEL_NAMES = ("pro-sanctions", "pro-dialogue", "neutral")
# name -> strategy, a quota for each predicted label, clusters
WAYS = {name: (name, True, True) for name in STRATEGIES} | {
    "margin, no clusters": ("margin", True, False),
    "margin, no quotas": ("margin", False, True),
    "margin alone": ("margin", False, False),
    "random": ("random", False, False),
}
DEFAULT, BASE = "margin", "random"


def read(file: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return texts, label indices and documents."""
    if not file.is_file():
        sys.exit(f"{file}: no such file; it is made of rows with id, article, text, label (see `stance corpora`)")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    labels = np.array([LABEL_NAMES.index(row["label"]) for row in rows])
    return [row["text"] for row in rows], labels, np.array([row["article"] for row in rows])


def fit(features: csr_matrix, y: np.ndarray, state: int) -> tuple[LinearSVC, object]:
    """Fit a linear machine, and its calibration on three folds of the same rows."""
    make = lambda: LinearSVC(C=0.3, class_weight="balanced", random_state=state)  # noqa: E731
    folds = np.random.default_rng(state).integers(0, 3, len(y))
    scores = np.zeros((len(y), len(LABEL_NAMES)))
    for fold in range(3):
        inside = folds != fold
        if len(np.unique(y[inside])) == len(LABEL_NAMES):
            scores[~inside] = make().fit(features[inside], y[inside]).decision_function(features[~inside])
    return make().fit(features, y), fit_calibration(scores, y, folds)


def simulate(
    features: csr_matrix, y: np.ndarray, pool: np.ndarray, test: np.ndarray, way: str, steps: list[int], state: int
) -> list[float]:
    """Return macro-F1 on the test rows after each step; the first step is drawn at random for every way."""
    strategy, by_label, clusters = WAYS[way]
    rng = np.random.default_rng(state)
    known = rng.choice(pool, steps[0], replace=False)
    found = []
    for position, step in enumerate(steps):
        if position:
            rest = np.setdiff1d(pool, known)
            model, calibration = fit(features[known], y[known], state)
            probabilities = calibration.apply(model.decision_function(features[rest]))
            plan = Plan(step - len(known), strategy, 0.1, by_label, random_state=state + position)
            spread = (lambda rows, rest=rest: features[rest[rows]]) if clusters else None
            known = np.concatenate([known, rest[list(choose(probabilities, plan, spread))]])
        model = LinearSVC(C=0.3, class_weight="balanced", random_state=state).fit(features[known], y[known])
        predicted = model.decision_function(features[test]).argmax(1)
        found.append(float(macro_f1(confusion(y[test], predicted, len(LABEL_NAMES)))))
    return found


def labels_needed(steps: list[int], curve: np.ndarray, target: float) -> float:
    """Return the number of labels at which a curve first reaches a score, between steps; inf if never."""
    for position, score in enumerate(curve):
        if score >= target:
            if not position:
                return float(steps[0])
            before = curve[position - 1]
            share = (target - before) / (score - before)
            return steps[position - 1] + share * (steps[position] - steps[position - 1])
    return float("inf")


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median over random starts."""
    draws = np.random.default_rng(0).integers(0, len(values), (2000, len(values)))
    low, high = np.quantile(np.median(values[draws], axis=1), [0.025, 0.975], method="nearest")
    return float(low), float(high)


def main() -> None:
    """Run the simulation, print the table, draw the plot."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/corpora/real/sentences.jsonl"))
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("reports/labelling.png"))
    options = parser.parse_args()
    texts, y, documents = read(options.data)
    starts = 2 if options.quick else options.starts
    steps = [100, 200, 300] if options.quick else list(range(100, 1001, 100))
    ways = {DEFAULT: WAYS[DEFAULT], BASE: WAYS[BASE]} if options.quick else WAYS
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    features = vectorizer.fit_transform(texts)
    names = np.unique(documents)
    curves: dict[str, list[list[float]]] = {way: [] for way in ways}
    for start in range(starts):
        held_out = np.random.default_rng(start).permutation(names)[: len(names) // 3]
        test = np.flatnonzero(np.isin(documents, held_out))
        pool = np.setdiff1d(np.arange(len(y)), test)
        for way in ways:
            curves[way].append(simulate(features, y, pool, test, way, steps, start))
        sys.stderr.write(f"start {start + 1} of {starts}\n")
    arrays = {way: np.array(found) for way, found in curves.items()}
    # Each start against its own target: what random labels reach at the last step.
    targets = arrays[BASE][:, -1]
    report = {"target_labels": steps[-1], "macro_f1_random": float(targets.mean()), "ways": {}}
    print(f"macro-F1 of {steps[-1]} random labels: {targets.mean():.3f} (mean of {starts} starts)")
    print(f"{'strategy':24} {'macro-F1':>9} {'labels for the same score':>28}")
    for way, array in arrays.items():
        needed = np.array([labels_needed(steps, c, t) for c, t in zip(array, targets, strict=True)])
        low, high = interval(needed)
        report["ways"][way] = {
            "curve": array.mean(0).tolist(),
            "labels": float(np.median(needed)),
            "interval": [low, high],
        }
        print(f"{way:24} {array[:, -1].mean():9.3f} {np.median(needed):12.0f} [{low:.0f}, {high:.0f}]")
    draw(arrays, steps, options.output)
    options.output.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    print(f"plot: {options.output}")


def draw(arrays: dict[str, np.ndarray], steps: list[int], file: Path) -> None:
    """Draw the mean curve of each way, with one standard error."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for way, array in arrays.items():
        mean, error = array.mean(0), array.std(0) / np.sqrt(len(array))
        line = axes.plot(steps, mean, label=way, linewidth=2.5 if way in (DEFAULT, BASE) else 1)[0]
        axes.fill_between(steps, mean - error, mean + error, alpha=0.15, color=line.get_color())
    axes.set(xlabel="labels", ylabel="macro-F1 on documents kept apart", title="What a label is worth, by strategy")
    axes.legend()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


if __name__ == "__main__":
    main()
