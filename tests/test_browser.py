"""The report and MLflow's UI in Debian's Chromium; run by `make test-browser`, pictures go to build/screenshots/."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from conftest import ROOT

from pipeline.bundle import load_bundle
from pipeline.config import read_config
from pipeline.evaluation import review
from pipeline.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# The browser asks these for its own updates, whatever page is open.
CALLED_BY_ITSELF = ("google.com", "googleapis.com", "gvt1.com")
PICTURES = ROOT / "build" / "screenshots"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium"),
]


def opened(url, *, picture="", height=1000, wait=0, log=None):
    """Open an address; return the page as the browser has it, and what its console said."""
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
    words += [f"--window-size=1280,{height}", f"--virtual-time-budget={wait}"] + (
        [f"--log-net-log={log}"] if log else []
    )
    done = subprocess.run([*words, "--dump-dom", url], capture_output=True, text=True, timeout=300)
    if picture:
        PICTURES.mkdir(parents=True, exist_ok=True)
        target = f"--screenshot={PICTURES / picture}.png"
        subprocess.run([*words, target, url], capture_output=True, timeout=300, check=True)
    return done.stdout, re.findall(r"CONSOLE.*", done.stderr)


@pytest.fixture
def page(project, champion, tmp_path):
    bundle, config = load_bundle(champion), read_config("configs/default.yaml")
    return write_report(review(bundle, config), bundle, config, tmp_path / "report")


def test_the_report_opens_without_a_request_or_a_word_on_the_console(page, tmp_path):
    dom, console = opened(page.as_uri(), picture="report", height=2400, log=tmp_path / "net.json")
    assert "Mistakes worth reading" in dom and not console
    hosts = re.findall(r'"url":"https?://([^/:"]*)', (tmp_path / "net.json").read_text())
    assert [host for host in hosts if not host.endswith(CALLED_BY_ITSELF)] == []


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """A trained and evaluated smoke config, and MLflow's UI on it."""
    folder = tmp_path_factory.mktemp("ui")
    for name in ("seeds", "labels", "configs"):
        shutil.copytree(ROOT / name, folder / name)
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    stance = [sys.executable, "-m", "pipeline"]
    for command in ("train", "eval"):
        words = [*stance, command, "--config", "configs/smoke.yaml"]
        subprocess.run(words, cwd=folder, env=environment, check=True, timeout=600)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([*stance, "ui", "--port", str(port)], cwd=folder, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5)
                break
            except OSError:
                time.sleep(1)
        yield address, folder
    finally:
        server.terminate()
        server.wait(30)


def ask(address, place, **query):
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/{place}", json.dumps(query).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_the_ui_shows_experiment_run_and_model(ui):
    address, folder = ui
    manifest = json.loads((folder / "models" / "champion" / "manifest.json").read_text())
    runs = ask(address, "runs/search", experiment_ids=["1"])["runs"]
    child = next(run["info"] for run in runs if run["info"]["run_name"] == "tfidf")
    pages = {
        "experiment": ("#/experiments/1/runs", "train smoke"),
        "parent": (f"#/experiments/1/runs/{manifest['run_id']}", "macro_f1"),
        "confusion": (f"#/experiments/1/runs/{child['run_id']}/artifacts/confusion.png", "confusion.png"),
        "model": ("#/models/stance/versions/1", "Model card"),
    }
    for name, (place, words) in pages.items():
        dom, _ = opened(f"{address}/{place}", picture=name, wait=20_000)
        assert words in dom, name
