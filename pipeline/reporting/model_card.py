"""The model card: what a reader must know before trusting a model's labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pipeline.bundle import Bundle
from pipeline.classifiers import index_labels
from pipeline.config import Config
from pipeline.data.dataset import Example
from pipeline.evaluation.attribution import read_obvious
from pipeline.evaluation.slices import FEWEST_ROWS, score_slices, weakest
from pipeline.manifest import Manifest
from pipeline.scoring import metrics

MINILM = "sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)"
# What is known of a checkpoint; of any other, its own card tells.
ENCODERS = {
    "all-MiniLM-L6-v2": MINILM,
    "pretrained": f"{MINILM}, adapted (`pipeline/pretrained/small`, Apache-2.0) by training on real "
    "sentences whose text is not in this repository: see its card",
}
# A paragraph is one line: MLflow shows a line's end as it stands.
TEMPLATE = """\
# Model card: {topic}

**Model:** `{name}` ({kind}), exported {created}, commit `{commit}`, config `{config}`.

## Intended use
Label sentences by the position that they convey: {labels}{targets}. For studying texts in bulk, with a person reading \
samples. Not for judging a single author, outlet or person, and not for text on other topics or in other languages.

## Data
{data}

{provenance}{invented}

## Scores
{test}

On the {rows:.0f} rows that were held out while candidates were compared, whole articles at a time: macro-F1 \
{macro_f1:.3f} [{macro_f1_low:.3f}, {macro_f1_high:.3f}]{positive}, calibration error {ece:.3f}; F1 {classes}. \
Brackets are 95 % bootstrap intervals over articles, or over sentences where articles are few.

Why this one: {reason}.

## Limits
{weak}
{prevalence}- It reads one sentence at a time; a position that only the context shows is missed.
- Irony, positions of several actors in one sentence, and quotes that are cited to be rejected are hard.

## Licence
Code and weights: Apache-2.0. Encoder: {encoders}.
"""

READ = """\
Labels come from a large language model's reading of each sentence under `labels/CODEBOOK.md`; no domain expert has \
reviewed them."""
PREVALENCE = """\
- In running news most sentences are neutral: precision on the two sides is lower there than on the denser text it \
was trained on.
"""


def score_test(bundle: Bundle, examples: Sequence[Example], config: Config) -> dict[str, Any] | None:
    """Score an exported model on the test part, as plain values; None where it is empty.

    The rows are opened after the choice is made: what is found here is told, and chooses nothing.
    """
    if not examples:
        return None
    size = len(bundle.label_names)
    y_true, probabilities = (
        index_labels(examples, bundle.label_names),
        bundle.predict_proba(bundle.read_examples(examples)),
    )
    y_pred = probabilities.argmax(1)
    groups = np.array([example.article_id for example in examples])
    made_up = np.array([example.origin in config.data.invented for example in examples])

    def part(name: str, rows: np.ndarray) -> dict[str, Any]:
        found = metrics.interval(y_true[rows], y_pred[rows], groups[rows].tolist(), size)
        ece = metrics.reliability(y_true[rows], probabilities[rows]).ece
        counts = {"articles": len(set(groups[rows])), "sentences": int(rows.sum())}
        return {"rows": name, **counts, "macro_f1": asdict(found), "ece": ece}

    kinds = {"real text": ~made_up, "invented text": made_up}
    parts = {"test part": np.ones_like(made_up)} | {name: rows for name, rows in kinds.items() if rows.any()}
    whole, *rest = [part(name, rows) for name, rows in parts.items()]
    matrix = metrics.confusion(y_true, y_pred, size)
    scores = np.nan_to_num([metrics.precision(matrix), metrics.recall(matrix), metrics.f1(matrix)])
    weak = weakest(
        score_slices(examples, y_true, y_pred, size, read_obvious(config.evaluation.obvious)),
        whole["macro_f1"]["value"],
    )
    return {
        "parts": [whole, *rest],
        "classes": {
            name: dict(zip(("precision", "recall", "f1"), map(float, row), strict=True))
            for name, row in zip(bundle.label_names, scores.T, strict=True)
        },
        "weak": [
            {"dimension": s.dimension, "value": s.value, "sentences": len(s.rows), "macro_f1": asdict(s.macro_f1)}
            for s in weak
            if s.macro_f1
        ],
    }


