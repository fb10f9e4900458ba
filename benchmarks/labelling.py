"""Does a strategy pay? Simulated labelling of real sentences: macro-F1 against the number of labels.

    make bench-labelling                            10 random draws, about 12 minutes on two cores
    python benchmarks/labelling.py --pool sampled   the sampled sentences in place of running text
    python benchmarks/labelling.py --quick          2 draws, few labels, a minute

Running text is every sentence of whole articles, as `stance label suggest` meets it: nine in ten take no side.
Of the sampled sentences, which were drawn for speaking of North Korea, one in four does.

Each draw keeps a third of the documents apart to score on, begins with the same random labels for all
strategies, and lets each strategy choose the rest by `pipeline.labelling.choice.choose`, as
`stance label suggest` does. Labels come from the file, so the annotator never errs. The model is the
candidate `tfidf`, calibrated out of fold on the blind rows and decided as `stance train` does; the
pretrained model is not used: it knows these sentences.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from pipeline.classifiers import index_labels
from pipeline.classifiers.linear import Tfidf
from pipeline.config import Config, read_config
from pipeline.data.annotations import RANDOM
from pipeline.data.dataset import Example, read_corpora
from pipeline.labelling.choice import DEFAULT, STRATEGIES, Plan, choose
from pipeline.scoring.calibration import Calibration, fit_calibration
from pipeline.scoring.metrics import confusion, macro_f1
from pipeline.training.rows import exclude_active_samples, make_folds

FIRST = 100  # the draws before it served to choose the default strategy
MARKS = [400, 700, 1000]  # random labels whose score is to be reached


class Remembered:
    """What a TfidfVectorizer gives, from counts that were taken once."""

    def __init__(self, counts: Any, rows: dict[str, int], least: int) -> None:
        """Take counts, shape (texts, terms), and the row of each text."""
        self._counts, self._rows, self._least = counts, rows, least
        self._weights = TfidfTransformer(sublinear_tf=True)

    def _of(self, texts: Sequence[str]) -> Any:
        return self._counts[[self._rows[text] for text in texts]]

    def fit_transform(self, texts: Sequence[str]) -> Any:
        """Learn terms and their weights from these texts alone."""
        counts = self._of(texts)
        self._terms = np.flatnonzero(counts.getnnz(axis=0) >= self._least)
        return self._weights.fit_transform(counts[:, self._terms])

    def transform(self, texts: Sequence[str]) -> Any:
        """Weigh the known terms of these texts."""
        return self._weights.transform(self._of(texts)[:, self._terms])


class Counted(Tfidf):
    """The candidate `tfidf`, many times faster on texts that were counted before."""

    counts: dict[str, tuple[Any, dict[str, int]]] = {}

    @classmethod
    def count(cls, texts: Sequence[str]) -> None:
        """Count the terms of all texts once."""
        rows = {text: row for row, text in enumerate(texts)}
        for analyzer in ("word", "char_wb"):
            ngrams = cls.word_ngrams if analyzer == "word" else cls.character_ngrams
            counts = CountVectorizer(analyzer=analyzer, ngram_range=ngrams).fit_transform(texts)
            cls.counts[analyzer] = counts, rows

    def _vectorizer(self, analyzer: str, terms: Sequence[str] | None = None) -> Any:
        return Remembered(*self.counts[analyzer], self.min_df)


def pool_of(rows: Sequence[Example], kind: str) -> list[Example]:
    """Return each text once: of running text every sentence of whole articles, else the sampled sentences."""
    whole = {row.article_id for row in rows if row.origin == "whole"}
    kept = [row for row in rows if (row.article_id in whole if kind == "running" else row.origin != "whole")]
    return list({row.input: row for row in kept}.values())


def check(rows: Sequence[Example], test: Sequence[str], config: Config) -> None:
    """Stop unless the fast classifier scores as the product's own."""
    scores = []
    for classifier in (Tfidf(random_state=0), Counted(random_state=0)):
        classifier.fit(rows, config.label_names, lambda share, words: None)
        scores.append(classifier.decision_function(test))
    if not np.allclose(*scores):
        sys.exit("the counted TF-IDF scores otherwise than the product's: mend Counted")


def fit(rows: Sequence[Example], config: Config, state: int) -> tuple[Tfidf, Calibration]:
    """Fit the classifier on all rows, and its calibration on folds of whole documents."""

    def fitted(inside: Sequence[Example]) -> Tfidf:
        classifier = Counted(random_state=state)
        classifier.fit(inside, config.label_names, lambda share, words: None)
        return classifier

    y, folds = index_labels(rows, config.label_names), make_folds(rows, (), config)
    scores = np.empty((len(rows), len(config.label_names)))
    for fold in np.unique(folds):
        inside = [row for row, own in zip(rows, folds, strict=True) if own != fold]
        outside = [row.text for row, own in zip(rows, folds, strict=True) if own == fold]
        scores[folds == fold] = fitted(inside).decision_function(outside)
    blind = exclude_active_samples(rows, np.ones(len(rows), bool))
    return fitted(rows), fit_calibration(scores[blind], y[blind], folds[blind])


