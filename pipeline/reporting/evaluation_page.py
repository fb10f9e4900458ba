"""An evaluation as a folder that people open: one HTML page, the numbers, and the mistakes as a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import tracking
from pipeline.bundle import Bundle
from pipeline.config import Config
from pipeline.errors import InputError
from pipeline.evaluation.attribution import is_exact
from pipeline.evaluation.evaluate import Evaluation, Table
from pipeline.evaluation.mistakes import Mistake
from pipeline.evaluation.slices import FEWEST_ROWS
from pipeline.reporting import charts, figures, findings
from pipeline.reporting.charts import Mark
from pipeline.scoring import metrics
from pipeline.scoring.abstention import SHARES

TEMPLATE = "evaluation_page.html.jinja"
REPORTS = Path("reports")
PAGE, NUMBERS, MISTAKES = "index.html", "evaluation.json", "mistakes.csv"


def write_report(found: Evaluation, bundle: Bundle, config: Config, folder: Path) -> Path:
    """Write the folder and return its page; each file appears whole."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = _rows(found)
    table = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\r\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    files = {
        NUMBERS: json.dumps(numbers(found, bundle), indent=1, ensure_ascii=False) + "\n",
        MISTAKES: table.getvalue(),
        PAGE: render(found, bundle, config),
    }
    for name, content in files.items():
        partial = folder / f".{name}.partial"
        partial.write_text(content, encoding="utf-8", newline="")
        partial.replace(folder / name)
    return folder / PAGE


def publish(found: Evaluation, bundle: Bundle, config: Config, data: Path | None = None) -> tuple[Path, str]:
    """Write the report under `reports/` and log it to the run that made the model.

    A labelled file of the user's own (`data`) is reported and not logged.

    Returns:
        The page, and why it was not logged (empty if it was).

    """
    manifest = bundle.manifest
    name = f"{manifest.created[:10]}-{bundle.digest[:8]}" + (f"-{data.stem}" if data else "")
    page = write_report(found, bundle, config, REPORTS / name)
    if data:
        return page, "scores on a file of your own are not logged"
    try:
        with tracking.run("", run_id=manifest.run_id) as run:
            _log(run, found.tables[0], found.label_names)
            if found.behaviour:
                run.metrics({"behaviour_rate": found.behaviour.rate})
            run.folder(page.parent, "report")
            run.table(_rows(found), "mistakes")
        tracking.describe(manifest.run_id, "## On the test part", findings.summary(found))
    except InputError as error:
        return page, str(error)
    return page, ""


def _log(run: tracking.Run, table: Table, label_names: Sequence[str]) -> None:
    """Log the test scores to the run that made the model."""
    names = ("macro_f1", "positive_f1", "ece")
    scores = {f"test_{name}": getattr(table, name) for name in names}
    run.metrics({name: score.value for name, score in scores.items() if score})
    run.figures(
        {
            "test_confusion": figures.draw_confusion(table.matrix, label_names, "test part"),
            "test_classes": figures.draw_classes(table.matrix, label_names, "test part"),
        }
    )


def _rows(found: Evaluation) -> list[dict[str, object]]:
    return [{"why": why} | row.to_dict() for why, own in _worthy(found) for row in own]


def _worthy(found: Evaluation) -> tuple[tuple[str, list[Mistake]], ...]:
    return ("sure and wrong", found.mistakes), ("least sure", found.unsure)


