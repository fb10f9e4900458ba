"""The model card: what a reader must know before trusting a model's labels."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.config import Candidate

TEMPLATE = """\
# Model card: stance toward North Korea policy

**Champion:** `{name}` ({kind}), exported {created}, commit `{commit}`, config `{config}`.

## Intended use
Label sentences of news articles by the position they convey on how states should deal with North
Korea: {labels}. For studying coverage in bulk, with a person reading samples. Not for judging a
single author, outlet or person, and not for text on other topics or in other languages.

## Data
{data}

Labels come from a large language model's reading of each sentence under `labels/CODEBOOK.md`; no
domain expert has reviewed them. Articles of the origins `authored` and `single` are invented, with
invented events, quotes and figures: text to train on, never a source of fact.

## Scores
On rows that were held out while candidates were compared, whole articles at a time (95 % interval:
bootstrap over articles): macro-F1 **{macro_f1:.3f}** [{macro_f1_low:.3f}, {macro_f1_high:.3f}],
expected calibration error {ece:.3f}.

| label | F1 |
|---|---|
{classes}

Why this one: {reason}. Run `make eval` for scores on the test part, by origin and beside the floors.

## Limits
- In running news most sentences are neutral: precision on the two sides is lower there than on the
  denser text it was trained on.
- It reads one sentence at a time; a position that only the context shows is missed.
- Irony, positions of several actors in one sentence, and quotes that are cited to be rejected are hard.

## Licence
Code and weights: Apache-2.0. Encoder: sentence-transformers/all-MiniLM-L6-v2, Apache-2.0.
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
    return TEMPLATE.format(
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
