"""An evaluation as one HTML page that asks for nothing from outside."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from pipeline.bundle import Bundle
from pipeline.config import Config
from pipeline.evaluation.attribution import ExplainedRow
from pipeline.evaluation.evaluate import Evaluation
from pipeline.evaluation.slices import FEWEST_ROWS, Slice
from pipeline.reporting import charts, findings, pages
from pipeline.reporting.charts import Mark
from pipeline.scoring.abstention import SHARES

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATE = "evaluation_page.html.jinja"
BASELINE_NAMES = {
    "majority": "always the commonest label",
    "keywords": "a keyword list",
    "tfidf": "TF-IDF, trained anew",
}
LONGEST_NAME = 34  # of a slice, in characters
# A word is shaded from this share of the heaviest word's weight on.
FAINTEST = 0.3


def render(evaluation: Evaluation, bundle: Bundle, config: Config) -> str:
    """Return the page; every text that comes from outside is escaped."""
    return pages.render(
        TEMPLATE,
        {"shade": _shade},
        evaluation=evaluation,
        manifest=bundle.manifest,
        config=config,
        findings=findings,
        charts=_draw(evaluation),
        most_confident=[(share, evaluation.risk_coverage.at(share)) for share in SHARES],
        baselines=BASELINE_NAMES,
        fewest=FEWEST_ROWS,
    )


def _draw(evaluation: Evaluation) -> dict[str, Markup]:
    """Draw all charts; they are escaped already, so they are marked as safe."""
    from markupsafe import Markup

    headline, overall = evaluation.headline, evaluation.macro_f1
    marks = [Mark("this model", headline.scores["macro_f1"], kind="own")]
    marks += [
        Mark(BASELINE_NAMES[name], scores["macro_f1"], kind="baseline")
        for name, scores in headline.baseline_scores.items()
    ]
    matrix, slices = headline.scores.matrix, _mark_slices(evaluation.slices, overall)
    drawn = {
        "headline": charts.fit_screens(charts.draw_intervals, marks, "Macro-F1 of the model beside its baselines"),
        "confusion": charts.draw_confusion(matrix, evaluation.label_names, "Labels and predictions"),
        "slices": charts.fit_screens(charts.draw_intervals, slices, "Macro-F1 by slice", overall),
        "reliability": charts.draw_reliability(evaluation.reliability, "Accuracy against confidence"),
        "coverage": charts.draw_risk_coverage(evaluation.risk_coverage, "Accuracy of the most confident rows"),
    }
    if evaluation.behaviour:
        baseline = evaluation.baseline_behaviour.capabilities if evaluation.baseline_behaviour else {}
        rates = [
            (name, *counts, baseline.get(name, (None,))[0])
            for name, counts in evaluation.behaviour.capabilities.items()
        ]
        drawn["behaviour"] = charts.fit_screens(charts.draw_rates, rates, "Behaviour cases passed by capability")
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 - drawn by us, its words escaped


def _mark_slices(slices: Sequence[Slice], overall: float) -> list[Mark]:
    """Return a line for each slice under a head for each dimension."""
    marks: list[Mark] = []
    for number, part in enumerate(slices):
        if number == 0 or slices[number - 1].dimension != part.dimension:
            marks.append(Mark(part.dimension, kind="head"))
        name = part.value if len(part.value) <= LONGEST_NAME else f"{part.value[: LONGEST_NAME - 1]}…"
        if part.macro_f1 is None:
            marks.append(Mark(name, note=f"{len(part.rows)} sentences: too few to say"))
        else:
            few = "" if part.macro_f1.unit == "articles" else " †"
            kind = "weak" if part.macro_f1.high < overall else "own"
            marks.append(Mark(name, part.macro_f1, f"{len(part.rows):,}{few}", kind))
    return marks


def _shade(row: ExplainedRow) -> Markup:
    """Return a row's text as HTML, words shaded by weight relative to the heaviest."""
    from markupsafe import Markup

    most = max((abs(word.weight) for word in row.words), default=0.0) or 1.0
    parts, end = [], 0
    for word in row.words:
        parts += [escape(row.text[end : word.start]), _shade_word(row.text[word.start : word.end], word.weight, most)]
        end = word.end
    return Markup("".join([*parts, escape(row.text[end:])]))  # noqa: S704 - each part was escaped


def _shade_word(text: str, weight: float, most: float) -> str:
    strength = abs(weight) / most
    if strength <= FAINTEST:
        return escape(text)
    colour = "--word" if weight > 0 else "--against"
    style = f"background: rgba(var({colour}), {0.05 + 0.4 * strength:.2f})"
    return f'<span class="word" title="{weight:+.2f} log-odds" style="{style}">{escape(text)}</span>'
