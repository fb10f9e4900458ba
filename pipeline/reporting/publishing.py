"""An evaluation as a folder under `reports/` and in the run that made the model: page, numbers, mistakes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline import tracking
from pipeline.bundle import Bundle
from pipeline.config import Config
from pipeline.data.formats.columns import shield_formula
from pipeline.errors import InputError
from pipeline.evaluation.evaluate import Evaluation
from pipeline.evaluation.slices import Slice
from pipeline.evaluation.subsets import Subset
from pipeline.reporting import charts, findings
from pipeline.reporting.evaluation_page import render
from pipeline.reporting.pages import PAGE, to_csv, write_files
from pipeline.scoring.abstention import SHARES
from pipeline.scoring.scores import Scores

REPORTS = Path("reports")
NUMBERS, MISTAKES = "evaluation.json", "mistakes.csv"
SECTION = "## On the test part"  # of the registered version's description


def publish(evaluation: Evaluation, bundle: Bundle, config: Config, data: Path | None = None) -> tuple[Path, str]:
    """Write the report under `reports/`, log it to the model's run and describe the registered version.

    Returns the page, and why it was not logged (empty if it was): a labelled file of the user's own (`data`) is not.
    """
    manifest = bundle.manifest
    name = f"{manifest.created[:10]}-{bundle.digest[:8]}" + (f"-{data.stem}" if data else "")
    page = write_report(evaluation, bundle, config, REPORTS / name)
    if data:
        return page, "scores on a file of your own are not logged"
    try:
        with tracking.run("", run_id=manifest.run_id) as run:
            _log(run, evaluation)
            run.folder(page.parent, "report")
        tracking.describe(manifest.run_id, SECTION, findings.summarize(evaluation))
    except InputError as error:
        return page, str(error)
    return page, ""


def _log(run: tracking.Run, evaluation: Evaluation) -> None:
    """Log the scores of the headline, with `test_` before their keys, and how little differences are read."""
    values = {f"test_{metric.key}": interval.value for metric, interval in evaluation.scores}
    values["test_rows"] = evaluation.scores.rows
    if evaluation.contrast:
        values |= {f"test_contrast_{metric.key}": interval.value for metric, interval in evaluation.contrast.scores}
    if evaluation.behaviour:
        values["behaviour_rate"] = evaluation.behaviour.rate
    run.metrics(values)
    for name, chart in draw_scores(evaluation.scores, evaluation.label_names, evaluation.headline.name).items():
        run.text(chart, f"test_{name}.svg")
    run.table(_rows(evaluation), "mistakes")


def draw_scores(scores: Scores, label_names: Sequence[str], title: str) -> dict[str, str]:
    """Draw what the labels of some rows come to, each chart a file of its own."""
    drawn = {
        "confusion": charts.draw_confusion(scores.matrix, label_names, title),
        "classes": charts.draw_label_scores(scores.by_label(label_names), title),
    }
    return {name: charts.standalone(svg) for name, svg in drawn.items()}


def write_report(evaluation: Evaluation, bundle: Bundle, config: Config, folder: Path) -> Path:
    """Write the folder and return its page; each file appears whole."""
    mistakes = [{key: shield_formula(value) for key, value in row.items()} for row in _rows(evaluation)]
    files = {
        NUMBERS: json.dumps(numbers(evaluation, bundle), indent=1, ensure_ascii=False) + "\n",
        MISTAKES: to_csv(mistakes),
        PAGE: render(evaluation, bundle, config),
    }
    return write_files(folder, files)


def _rows(evaluation: Evaluation) -> list[dict[str, object]]:
    groups = {"confident and wrong": evaluation.mistakes, "least confident": evaluation.unsure}
    return [{"why": why} | row.to_dict() for why, rows in groups.items() for row in rows]


def numbers(evaluation: Evaluation, bundle: Bundle) -> dict[str, Any]:
    """Return all figures of the report as plain values."""
    curve, cost, suite = evaluation.risk_coverage, evaluation.first_stage, evaluation.behaviour
    return {
        "model": {"digest": bundle.digest, "run_id": bundle.manifest.run_id, "label_names": evaluation.label_names},
        "subsets": [_describe_subset(subset) for subset in evaluation.subsets],
        "contrast": evaluation.contrast and _describe_subset(evaluation.contrast),
        "gain_over_baseline": {"baseline": evaluation.headline.best_baseline, **asdict(evaluation.headline.gain)},
        "slices": [_describe_slice(part) for part in evaluation.slices],
        "reliability": {name: values.tolist() for name, values in vars(evaluation.reliability).items()},
        "risk_coverage": {"right_of_most_confident": {f"{share:.0%}": curve.at(share) for share in SHARES}}
        | {"aurc": curve.aurc},
        "abstention": evaluation.abstention.to_dict() | {"right_by_label": evaluation.answered_by_label},
        "first_stage": cost and {"answered": cost.share, "exact_gain": asdict(cost.exact_gain)},
        "keyword_audit": asdict(evaluation.audit) | {"share": evaluation.audit.share},
        "behaviour": suite and {"rate": suite.rate, "cases": len(suite.results), "passed_of": suite.capabilities},
    }


def _describe_subset(subset: Subset) -> dict[str, Any]:
    baselines = {name: scores.to_dict() for name, scores in subset.baseline_scores.items()}
    kind = {"real": subset.real, "measured_when_made": subset.measured}
    return {"name": subset.name, **kind, **subset.scores.to_dict(), "baselines": baselines}


def _describe_slice(part: Slice) -> dict[str, Any]:
    known = {"macro_f1": asdict(part.macro_f1), "accuracy": part.accuracy} if part.macro_f1 else {}
    counts = {"rows": len(part.rows), "articles": part.articles}
    return {"dimension": part.dimension, "value": part.value, **counts, **known}
