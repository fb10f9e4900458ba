"""Held-out facts of a pretrained model: what it thinks of real articles that it never learned from, and their labels.

They ship beside the model and hold no text of others: for each article its id, outlet and date, and for each of its
sentences the label by index and the probabilities. They stand in for labels of one's own where there are none, for a
model that thinks of some sentences of our own, the probes, what the model of the facts thinks of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.coverage.domain import read_words
from pipeline.coverage.quotes import SAME_MODEL
from pipeline.data.files import write_whole
from pipeline.errors import InputError

PRETRAINED = Path(__file__).parents[1] / "pretrained"
NAME, WORDS = "held_out.json", "held_out_words.npz"
DIGITS = 4

PredictProba = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class HeldOut:
    """Labelled sentences of n whole articles; `article` says which one a sentence is of."""

    label_names: tuple[str, ...]
    ids: tuple[str, ...]
    outlets: tuple[str, ...]
    dates: tuple[str, ...]
    article: np.ndarray  # position of its article, shape (sentences,)
    label: np.ndarray  # index, shape (sentences,)
    probabilities: np.ndarray  # shape (sentences, k)
    probes: tuple[str, ...]  # sentences of our own
    probe_probabilities: np.ndarray  # shape (probes, k)
    words: Any = None  # of its articles, hashed; None: not known

    def fits(self, predict_proba: PredictProba) -> bool:
        """Say whether a model is the one of these facts, by what it thinks of the probes."""
        return float(np.abs(predict_proba(self.probes) - self.probe_probabilities).max()) <= SAME_MODEL

    def reorder(self, label_names: Sequence[str]) -> HeldOut:
        """Return the facts with the same labels in another order."""
        order = [self.label_names.index(name) for name in label_names]
        probabilities, probes = self.probabilities[:, order], self.probe_probabilities[:, order]
        label = np.argsort(order)[self.label]
        names = tuple(label_names)
        return replace(self, label_names=names, label=label, probabilities=probabilities, probe_probabilities=probes)


def find_held_out(label_names: Sequence[str], predict_proba: PredictProba, folder: Path = PRETRAINED) -> HeldOut | None:
    """Return the facts that ship for a model; None where it is none of the models that ship."""
    for file in sorted(folder.glob(f"*/{NAME}")):
        facts = read_held_out(file)
        if sorted(facts.label_names) == sorted(label_names):
            facts = facts.reorder(label_names)
            if facts.fits(predict_proba):
                words = file.with_name(WORDS)
                return replace(facts, words=read_words(words)) if words.exists() else facts
    return None


def write_held_out(file: Path, facts: HeldOut) -> None:
    """Write the facts as JSON, an article a line."""
    head = {"label_names": list(facts.label_names)}
    probes = zip(facts.probes, facts.probe_probabilities.round(DIGITS).tolist(), strict=True)
    lines = []
    for position, (key, outlet, date) in enumerate(zip(facts.ids, facts.outlets, facts.dates, strict=True)):
        own = facts.article == position
        row = {"article": key, "outlet": outlet, "date": date, "labels": facts.label[own].tolist()}
        lines.append(_compact(row | {"probabilities": facts.probabilities[own].round(DIGITS).tolist()}))
    with write_whole(file) as partial:
        content = f'{_compact(head)[:-1]},\n"probes":{_compact(list(probes))},\n"articles":[\n'
        partial.write_text(content + ",\n".join(lines) + "\n]}\n", encoding="utf-8")


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def read_held_out(file: Path) -> HeldOut:
    """Read held-out facts; InputError where they cannot be used."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        articles, names = content["articles"], tuple(map(str, content["label_names"]))
        ids, outlets, dates = (tuple(str(row[name]) for row in articles) for name in ("article", "outlet", "date"))
        article = np.repeat(np.arange(len(articles)), [len(row["labels"]) for row in articles])
        label = np.array([value for row in articles for value in row["labels"]], dtype=np.int64)
        probabilities = _normalized([values for row in articles for values in row["probabilities"]], len(names))
        probes = tuple(str(text) for text, _ in content["probes"])
        probed = _normalized([values for _, values in content["probes"]], len(names))
        if len(label) != len(probabilities) or not 0 <= label.min() <= label.max() < len(names):
            raise ValueError("labels and probabilities do not fit together")
    except OSError as error:
        raise InputError(file, error.strerror or "cannot be read") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(file, f"holds no held-out facts ({error})", then="install the package again") from None
    return HeldOut(names, ids, outlets, dates, article, label, probabilities, probes, probed)


def _normalized(values: list[list[float]], size: int) -> np.ndarray:
    """Return rows of probabilities, shape (n, size), that add up to 1 after they were rounded."""
    rows = np.array(values, dtype=float).reshape(len(values), size)
    if not (np.abs(rows.sum(1) - 1) < 0.01).all() or (rows < 0).any():
        raise ValueError("probabilities do not add up to 1")
    return rows / rows.sum(1, keepdims=True)
