"""What do own labels gain? Simulated on real documents that no model has learned from, with the program's own check.

    python benchmarks/own_labels.py    needs `stance corpora`; minutes

"Mine" are the test documents of one source, one outlet or one year: some of them are labelled, the rest is scored. What
is not of that group stands for all other real text. `judge_own_labels` decides by cross-validation on the labels and by
the vectors that ship, as `stance train` does; unhelpful labels are dealt out at random, or are about something else.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.classifiers.pretrained import Adapted, Pretrained
from pipeline.config import Candidate, Config, read_config
from pipeline.data.dataset import read_corpora
from pipeline.data.examples import Example
from pipeline.data.formats.rows import Row
from pipeline.data.tables import read_rows
from pipeline.scoring.metrics import MACRO_F1
from pipeline.training.own_labels import judge_own_labels, predict

NUMBERS = (20, 40, 80, 160, 320)
FEWEST = 30  # sentences of the group that are left to score
OTHER = ("pro-sanctions", "pro-dialogue", "neutral")
GROUPS = 2  # of each kind, the largest


class Remembered:
    """An encoder that looks its vectors up."""

    def __init__(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        """Take n texts and their vectors, shape (n, d)."""
        self._rows, self._vectors = {text: row for row, text in enumerate(texts)}, vectors

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return vectors, shape (n, d)."""
        return self._vectors[[self._rows[text] for text in texts]]


@dataclass(frozen=True)
class Trial:
    """One draw: gains in macro-F1 of the head that the labels moved, and whether the check took it."""

    own: float  # on the rest of the group
    real: float  # on other real text
    taken: bool


def remember(texts: Sequence[str], file: Path) -> None:
    """Embed texts once, and let every pretrained model look them up from now on."""
    if file.exists():
        with np.load(file, allow_pickle=False) as stored:
            known = Remembered(stored["texts"].tolist(), stored["vectors"])
    if not file.exists() or set(texts) - known._rows.keys():
        unique = sorted(set(texts))
        known = Remembered(unique, Pretrained()._embed(unique))
        np.savez(file, texts=np.array(unique), vectors=known._vectors)
    Pretrained._frozen = lambda self: known  # type: ignore[method-assign,assignment,return-value]


def groups_of(rows: Sequence[Example], years: dict[str, str]) -> Iterator[tuple[str, list[Example]]]:
    """Yield the largest groups of each kind."""
    kinds = {
        "source": lambda row: row.origin,
        "outlet": lambda row: row.outlet,
        "year": lambda row: years.get(row.article_id, ""),
    }
    for kind, key in kinds.items():
        counts = Counter(key(row) for row in rows)
        for value, _ in [entry for entry in counts.most_common() if entry[0]][:GROUPS]:
            yield kind, [row for row in rows if key(row) == value]


def draw(group: Sequence[Example], number: int, rng: np.random.Generator) -> list[Example]:
    """Draw whole documents until there are so many sentences; none where too few would be left."""
    articles: dict[str, list[Example]] = defaultdict(list)
    for row in group:
        articles[row.article_id].append(row)
    drawn: list[Example] = []
    for key in rng.permutation(sorted(articles)):
        drawn += articles[key]
        if len(drawn) >= number:
            left = len(group) - len(drawn)
            return [replace(row, own=True) for row in drawn[:number]] if left >= FEWEST else []
    return []


def attempt(own: Sequence[Example], mine: Sequence[Example], other: Sequence[Example], config: Config) -> Trial:
    """Move the head by own labels, ask the check, and score both heads on rows that neither saw."""
    judged = judge_own_labels(own, config, lambda share, words: None)
    heads = [Adapted(), Adapted()]
    for head, rows in zip(heads, ([], own), strict=True):
        head.fit(rows, config.label_names, lambda share, words: None)
    rule = heads[0].own_decision(config.label_names)

    def gain(rows: Sequence[Example]) -> float:
        scores = [head.decision_function([row.input for row in rows]) for head in heads]
        before, after = (MACRO_F1.value(predict(rows, each, rule, config)) for each in scores)
        return 100 * (after - before)

    return Trial(gain(mine), gain(other), bool(judged and judged.helps))


