"""docs/own-task.md, every line of it: from a labelled table of another field to a served model."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from servers import Server

pytestmark = [pytest.mark.server, pytest.mark.timeout(1200)]

BLOCKS = re.findall(
    r"^```(\w+) ?(\S*)\n(.*?)^```$", (ROOT / "docs" / "own-task.md").read_text(), re.MULTILINE | re.DOTALL
)
GOOD, BAD = ("superb", "great", "lovely", "excellent"), ("awful", "broken", "nasty", "dreadful")
THINGS = ("kettle", "tent", "lamp", "book", "phone", "chair", "bicycle")
SHAPES = (
    "Our {0} is {1} in every way, says customer {2}.",
    "After {2} days this {0} stopped, it is {1}.",
    "{1} {0} no {2}.",
)


def write_reviews(path):
    """Write what the first lines of the table on the page promise: rows whose words tell the label."""
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["text", "label"])
        for n in range(240):
            label, words = (("good", GOOD), ("bad", BAD))[n % 2]
            shape = SHAPES[n % 2] if n % 3 else SHAPES[2]
            rows.writerow([shape.format(THINGS[n % 7], words[n // 2 % 4], 31 * n), label])


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run words as a shell would, in a folder of its own, with this package and MLflow on the path."""
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "PYTHONPATH": str(ROOT)}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"  # MLflow starts uvicorn by its name
    monkeypatch.chdir(tmp_path)

    def ran(*words):
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    ran.environment = environment
    return ran


def test_every_line_of_the_page_works(run, tmp_path):
    served, run_id = None, ""
    try:
        for language, name, content in BLOCKS:
            if name:
                (tmp_path / name).write_text(content)
                if name == "reviews.csv":
                    write_reviews(tmp_path / name)
            elif language == "python":
                run(sys.executable, "-c", content)
            for line in re.findall(r"^\$ (.*)$", content, re.MULTILINE):
                program, *words = shlex.split(line.replace("RUN_ID", run_id))
                if program == "stance":
                    out = run(sys.executable, "-m", "pipeline", *words)
                    run_id = (
                        json.loads((tmp_path / "models/champion/manifest.json").read_text())["run_id"]
                        if "train" in words
                        else run_id
                    )
                elif program == "mlflow":
                    words[words.index("5001")] = "PORT"
                    served = Server([sys.executable, "-m", "mlflow", *words], tmp_path, run.environment, path="ping")
                    served.start()
                else:
                    answer = run(program, *(word.replace("http://127.0.0.1:5001", served.address) for word in words))
                    assert json.loads(answer)["predictions"][0]["label"] == "good"
                if "--from-run" in words:
                    assert re.search(r"again: (\d+) of its \1 numbers are the same", out)
    finally:
        if served:
            served.stop()
    labels = [
        row["label"] for row in csv.DictReader((tmp_path / "labelled.csv").read_text(encoding="utf-8-sig").splitlines())
    ]
    assert served and labels == ["bad", "good"]