def simulate(
    examples: Sequence[Example],
    pool: np.ndarray,
    test: np.ndarray,
    strategy: str,
    steps: list[int],
    config: Config,
    state: int,
) -> list[float]:
    """Return macro-F1 on the test rows after each step; the first step is drawn at random for every strategy."""
    known = dict.fromkeys(np.random.default_rng(state).choice(pool, steps[0], replace=False).tolist(), RANDOM)
    y_true = index_labels([examples[i] for i in test], config.label_names)
    curve = []
    for step in [*steps[1:], None]:
        model, calibration = fit([replace(examples[i], sampling=how) for i, how in known.items()], config, state)
        rest = np.setdiff1d(pool, list(known))
        scores = model.decision_function([examples[i].text for i in [*rest, *test]])
        probabilities, held_out = np.split(calibration.apply(scores), [len(rest)])
        curve.append(float(macro_f1(confusion(y_true, held_out.argmax(1), len(config.label_names)))))
        if step:
            chosen = choose(probabilities, Plan(step - len(known), strategy, random_state=state + step))
            known |= {int(rest[position]): how for position, how in chosen.items()}
    return curve


def labels_needed(steps: list[int], curve: np.ndarray, target: float) -> float:
    """Return the number of labels at which a curve first reaches a score, between steps; inf if never."""
    for position, score in enumerate(curve):
        if score >= target - 1e-9:
            if not position:
                return float(steps[0])
            before = curve[position - 1]
            share = (target - before) / (score - before)
            return steps[position - 1] + share * (steps[position] - steps[position - 1])
    return float("inf")


def compare(steps: list[int], curves: np.ndarray, base: np.ndarray, labels: int) -> tuple[float, float, float]:
    """Return how many labels reach the score of so many random ones, with the 95 % interval over draws.

    By mean curves, as one draw's own goes up and down by more than a step is worth.
    """
    place = steps.index(labels)
    resamples = np.random.default_rng(0).integers(0, len(curves), (2000, len(curves)))
    needed = [labels_needed(steps, curves[own].mean(0), base[own, place].mean()) for own in resamples]
    low, high = np.quantile(needed, [0.025, 0.975], method="nearest")
    return labels_needed(steps, curves.mean(0), base[:, place].mean()), float(low), float(high)


def main() -> None:
    """Run the simulation, print the table, draw the plot."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(".cache/corpora.jsonl"), help="see `stance corpora`")
    parser.add_argument("--pool", choices=["running", "sampled"], default="running", help="see above")
    parser.add_argument("--config", type=Path, default=Path("configs/default.yaml"))
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("reports/labelling.png"))
    options = parser.parse_args()
    config = read_config(options.config)
    examples = pool_of(read_corpora(options.data, config.label_names), options.pool)
    documents = np.array([example.article_id for example in examples])
    draws = 2 if options.quick else options.draws
    steps = [100, 200, 300] if options.quick else list(range(100, 1001, 100))
    strategies = (DEFAULT, RANDOM) if options.quick else (*STRATEGIES, RANDOM)
    Counted.count([example.text for example in examples])
    check(examples[:200], [example.text for example in examples[200:400]], config)
    names = np.unique(documents)
    curves: dict[str, list[list[float]]] = {strategy: [] for strategy in strategies}
    for state in range(FIRST, FIRST + draws):
        held_out = np.random.default_rng(state).permutation(names)[: len(names) // 3]
        test = np.flatnonzero(np.isin(documents, held_out))
        pool = np.setdiff1d(np.arange(len(examples)), test)
        for strategy in strategies:
            curves[strategy].append(simulate(examples, pool, test, strategy, steps, config, state))
        sys.stderr.write(f"draw {state - FIRST + 1} of {draws}\n")
    arrays = {strategy: np.array(rows) for strategy, rows in curves.items()}
    marks = steps[-1:] if options.quick else MARKS
    report: dict[str, Any] = {"steps": steps, "strategies": {}}
    scores = ", ".join(f"{mark}: {arrays[RANDOM][:, steps.index(mark)].mean():.3f}" for mark in marks)
    print(f"macro-F1 of random labels, mean of {draws} draws: {scores}\n")
    print("| strategy | macro-F1 | " + " | ".join(f"labels for that of {mark} random" for mark in marks) + " |")
    print("|---|---|" + "---|" * len(marks))
    for strategy, array in arrays.items():
        needed = {mark: compare(steps, array, arrays[RANDOM], mark) for mark in marks}
        report["strategies"][strategy] = {"curves": array.tolist(), "labels_needed": needed}
        cells = " | ".join(f"{value:.0f} [{low:.0f}, {high:.0f}]" for value, low, high in needed.values())
        print(f"| {strategy} | {array[:, -1].mean():.3f} | {cells} |")
    draw(arrays, steps, options.output)
    options.output.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    print(f"plot: {options.output}")


def draw(arrays: dict[str, np.ndarray], steps: list[int], file: Path) -> None:
    """Draw the mean curve of each strategy, with one standard error."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for strategy, array in arrays.items():
        mean, error = array.mean(0), array.std(0) / np.sqrt(len(array))
        line = axes.plot(steps, mean, label=strategy, linewidth=2.5 if strategy in (DEFAULT, RANDOM) else 1)[0]
        axes.fill_between(steps, mean - error, mean + error, alpha=0.15, color=line.get_color())
    axes.set(xlabel="labels", ylabel="macro-F1 on documents kept apart", title="What a label is worth, by strategy")
    axes.legend()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


if __name__ == "__main__":
    main()
