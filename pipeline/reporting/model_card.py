"""The model card: what a reader must know before trusting a model's labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline.evaluation.slices import Slice
from pipeline.evaluation.subsets import Subset
from pipeline.manifest import Manifest
from pipeline.reporting.findings import MOST_WEAK, describe_real, markdown_table
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.metrics import metrics_for

MINILM = "sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)"
# What is known of a checkpoint; of any other, its own card tells.
ENCODERS = {
    "all-MiniLM-L6-v2": MINILM,
    "pretrained/small": f"{MINILM}, adapted (`pipeline/pretrained/small`, Apache-2.0) by training on real "
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

{provenance}

## Scores
{real}On the {rows:,.0f} rows that were held out while candidates were compared, whole articles at a time:

{scores}

{labels_table}

Brackets are 95 % bootstrap intervals over articles, or over sentences where articles are few. A training does not \
open the test part: `stance eval` scores the model on it, writes a page, and adds a section below where the model is \
registered.

Why this one: {reason}.

## Limits
{weak}{prevalence}- It reads one sentence at a time; a position that only the context shows is missed.
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


def write_card(manifest: Manifest, weak: Sequence[Slice] = (), measured: Sequence[Subset] = ()) -> str:
    """Return the card of an exported model as Markdown: what a training knows, which opens no test part.

    It names the weakest slices of the held-out rows, and leads with what was measured on real documents when a
    pretrained model was made.
    """
    real = describe_real(measured)
    targets, encoders = manifest.targets, manifest.encoders
    return TEMPLATE.format(
        topic=manifest.topic,
        name=manifest.candidate.name,
        kind=manifest.candidate.kind,
        created=manifest.created,
        commit=manifest.git_commit,
        config=manifest.config,
        labels=", ".join(f"`{name}`" for name in manifest.label_names),
        targets=f", each toward a target ({', '.join(targets)})" if targets else "",
        data=_count_rows(manifest),
        provenance=_describe_labels(manifest),
        real=f"{real}\n\n" if real else "",
        rows=manifest.selection.held_out["rows"],
        scores=_tabulate_scores(manifest),
        labels_table=_tabulate_labels(manifest),
        reason=manifest.selection.reason,
        weak="".join(
            f"- Weak on {part.dimension}: {part.value}, macro-F1 {part.macro_f1}, "
            f"{len(part.rows)} held-out sentences.\n"
            for part in weak[:MOST_WEAK]
        ),
        prevalence="" if manifest.source else PREVALENCE,
        encoders="; ".join(ENCODERS.get(name, f"`{name}`, whose own card states its licence") for name in encoders)
        or "none",
    )


def _count_rows(manifest: Manifest) -> str:
    """Count rows by origin, part and label."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for key, rows in manifest.data.rows.items():
        split, origin, label = key.split("/", 2)
        counts.setdefault((origin, split), Counter())[label] += rows
    names = manifest.label_names
    lines = [[*place, *(count[name] for name in names)] for place, count in counts.items()]
    return "\n".join(markdown_table(["origin", "part", *names], lines))


def _describe_labels(manifest: Manifest) -> str:
    """Say who gave the labels, and which articles are invented."""
    words = f"Labels are those of the table `{manifest.source}`, as its authors gave them." if manifest.source else READ
    origins = {key.split("/", 2)[1] for key in manifest.data.rows}
    invented = ", ".join(f"`{name}`" for name in manifest.data.invented if name in origins)
    if not invented:
        return words
    return (
        f"{words} Articles of origin {invented} are invented, with invented events, quotes and figures: text to train "
        "on, never a source of fact."
    )


def _tabulate_scores(manifest: Manifest) -> str:
    held_out = manifest.selection.held_out
    lines = []
    for metric in metrics_for(manifest.label_names, manifest.positive):
        if metric.key in held_out:
            value, low, high = (held_out[f"{metric.key}{end}"] for end in ("", "_low", "_high"))
            lines.append([metric.title, Interval(value, low, high), metric.meaning])
    return "\n".join(markdown_table(["score", "95 % interval", "what it is"], lines))


def _tabulate_labels(manifest: Manifest) -> str:
    held_out = manifest.selection.held_out
    rows = [[name, f"{held_out[f'f1_{name}']:.3f}"] for name in manifest.label_names]
    return "\n".join(markdown_table(["label", "F1"], rows))
