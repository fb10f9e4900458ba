"""Do the intervals of `stance coverage` hold the truth? Simulated batches of real articles whose every label is known.

    make bench-coverage                                   about two minutes
    python benchmarks/coverage.py --write FILE --model M  the held-out facts of an exported model, to ship or to try
    python benchmarks/coverage.py --facts FILE            the simulation on other facts

A draw divides whole articles at random: some are labelled, the others are the new batch, whose true shares are known
and hidden. Three ways to be asked: half of the articles are labelled; forty are; or nothing but 400 sentences drawn
at random from the batch itself, as a person would label them. Each estimate of a share is compared with the truth:
overall, in every outlet and in every half-year that has at least five articles in the batch.

`pretrained`: what ships, on the 133 whole articles of the validation and test documents, which it never learned from
(the validation documents chose its recipe and its calibration). `tfidf`: a weaker model on all 301 whole articles,
cross-fitted here, so that no article is labelled by a model that saw it; needs `stance corpora`.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.bundle import load_bundle
from pipeline.classifiers import create, index_labels
from pipeline.config import Candidate, read_config
from pipeline.coverage.domain import write_words
from pipeline.coverage.held_out import NAME, PRETRAINED, WORDS, HeldOut, read_held_out, write_held_out
from pipeline.coverage.measure import FEWEST_ARTICLES
from pipeline.coverage.shares import Shares, Sums, add_up, estimate, fit_correction
from pipeline.data.corpora import read_external, read_split
from pipeline.data.dataset import read_corpora
from pipeline.data.examples import Example
from pipeline.scoring.calibration import fit_calibration

LABELS, CORPORA, CACHE = Path("labels/external"), Path(".cache/corpora.jsonl"), Path(".cache/coverage")
FOLDS = 5
WAYS = {"half of the articles": 0.5, "40 articles": 40, "400 sentences of the batch": 400}
METHODS = ("plain counts", "labelled alone", "corrected")
COLUMNS = (
    *("estimates", "plain counts: bias", "hold the truth", "labelled alone hold it", "corrected hold it"),
    *("in the worst group", "their width", "of that of labelled alone"),
)
PROBES = 24
FEWEST_DRAWS = 100  # of a group whose own coverage is told


@dataclass
class Tally:
    """What came of all draws for one question: true values, estimates and interval ends, shape (n,)."""

    groups: list[str] = field(default_factory=list)
    truth: list[float] = field(default_factory=list)
    found: dict[str, list[tuple[float, float, float]]] = field(default_factory=lambda: {name: [] for name in METHODS})

    def line(self) -> str:
        """Return bias, coverage and width of each method, and how much narrower the corrected interval is."""
        truth, names = np.array(self.truth), np.array(self.groups)
        ends = {name: np.array(rows) for name, rows in self.found.items()}
        held = {name: (rows[:, 1] - 1e-9 <= truth) & (truth <= rows[:, 2] + 1e-9) for name, rows in ends.items()}
        width = {name: rows[:, 2] - rows[:, 1] for name, rows in ends.items()}
        alone = np.isfinite(width["labelled alone"])
        ratio = width["corrected"][alone].mean() / width["labelled alone"][alone].mean()
        often = [
            name for name, count in zip(*np.unique(names, return_counts=True), strict=True) if count >= FEWEST_DRAWS
        ]
        lowest = min((held["corrected"][names == name].mean() for name in often), default=np.nan)
        cells = [
            f"{len(truth):,}",
            f"{np.nanmean(ends['plain counts'][:, 0] - truth):+.3f}",
            f"{held['plain counts'].mean():.1%}",
            f"{held['labelled alone'][alone].mean():.1%}",
            f"**{held['corrected'].mean():.1%}**",
            f"{lowest:.1%}",
            f"{width['corrected'].mean():.3f}",
            f"{ratio:.2f}",
        ]
        return " | ".join(cells)


def simulate(facts: HeldOut, way: float, draws: int, sides: tuple[int, int]) -> dict[tuple[str, str], Tally]:
    """Draw batches and estimate them; return a tally for each scope and question."""
    rng, n, size = np.random.default_rng(0), len(facts.ids), len(facts.label_names)
    everything = Sums.of(facts.probabilities, facts.article, n)
    labels = add_up(np.eye(size)[facts.label], facts.article, n)
    said = add_up(np.eye(size)[facts.probabilities.argmax(1)], facts.article, n)
    tallies: dict[tuple[str, str], Tally] = {}
    for _ in range(draws):
        if way > 300:
            chosen = rng.choice(len(facts.label), int(way), replace=False)
            new = np.arange(n)
            known, codes = np.unique(facts.article[chosen], return_inverse=True)
            labelled = Sums.of(facts.probabilities[chosen], codes, len(known))
            truth = add_up(np.eye(size)[facts.label[chosen]], codes, len(known))
        else:
            order = rng.permutation(n)
            count = int(way * n) if way < 1 else int(way)
            known, new = order[:count], order[count:]
            labelled, truth = everything[known], labels[known]
        for scope, names, groups in scopes(facts):
            own, theirs, wide = groups[new], groups[known], len(names)
            rest, inside = everything[new].by(own, wide), np.zeros((wide, size))
            if way > 300:
                rest, inside = rest - labelled.by(theirs, wide), add_up(truth, theirs, wide)
            articles = np.bincount(own[own >= 0], minlength=wide)
            shares = estimate(fit_correction(labelled, truth, theirs, wide), rest, inside, articles)
            real = add_up(labels[new], own, wide)
            for position in np.flatnonzero(articles >= min(FEWEST_ARTICLES, n)):
                here, there = new[own == position], theirs == position
                found = {
                    "plain counts": clustered(everything.sentences[here], said[here]),
                    "labelled alone": clustered(
                        labelled.sentences[there], truth[there], everything.sentences[here] if way <= 300 else None
                    ),
                    "corrected": Shares(*(values[[position]] for values in vars(shares).values())),
                }
                key = (scope, str(names[position]))
                record(tallies, key, real[position], found, facts.label_names, sides)
    return tallies


def scopes(facts: HeldOut) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield what is grouped by: its name, the groups, and the group of each article (-1: none)."""
    halves = [f"{day[:4]}-{'1' if day[5:7] <= '06' else '2'}" if day else "" for day in facts.dates]
    for scope, keys in (("overall", ["all"] * len(facts.ids)), ("outlet", facts.outlets), ("half-year", halves)):
        names, codes = np.unique([key for key in keys if key]), np.full(len(keys), -1)
        known = np.array([bool(key) for key in keys])
        codes[known] = np.searchsorted(names, [key for key in keys if key])
        yield scope, names, codes