def write_card(manifest: Manifest, test: dict[str, Any] | None) -> str:
    """Return the card of an exported model as Markdown, with what `score_test` says of it."""
    names, data, targets = manifest.label_names, manifest.data, manifest.targets
    counts: dict[tuple[str, str], Counter[str]] = {}
    for key, rows in data.rows.items():
        split, origin, label = key.split("/", 2)
        counts.setdefault((origin, split), Counter())[label] += rows
    invented = [name for name in data.invented if any(origin == name for origin, _ in counts)]
    scores, source = manifest.selection.held_out, manifest.source
    positive = ""
    if "positive_f1" in scores:
        positive = f" ({scores['positive_f1']:.3f} over {' and '.join(manifest.positive)} alone)"
    return TEMPLATE.format(
        topic=manifest.topic,
        provenance=f"Labels are those of the table `{source}`, as its authors gave them." if source else READ,
        prevalence="" if source else PREVALENCE,
        targets=f", each toward a target ({', '.join(targets)})" if targets else "",
        positive=positive,
        name=manifest.candidate.name,
        kind=manifest.candidate.kind,
        created=manifest.created,
        commit=manifest.git_commit,
        config=manifest.config,
        labels=", ".join(f"`{name}`" for name in names),
        data=_table(
            ["origin", "part", *names], [[*place, *(count[n] for n in names)] for place, count in counts.items()]
        ),
        invented=f" Articles of origin {', '.join(f'`{name}`' for name in invented)} are invented, with invented "
        f"events, quotes and figures: text to train on, never a source of fact."
        if invented
        else "",
        test=_describe(test) if test else "There was no test part to score it on.",
        classes=", ".join(f"{name} {scores[f'f1_{name}']:.3f}" for name in names),
        reason=manifest.selection.reason,
        weak=_weak(test["weak"]) if test else "- Where it is weak is not known: there was no test part.",
        encoders="; ".join(
            ENCODERS.get(name, f"`{name}`, whose own card states its licence") for name in manifest.encoders
        )
        or "none",
        **{name: scores[name] for name in ("rows", "macro_f1", "macro_f1_low", "macro_f1_high", "ece")},
    )


def _describe(test: dict[str, Any]) -> str:
    """Write the tables of the test part: scores by kind of text, and by label."""
    few = any(part["macro_f1"]["unit"] != "articles" for part in test["parts"])
    note = "\n\n† few articles: the interval is over sentences, and too narrow for other articles." if few else ""
    parts = _table(
        ["rows", "articles", "sentences", "macro-F1", "calibration error"],
        [
            [p["rows"], p["articles"], p["sentences"], _interval(p["macro_f1"]), f"{p['ece']:.3f}"]
            for p in test["parts"]
        ],
    )
    classes = _table(
        ["label", "precision", "recall", "F1"],
        [
            [name, *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1"))]
            for name, row in test["classes"].items()
        ],
    )
    where = "On the test part, whole articles that it has not learned from and was not chosen by"
    return f"{where}:\n\n{parts}{note}\n\n{classes}"


def _weak(slices: Sequence[dict[str, Any]]) -> str:
    if not slices:
        return f"- No part of the test rows (of {FEWEST_ROWS} or more) is shown to be weaker than the whole."
    return "\n".join(
        f"- Weak on {s['dimension']}: {s['value']}, macro-F1 {_interval(s['macro_f1'])}, {s['sentences']} sentences."
        for s in slices[:4]
    )


def _interval(found: dict[str, Any]) -> str:
    mark = "" if found["unit"] == "articles" else " †"
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]{mark}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
