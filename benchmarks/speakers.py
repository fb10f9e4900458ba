"""How often are the speakers of `stance coverage` right? On sentences that take a side, whose holder a reader named.

    make bench-speakers                         seconds; needs the texts (`stance corpora`)
    python benchmarks/speakers.py --mistakes    what goes wrong in the articles that the rules were tuned on

`labels/external/holders.csv` says for 233 sentences of 79 whole articles who holds the position, where the words that
name them stand, and which actor that is. What is `held-out` there was never read while the rules were written.

Holder: the words overlap those of the reader in the same sentence; where the reader's stand in another sentence, they
overlap any place in the article that has these words, or the last word of the name agrees. Precision is over sentences
in which somebody is named, recall over those in which the reader named somebody. Writer: nobody but the article itself.
Intervals are a bootstrap over articles.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.coverage.actors import WRITER, read_actors
from pipeline.coverage.speakers import Speaker, find_speakers

LABELS, CORPORA, ACTORS = Path("labels/external"), Path(".cache/corpora.jsonl"), Path("configs/actors.yaml")
PARTS = {"held-out": "held out", "opened": "opened later", "tune": "tuned on"}
DRAWS = 2000
COLUMNS = ("articles", "sentences of articles", "holder: precision", "recall", "F1", "actor right")
COLUMNS += ("writer's voice: F1", "kind of quotation right", "name right")


@dataclass(frozen=True)
class Case:
    """A sentence, what the reader said of it, and what the rules say."""

    article: str
    text: str
    truth: dict[str, str]
    speaker: Speaker
    start: int  # of the sentence of the speaker's words
    same: bool  # the speaker's words stand in the sentence itself

    @property
    def is_named(self) -> bool:
        """Whether the reader named a holder."""
        return self.truth["where"] != "none"

    @property
    def holds(self) -> bool:
        """Whether the holder is right."""
        if not self.is_named or not self.speaker.words or (self.truth["where"] == "inside") != self.same:
            return False
        low, high = self.start + self.speaker.start, self.start + self.speaker.end
        places = [tuple(map(int, place.split("+"))) for place in self.truth["places"].split()]
        return any(start < high and low < start + length for start, length in places) or (not self.same and self.names)

    @property
    def names(self) -> bool:
        """Whether the name ends as the reader's does."""
        name, truth = self.speaker.name.lower().split(), self.truth["name"].lower().split()
        return name[-1:] == truth[-1:] != []

    @property
    def facts(self) -> tuple[int, ...]:
        """What is counted: named and right, named, to be named; the same of the writer; actor, kind, name, one."""
        ours, theirs = self.speaker.actor == WRITER, self.truth["actor"] == WRITER
        right = self.speaker.actor == self.truth["actor"], self.speaker.quotation == self.truth["quotation"], self.names
        return self.holds, bool(self.speaker.words), self.is_named, ours and theirs, ours, theirs, *right, 1


def read_cases() -> tuple[dict[str, list[Case]], float]:
    """Return the cases of each part, and how many sentences a second were done."""
    texts = {row["id"]: row["text"] for row in map(json.loads, CORPORA.open(encoding="utf-8"))}
    with (LABELS / "holders.csv").open(encoding="utf-8", newline="") as stream:
        truth = {row["id"]: row for row in csv.DictReader(stream)}
    articles: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in map(json.loads, (LABELS / "whole.jsonl").open(encoding="utf-8")):
        if row["id"] in texts:
            articles[row["article"]].append(row)
    actors, cases, took = read_actors(ACTORS), defaultdict(list), 0.0
    for article, rows in articles.items():
        rows.sort(key=lambda row: row["start"])
        wanted = [i for i, row in enumerate(rows) if row["id"] in truth]
        own = [texts[row["id"]] for row in rows]
        began = time.process_time()
        speakers = find_speakers(own, wanted, actors)
        took += time.process_time() - began
        for i, speaker in speakers.items():
            case = Case(
                article, own[i], truth[rows[i]["id"]], speaker, rows[speaker.sentence]["start"], speaker.sentence == i
            )
            cases[case.truth["part"]].append(case)
    return cases, len(truth) / took


def measure(counts: np.ndarray) -> np.ndarray:
    """Return precision, recall and F1 of the holder, F1 of the writer, and shares right, given sums of facts."""
    right, said, named, *writer, actor, kind, name, n = counts
    f1 = 2 * right / max(said + named, 1)
    return np.array(
        [
            right / max(said, 1),
            right / max(named, 1),
            f1,
            actor / n,
            2 * writer[0] / max(sum(writer[1:]), 1),
            kind / n,
            name / max(named, 1),
        ]
    )


def line(part: str, cases: list[Case]) -> str:
    """Return a line of the table, with intervals."""
    names = sorted({case.article for case in cases})
    sums = np.array([np.sum([case.facts for case in cases if case.article == name], 0) for name in names])
    rng = np.random.default_rng(0)
    drawn = np.array([measure(sums[rng.integers(len(names), size=len(names))].sum(0)) for _ in range(DRAWS)])
    low, high = np.percentile(drawn, [2.5, 97.5], 0)
    cells = [f"{value:.2f} [{a:.2f}, {b:.2f}]" for value, a, b in zip(measure(sums.sum(0)), low, high, strict=True)]
    return f"| {PARTS[part]} | {len(cases)} of {len(names)} | {' | '.join(cells)} |"


def baselines(cases: list[Case]) -> Iterator[str]:
    """Yield what the most frequent answer would have."""
    actor, count = Counter(case.truth["actor"] for case in cases).most_common(1)[0]
    kind, kinds = Counter(case.truth["quotation"] for case in cases).most_common(1)[0]
    yield f"always `{actor}`: {count / len(cases):.2f} of the actors right"
    yield f"always `{kind}`: {kinds / len(cases):.2f} of the kinds right"


def errors(cases: list[Case]) -> Iterator[str]:
    """Yield how many of each kind of mistake there are."""
    kinds: Counter[str] = Counter()
    for case in cases:
        where, words = case.truth["where"], case.speaker.words
        if case.is_named and not words:
            kinds["a holder is overlooked" + (", who stands in another sentence" if where == "outside" else "")] += 1
        elif not case.is_named and words:
            kinds["somebody is named where nobody is"] += 1
        elif case.is_named and not case.holds:
            kinds["somebody else is named" + (", in another sentence" if where == "outside" else "")] += 1
        elif case.speaker.actor != case.truth["actor"]:
            kinds["the holder is right, the actor is not"] += 1
    yield from (f"{kind}: {count}" for kind, count in kinds.most_common())


def main() -> None:
    """Print the table, or the mistakes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mistakes", action="store_true", help="print what goes wrong where rules were tuned")
    options = parser.parse_args()
    cases, speed = read_cases()
    if options.mistakes:
        for case in cases["tune"] + cases["opened"]:
            if case.speaker.actor != case.truth["actor"] or (case.is_named and not case.holds):
                print(f"{case.text}\n    {case.truth}\n    {case.speaker}\n")
        return
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for part in PARTS:
        print(line(part, cases[part]))
    for part in PARTS:
        print(
            f"\n{PARTS[part]}: {'; '.join(baselines(cases[part]))}\n"
            + "\n".join(f"- {kind}" for kind in errors(cases[part]))
        )
    print(f"\n{speed:,.0f} sentences a second on one core, their articles known")


if __name__ == "__main__":
    main()