def clustered(sentences: np.ndarray, counts: np.ndarray, others: np.ndarray | None = None) -> Shares | None:
    """Return shares of labels among some articles, and how they vary from article to article; None for one article.

    With `others`, the sentences of the articles that the shares are to tell of, which vary as well.
    """
    n, total = len(sentences), sentences.sum()
    if n < 2:
        return None
    share = counts.sum(0) / total
    residuals = counts - sentences[:, None] * share
    spread = residuals.T @ residuals / (n - 1)
    weight = n / total**2 + (len(others) / others.sum() ** 2 if others is not None else 0)
    return Shares(share[None], (spread * weight)[None], np.array([n - 1]))


def record(
    tallies: dict[tuple[str, str], Tally],
    key: tuple[str, str],
    real: np.ndarray,
    found: dict[str, Shares | None],
    label_names: tuple[str, ...],
    sides: tuple[int, int],
) -> None:
    """Add one group of one draw to the tallies of its questions."""
    taken = real[list(sides)].sum()
    questions = {f"share of {label_names[label]}": (real[label] / real.sum(), label) for label in sides}
    if taken:
        questions["side"] = (real[sides[0]] / taken, None)
    for question, (value, label) in questions.items():
        tally = tallies.setdefault((key[0], question), Tally())
        tally.groups.append(key[1])
        tally.truth.append(value)
        for name, shares in found.items():
            row = (np.nan, np.nan, np.nan)
            if shares is not None and label is not None:
                low, high = shares.intervals()
                row = (shares.values[0, label], low[0, label], high[0, label])
            elif shares is not None:
                side, low, high = shares.side(*sides)
                row = (side[0], low[0], high[0])
            tally.found[name].append(row)


def whole_articles(label_names: tuple[str, ...]) -> list[Example]:
    """Return every sentence of the labelled whole articles, once, in reading order."""
    places = {row["id"]: row for row in read_external(LABELS, label_names)}
    texts = {json.loads(line)["id"]: json.loads(line)["text"] for line in CORPORA.open(encoding="utf-8")}
    whole = {row["article"] for row in places.values() if row["source"] == "whole"}
    rows = [row for row in places.values() if row["article"] in whole and row["id"] in texts]
    rows.sort(key=lambda row: (row["article"], row["start"], row["source"] != "whole"))
    with (LABELS / "dates.csv").open(encoding="utf-8", newline="") as stream:
        dates = {row["article"]: row["date"] for row in csv.DictReader(stream)}
    split, kept, end = read_split(LABELS), [], ("", 0)
    for row in rows:
        article, start = row["article"], row["start"]
        if end[0] == article and start < end[1]:
            continue  # the same words, labelled once as a sampled sentence and once in its article
        end = article, start + row["length"]
        place = (article, 0, start, end[1], texts[row["id"]], row["label"], split.get(article, "train"), article)
        kept.append(Example(*place, outlet=row["outlet"], date=dates.get(article, "")))
    return kept


