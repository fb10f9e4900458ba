"""How MLflow's UI is started; what it shows is in test_browser.py."""

import os

from pipeline.tracking import ui


def test_nothing_scrolls_the_address_away(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.delitem(os.environ, "MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    begun = []
    monkeypatch.setattr(os, "execv", lambda program, words: begun.extend(words))
    ui.serve_ui(5001)
    options = dict(zip(begun[4::2], begun[5::2], strict=True))
    store = f"sqlite:///{tmp_path}/mlflow.db"
    assert options["--backend-store-uri"] == options["--registry-store-uri"] == store
    assert "--no-access-log" in options["--uvicorn-opts"] and options["--port"] == "5001"
    assert os.environ["PYTHONWARNINGS"] == "ignore"
