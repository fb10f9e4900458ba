"""Where annotators differ, what a decision would be about, and all labels as rows to take elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipeline.data.annotations import ADJUDICATED, OPTIONAL, RANDOM, Annotation, adjudicate, decide, group_by_span
from pipeline.labelling.project import Project
from pipeline.labelling.rows import make_row
from pipeline.scoring.bootstrap import Interval


def conflicts(project: Project, *, every: bool = False) -> list[dict[str, Any]]:
    """Return the sentences on which annotators are evenly split, as rows to decide.

    With `every` also those that a majority decides; never those that are adjudicated.
    """
    rows = []
    for (_, start, end), own in group_by_span(project.annotations).items():
        differ = len({row.label for row in own}) > 1 and all(row.annotator != ADJUDICATED for row in own)
        if differ and (every or decide(own) is None):
            said = ", ".join(f"{row.annotator}: {row.label}" for row in own)
            rows.append(make_row(project.article(own[0]), start, end, votes=said, sampling=own[0].sampling))
    return rows


def annotation_rows(project: Project) -> list[dict[str, Any]]:
    """Return every annotation as a row of a batch: nothing is lost on the way out."""
    names = ("label", "annotator", *OPTIONAL)
    return [
        make_row(project.article(row), row.start, row.end, **{name: getattr(row, name) for name in names})
        for row in project.annotations
    ]


def example_rows(project: Project, *, sampling: str = "", part: str = "") -> list[dict[str, Any]]:
    """Return one adjudicated row a sentence (`id, text, label` and more), as `stance eval --data` reads it.

    Only sentences that were chosen so (`random` ones estimate scores without bias) and only those of a part, if asked.
    InputError lists the sentences on which annotators are evenly split.
    """
    kept = {
        span: rows
        for span, rows in group_by_span(project.annotations).items()
        if part in ("", project.part(span[0])) and (not sampling or any(row.sampling == sampling for row in rows))
    }
    examples = []
    for span, label in adjudicate(row for rows in kept.values() for row in rows).items():
        (key, start, end), said = span, kept[span][0]
        article = project.article(said)
        row = {"id": f"{key}:{start}-{end}", "text": said.text, "label": label, "article": key}
        examples.append(row | {name: value for name in ("outlet", "date") if (value := getattr(article, name))})
    return examples


def estimate_shares(annotations: Sequence[Annotation], label_names: Sequence[str]) -> dict[str, Interval]:
    """Estimate the share of each label from the sentences that were drawn at random, with Wilson's 95 % interval.

    Wilson (1927). Empty where none was. It speaks of what could have been drawn when it was.
    """
    from scipy.stats import binomtest

    drawn = [rows for rows in group_by_span(annotations).values() if any(row.sampling == RANDOM for row in rows)]
    counts = Counter(label for rows in drawn if (label := decide(rows)))
    shares = {}
    for name in label_names if counts else ():
        low, high = binomtest(counts[name], counts.total()).proportion_ci(method="wilson")
        shares[name] = Interval(counts[name] / counts.total(), low, high, "sentences")
    return shares
