"""The model card: what a reader must know before trusting a model's labels."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.config import Candidate

TEMPLATE = """\
# Model card: {topic}

**Champion:** `{name}` ({kind}), exported {created}, commit `{commit}`, config `{config}`.

## Intended use
Label sentences by the position that they convey: {labels}{targets}. For studying texts in bulk, with a
person reading samples. Not for judging a single author, outlet or person, and not for text on other
topics or in other languages.

## Data
{data}

{provenance}

## Scores
On rows that were held out while candidates were compared, whole articles at a time (95 % interval:
bootstrap over articles): macro-F1 **{macro_f1:.3f}** [{macro_f1_low:.3f}, {macro_f1_high:.3f}]{positive},
expected calibration error {ece:.3f}.

| label | F1 |
|---|---|
{classes}

Why this one: {reason}. Run `make eval` for scores on the test part, by origin and beside the floors.

## Limits
{prevalence}- It reads one sentence at a time; a position that only the context shows is missed.
- Irony, positions of several actors in one sentence, and quotes that are cited to be rejected are hard.

## Licence
Code and weights: Apache-2.0. Encoder: sentence-transformers/all-MiniLM-L6-v2, Apache-2.0.
"""

READ = """\
Labels come from a large language model's reading of each sentence under `labels/CODEBOOK.md`; no
domain expert has reviewed them. Articles of the origins `authored` and `single` are invented, with
invented events, quotes and figures: text to train on, never a source of fact."""
PREVALENCE = """\
- In running news most sentences are neutral: precision on the two sides is lower there than on the
  denser text it was trained on.
"""


def write_card(facts: dict[str, Any], candidate: Candidate) -> str:
    """Return the card of a champion as Markdown."""
    counts: dict[str, Counter[str]] = {}
    for key, rows in facts["data"]["rows"].items():
        split, origin, label = key.split("/", 2)
        counts.setdefault(f"{origin} | {split}", Counter())[label] += rows
    names = facts["label_names"]
    lines = [f"| origin | part | {' | '.join(names)} |", "|---" * (2 + len(names)) + "|"]
    lines += [f"| {key} | {' | '.join(str(count[name]) for name in names)} |" for key, count in counts.items()]
    scores = facts["selection"]["held_out"]
    source, targets = facts.get("source"), facts.get("targets")
    positive = ""
    if "positive_f1" in scores:
        positive = f" ({scores['positive_f1']:.3f} over {' and '.join(facts['positive'])} alone)"
    return TEMPLATE.format(
        topic=facts.get("topic", "stance"),
        provenance=f"Labels are those of the table `{source}`, as its authors gave them." if source else READ,
        prevalence="" if source else PREVALENCE,
        targets=f", each toward a target ({', '.join(targets)})" if targets else "",
        positive=positive,
        name=candidate.name,
        kind=candidate.kind,
        created=facts["created"],
        commit=facts["git_commit"],
        config=facts["config"],
        labels=", ".join(f"`{name}`" for name in names),
        data="\n".join(lines),
        classes="\n".join(f"| {name} | {scores[f'f1_{name}']:.3f} |" for name in names),
        reason=facts["selection"]["reason"],
        **{name: scores[name] for name in ("macro_f1", "macro_f1_low", "macro_f1_high", "ece")},
    )
