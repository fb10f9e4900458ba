"""What a batch says as a run in MLflow: the page, its tables, and which model it came from."""

from __future__ import annotations

from pathlib import Path

from pipeline import tracking
from pipeline.bundle import Bundle
from pipeline.coverage.drift import EXPECTED_ERROR
from pipeline.coverage.measure import Coverage
from pipeline.reporting.coverage_page import to_rows
from pipeline.reporting.coverage_words import Source, answer, counted
from pipeline.scoring.bootstrap import Interval


def log_coverage(coverage: Coverage, source: Source, page: Path, bundle: Bundle | None, experiment: str) -> str:
    """Log what a batch says as a run of its own, and return the run's id."""
    with tracking.run(f"coverage {page.parent.resolve().name}", experiment=experiment) as run:
        manifest = bundle.manifest if bundle else None
        version = run.version(manifest.run_id) if manifest else ""
        digest = bundle.digest if bundle else "unknown"
        kind = coverage.labelled.kind if coverage.labelled else "none"
        known = {
            "rows": source.rows,
            "model": source.model,
            "model_digest": digest,
            "model_version": version or "unknown",
        }
        run.params(known | {"labelled_sentences": kind})
        run.metrics(_numbers(coverage))
        for table in coverage.tables:
            run.table(to_rows(table.dimension, table.groups, coverage), table.dimension)
        run.table(to_rows("batch", [coverage.overall], coverage), "overall")
        run.folder(page.parent, "page")
        run.note(f"**{answer(coverage)}**\n\n{counted(coverage, source)}")
        return run.id


def _numbers(coverage: Coverage) -> dict[str, float]:
    overall = coverage.overall
    values = {"articles": float(overall.articles), "sentences": float(overall.sentences)}
    for name, share in zip(coverage.label_names, overall.shares, strict=False):
        values |= _ends(f"share_{name}", share)
    if overall.balance:
        values |= _ends("balance", overall.balance)
    if drift := coverage.drift:
        values["expected_right"] = 1 - next(d.here for d in drift.differences if d.name == EXPECTED_ERROR)
        values |= {name.replace(" ", "_"): share for name, share, _ in drift.shares}
        values |= _ends("words_auc", drift.auc) if drift.auc else {}
    return values


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