def to_facts(rows: list[Example], probabilities: np.ndarray, label_names: tuple[str, ...]) -> HeldOut:
    """Return labelled sentences and what a model thinks of them as held-out facts without probes."""
    ids = sorted({row.article_id for row in rows})
    first = {row.article_id: row for row in reversed(rows)}
    known = [tuple(getattr(first[key], name) for key in ids) for name in ("outlet", "date")]
    article = np.searchsorted(ids, [row.article_id for row in rows])
    nothing = np.zeros((0, len(label_names)))
    return HeldOut(
        label_names, tuple(ids), *known, article, index_labels(rows, label_names), probabilities, (), nothing
    )


def write_facts(file: Path, model: Path) -> None:
    """Write the facts of an exported model on the whole articles that nothing was trained on, and their words."""
    bundle = load_bundle(model)
    rows = [row for row in whole_articles(bundle.label_names) if row.split != "train"]
    own = [json.loads(line) for line in Path("labels/single.jsonl").open(encoding="utf-8")]
    probes = tuple(row["text"] for row in own[:: len(own) // PROBES][:PROBES])
    facts = to_facts(rows, bundle.predict_proba([row.text for row in rows]), bundle.label_names)
    probed = {"probes": probes, "probe_probabilities": bundle.predict_proba(probes)}
    write_held_out(file, HeldOut(**vars(facts) | probed))
    texts: dict[str, list[str]] = {key: [] for key in facts.ids}
    for row in rows:
        texts[row.article_id].append(row.text)
    write_words(file.with_name(WORDS), map(" ".join, texts.values()))


def cross_fitted(label_names: tuple[str, ...]) -> HeldOut:
    """Return the facts of a TF-IDF model on all whole articles, each scored by a model that did not see it."""
    file = CACHE / "tfidf.json"
    if file.exists():
        return read_held_out(file)
    rows = whole_articles(label_names)
    articles = {row.article_id for row in rows}
    others = [row for row in read_corpora(CORPORA, label_names) if row.group not in articles]
    names, codes = np.unique([row.article_id for row in rows], return_inverse=True)
    folds = np.random.default_rng(0).permutation(len(names))[codes] % FOLDS
    scores, y_true = np.zeros((len(rows), len(label_names))), index_labels(rows, label_names)
    for fold in range(FOLDS):
        model = create(Candidate(name="tfidf", kind="tfidf"))
        train = [row for row, own in zip(rows, folds, strict=True) if own != fold]
        model.fit(others + train, label_names, lambda share, words: None)
        scores[folds == fold] = model.decision_function(
            [row.input for row, own in zip(rows, folds, strict=True) if own == fold]
        )
    probabilities = np.zeros_like(scores)
    for fold in range(FOLDS):
        inside = folds != fold
        calibration = fit_calibration(scores[inside], y_true[inside], folds[inside])
        probabilities[~inside] = calibration.apply(scores[~inside])
    facts = to_facts(rows, probabilities, label_names)
    write_held_out(file, facts)
    return facts


def main() -> None:
    """Print a table for each model and each way of labelling."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--facts", type=Path, help="held-out facts in place of those that ship")
    parser.add_argument("--write", type=Path, help="write the held-out facts of --model to this file, and end")
    parser.add_argument("--model", type=Path, default=Path("models/champion"))
    options = parser.parse_args()
    if options.write:
        write_facts(options.write, options.model)
        return
    config = read_config("configs/default.yaml")
    models = {"pretrained": read_held_out(options.facts or PRETRAINED / "small" / NAME).reorder(config.label_names)}
    if CORPORA.exists():
        models["tfidf"] = cross_fitted(config.label_names).reorder(config.label_names)
    sides = (config.label_names.index(config.positive[0]), config.label_names.index(config.positive[1]))
    for name, facts in models.items():
        for way, value in WAYS.items():
            size = f"{len(facts.label):,} sentences of {len(facts.ids)} articles"
            print(f"\n{name}, {size}; labelled: {way}; {options.draws} draws\n")
            print(f"| scope | question | {' | '.join(COLUMNS)} |\n|{'---|' * (2 + len(COLUMNS))}")
            for (scope, question), tally in simulate(facts, value, options.draws, sides).items():
                print(f"| {scope} | {question} | {tally.line()} |")


if __name__ == "__main__":
    main()
