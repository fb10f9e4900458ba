"""MLflow: the one door to experiments, runs and the registered model."""

from __future__ import annotations

from pipeline.tracking.registry import COLUMNS, LABELS, OUTPUT, Registry, describe
from pipeline.tracking.runs import CONFIG, REQUIREMENTS, Recorded, Run, read_run, run
from pipeline.tracking.store import tracking_uri
from pipeline.tracking.ui import runs_page, serve_ui
from pipeline.tracking.unsent import send, waiting

__all__ = [
    "COLUMNS",
    "CONFIG",
    "LABELS",
    "OUTPUT",
    "REQUIREMENTS",
    "Recorded",
    "Registry",
    "Run",
    "describe",
    "read_run",
    "run",
    "runs_page",
    "send",
    "serve_ui",
    "tracking_uri",
    "waiting",
]