def helpful_and_not(own: list[Example], rng: np.random.Generator) -> Iterator[tuple[str, list[Example]]]:
    """Yield the same sentences with labels that cannot help: dealt out at random, or of another question."""
    dealt = rng.permutation([row.label for row in own]).tolist()
    yield "shuffled", [replace(row, label=label) for row, label in zip(own, dealt, strict=True)]
    yield "other question", [replace(row, label=OTHER[_asks(row.text)]) for row in own]


def _asks(text: str) -> int:
    """Answer another question: whom the sentence names."""
    return 0 if re.search(r"Trump|U\.S\.|America|Washington", text) else 1 if re.search("Chin|Beijing", text) else 2


def simulate(
    rows: Sequence[Example], years: dict[str, str], draws: int, config: Config
) -> Iterator[tuple[str, int, Trial]]:
    """Yield the trials of each kind of labels, by their number; all of a draw before the next one."""
    groups = list(groups_of(rows, years))
    for state in range(draws):
        rng = np.random.default_rng(state)
        for kind, group in groups:
            inside = {row.article_id for row in group}
            other = [row for row in rows if row.article_id not in inside]
            for number in NUMBERS:
                if not (own := draw(group, number, rng)):
                    continue
                seen = {row.article_id for row in own}
                mine = [row for row in group if row.article_id not in seen]
                yield kind, number, attempt(own, mine, other, config)
                for name, bad in helpful_and_not(own, rng) if kind == "source" else ():
                    yield name, number, attempt(bad, mine, other, config)


def report(trials: dict[str, dict[int, list[Trial]]]) -> None:
    """Print the table."""
    print("| labels are of one | number | draws | gain untested | taken | gain | real text | worst on real text |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, by_number in trials.items():
        for number, own in by_number.items():
            kept = np.array([[trial.own, trial.real] if trial.taken else [0.0, 0.0] for trial in own])
            untested = np.mean([trial.own for trial in own])
            taken = np.mean([trial.taken for trial in own])
            cells = f"{untested:+.2f} | {taken:.0%} | {kept[:, 0].mean():+.2f} | {kept[:, 1].mean():+.2f}"
            print(f"| {kind} | {number} | {len(own)} | {cells} | {kept[:, 1].min():+.2f} |")


def plot(trials: dict[str, dict[int, list[Trial]]], file: Path) -> None:
    """Draw the mean gain on the rest of the group, untested and as the check takes it, with one standard error."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for number, kind in enumerate(kind for kind in trials if kind not in ("shuffled", "other question")):
        steps = sorted(trials[kind])
        for checked in (False, True):
            gains = [[trial.own * (trial.taken or not checked) for trial in trials[kind][step]] for step in steps]
            means, errors = ([f(own) for own in gains] for f in (np.mean, lambda own: np.std(own) / len(own) ** 0.5))
            style = {"color": f"C{number}", "linestyle": "-" if checked else ":", "capsize": 2}
            axes.errorbar(steps, means, errors, label=kind if checked else None, **style)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(xscale="log", xlabel="own labels", ylabel="points of macro-F1 on the rest of their group")
    axes.set_xticks(NUMBERS, map(str, NUMBERS))
    axes.minorticks_off()
    axes.set_title("What own labels gain: always taken (dotted), and as the check takes them")
    axes.legend()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def main() -> None:
    """Run the simulation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(".cache/corpora.jsonl"), help="see `stance corpora`")
    parser.add_argument("--config", type=Path, default=Path("configs/default.yaml"))
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--output", type=Path, default=Path("reports/own-labels.png"))
    options = parser.parse_args()
    config = read_config(options.config)
    rows = [row for row in read_corpora(options.data, config.label_names) if row.split.endswith("test")]
    dates = read_rows(config.data.external / "dates.csv")
    years = {row.fields["article"]: row.fields["date"][:4] for row in dates if isinstance(row, Row)}
    remember([row.input for row in rows], options.data.with_name("own-labels-vectors.npz"))
    with tempfile.TemporaryDirectory() as cache:
        selection = config.selection.model_copy(update={"resamples": 200})
        candidate = Candidate(name="adapted", kind="adapted")
        changes = {"candidates": (candidate,), "cache": Path(cache), "selection": selection}
        settings, trials = config.model_copy(update=changes), defaultdict(lambda: defaultdict(list))
        for kind, number, trial in simulate(rows, years, options.draws, settings):
            trials[kind][number].append(trial)
    report(trials)
    plot(trials, options.output)


if __name__ == "__main__":
    main()