def _cell(value: object) -> object:
    """Keep a spreadsheet from reading a text as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def numbers(found: Evaluation, bundle: Bundle) -> dict[str, Any]:
    """Return all figures of the report as plain values."""
    tables = [
        {"name": t.name.strip(), "rows": t.rows, "articles": t.articles, "macro_f1": asdict(t.macro_f1)}
        | {"baselines": {kind: asdict(baseline) for kind, baseline in t.baselines.items()}}
        | ({"positive_f1": asdict(t.positive_f1)} if t.positive_f1 else {})
        | {"confusion": t.matrix.tolist(), "ece": asdict(t.ece), "brier": asdict(t.brier)}
        | {
            name: score and asdict(score)
            for name, score in (("answered", t.answered), ("answered_right", t.answered_right))
        }
        for t in found.tables
    ]
    slices = [
        {"dimension": s.dimension, "value": s.value, "rows": len(s.rows), "articles": s.articles}
        | ({"macro_f1": asdict(s.macro_f1), "accuracy": s.accuracy} if s.macro_f1 else {})
        for s in found.slices
    ]
    suite = found.behaviour
    return {
        "model": {"digest": bundle.digest, "run_id": bundle.manifest.run_id, "label_names": list(found.label_names)},
        "tables": tables,
        "gain_over_floor": {"baseline": found.best_baseline, **asdict(found.gain)},
        "slices": slices,
        "reliability": {name: values.tolist() for name, values in vars(found.reliability).items()},
        "coverage": {"right_of_surest": {f"{share:.0%}": found.coverage.at(share) for share in SHARES}}
        | {"aurc": found.coverage.aurc},
        "abstain": found.abstention and found.abstention.to_dict() | {"right_by_label": found.answered_by_label},
        "first_stage": found.first_stage
        and {"answered": found.first_stage[0], "exact_gain": asdict(found.first_stage[1])},
        "keyword_audit": asdict(found.audit) | {"share": found.audit.share},
        "behaviour": {"rate": suite.rate, "cases": len(suite.trials), "passed_of": suite.capabilities}
        if suite
        else None,
    }


def render(found: Evaluation, bundle: Bundle, config: Config) -> str:
    """Return the page; every text that comes from outside is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    place = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    table, manifest, size = found.tables[0], bundle.manifest, found.label_names
    scores = metrics.precision(table.matrix), metrics.recall(table.matrix), np.nan_to_num(metrics.f1(table.matrix))
    classes = [
        {"name": name, "precision": p, "recall": r, "f1": f, "rows": int(n)}
        for name, p, r, f, n in zip(size, *scores, table.matrix.sum(1), strict=True)
    ]
    better = found.gain.low > 0
    return place.get_template(TEMPLATE).render(
        title=f"{'Better than its baselines' if better else 'Not shown to be better than its baselines'}, "
        f"and right on {findings.accuracy(table.matrix):.0%} of sentences",
        name=manifest.candidate.name,
        kind=manifest.candidate.kind,
        created=manifest.created[:10],
        commit=manifest.git_commit,
        digest=manifest.data.digest,
        table=table,
        tables=found.tables,
        accuracy=findings.accuracy(table.matrix),
        classes=classes,
        verdict=findings.describe_verdict(found, config),
        confusion_words=findings.describe_confusion(table.matrix, size),
        calibration_words=findings.describe_calibration(found),
        abstention_words=findings.describe_abstention(found),
        surest=[(share, found.coverage.at(share)) for share in SHARES],
        aurc=found.coverage.aurc,
        first_stage_words=findings.describe_first_stage(found),
        audit_words=findings.describe_audit(found),
        weakest=found.weakest[:4],
        fewest=FEWEST_ROWS,
        suite=found.behaviour,
        baseline_suite=found.baseline_behaviour,
        audit=found.audit,
        mistakes=[_marked(row) for row in found.mistakes],
        unsure=[_marked(row) for row in found.unsure],
        invented=", ".join(sorted({e.origin for e in found.examples} & set(config.data.invented))),
        topic=manifest.topic,
        source=manifest.source,
        positive=[size[label] for label in bundle.positive],
        untried=found.untried,
        weights_words="exact, term by term"
        if is_exact(bundle)
        else "what the log-odds of the prediction lose when the word is left out",
        charts=_charts(found),
    )


def _charts(found: Evaluation) -> dict[str, Any]:
    """Draw all charts; they are escaped already, so they are marked as safe."""
    from markupsafe import Markup

    table, overall = found.tables[0], found.tables[0].macro_f1
    headline = [Mark("this model", overall, kind="own")]
    names = {"majority": "always the commonest label", "keywords": "a keyword list", "tfidf": "TF-IDF, trained anew"}
    headline += [Mark(names[kind], baseline, kind="baseline") for kind, baseline in table.baselines.items()]
    slices: list[Mark] = []
    for part in found.slices:
        if not any(mark.name == part.dimension and mark.kind == "head" for mark in slices):
            slices.append(Mark(part.dimension, kind="head"))
        few = f"{len(part.rows)} sentences: too few to say"
        kind = "weak" if part.macro_f1 and part.macro_f1.high < overall.value else "own"
        note = f"{len(part.rows):,}{'' if part.macro_f1.unit == 'articles' else ' †'}" if part.macro_f1 else few
        slices.append(Mark(_short(part.value), part.macro_f1, note, kind))
    drawn = {
        "headline": charts.draw_intervals(headline, "Macro-F1 of the model beside its baselines"),
        "confusion": charts.draw_confusion(table.matrix, found.label_names, "Labels and predictions"),
        "slices": charts.draw_intervals(slices, "Macro-F1 by slice", overall.value),
        "reliability": charts.draw_reliability(found.reliability, "Accuracy against confidence"),
        "coverage": charts.draw_coverage(found.coverage.share, found.coverage.accuracy, "Accuracy of the surest rows"),
    }
    if found.behaviour:
        baseline = found.baseline_behaviour.capabilities if found.baseline_behaviour else {}
        rates = [
            (name, *counts, baseline.get(name, (None,))[0]) for name, counts in found.behaviour.capabilities.items()
        ]
        drawn["behaviour"] = charts.draw_rates(rates, "Behaviour cases passed by capability")
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 - drawn by us, its words escaped


def _short(words: str, most: int = 34) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"


def _marked(row: Mistake) -> dict[str, Any]:
    """Return a row with its text as HTML, words shaded by weight relative to the heaviest."""
    from markupsafe import Markup

    most = max((abs(word.weight) for word in row.words), default=0.0) or 1.0
    parts, end = [], 0
    for word in row.words:
        strength = abs(word.weight) / most
        parts.append(escape(row.text[end : word.start]))
        shown = escape(row.text[word.start : word.end])
        if strength > 0.3:
            colour = "--word" if word.weight > 0 else "--against"
            tip = f"{word.weight:+.2f} log-odds"
            style = f"background: rgba(var({colour}), {0.05 + 0.4 * strength:.2f})"
            shown = f'<span class="word" title="{tip}" style="{style}">{shown}</span>'
        parts.append(shown)
        end = word.end
    parts.append(escape(row.text[end:]))
    fields = {name: getattr(row, name) for name in ("id", "origin", "label", "predicted", "confidence")}
    return fields | {"marked": Markup("".join(parts))}  # noqa: S704 - each part was escaped above
