"""What each step costs on this machine: seconds, peak memory and disk, as a Markdown table.

    python benchmarks/budget.py                    # with the environment that runs this
    python benchmarks/budget.py --setup            # makes an environment of its own first, as `make` does

It works on a copy of this checkout in a temporary folder. Memory is that of the largest process of a step; disk is what
the folder grew by, the package cache of pip apart. `STANCE_OFFLINE=1` keeps `train` from fetching real sentences.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from speed import write_articles

from pipeline.labelling.exchange import read_batch, write_batch
from pipeline.training.provenance import processor

ROOT = Path(__file__).parents[1]
ARTICLES, ANSWERS = 300, 40
SETUP = "make --silent setup"
# What a person does, in this order; the labels of the batch are put in between.
STEPS = (
    ("train", "stance train --config {config}"),
    ("evaluate", "stance eval --config {config}"),
    (f"predict {ARTICLES} articles", "stance predict new.jsonl --output rows.parquet"),
    ("coverage of their rows", "stance coverage rows.parquet --output page"),
    (f"label loop: suggest {ANSWERS}", f"stance label suggest new.jsonl --number {ANSWERS} --output batch.csv"),
    ("label loop: import", "stance label import batch.csv --annotator ann --articles new.jsonl"),
    ("label loop: split", "stance split --config {config}"),
    ("label loop: train again", "stance train --config {config}"),
)


def size(folder: Path) -> int:
    """Return the bytes on disk of all files below a folder."""
    return sum(file.lstat().st_blocks * 512 for file in folder.rglob("*") if not file.is_dir())


def measure(words: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float, float]:
    """Run a command; return its seconds, its peak memory and what the folder grew by, both in MB."""
    before, begin = size(folder), time.perf_counter()
    with (folder.parent / "log").open("w+") as log:
        process = subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        seconds, process.returncode = time.perf_counter() - begin, os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{shlex.join(words)}: exit code {process.returncode}\n{log.read()[-2000:]}")
    return seconds, usage.ru_maxrss / 1e3, (size(folder) - before) / 1e6


def answer(batch: Path) -> None:
    """Label each row of a batch as the model guesses it."""
    write_batch(batch, [row.fields | {"label": row.fields["guess"]} for row in read_batch(batch)], ())


def main() -> None:
    """Measure each step and print a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", action="store_true", help="make an environment, and measure that too")
    parser.add_argument("--config", default="configs/default.yaml")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "checkout")
        subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", folder], check=True)
        write_articles(folder / "new.jsonl", ARTICLES)
        environment = os.environ | {"PYTHONPATH": str(folder)}
        environment.pop("MLFLOW_TRACKING_URI", None)
        steps = ((("set-up", SETUP),) if given.setup else ()) + STEPS
        python = str(folder / ".venv/bin/python") if given.setup else sys.executable
        print(f"{os.cpu_count()} cores, {processor()}, load {os.getloadavg()[0]:.1f} before\n")
        print("| step | command | seconds | peak memory, MB | disk, MB |\n|---|---|---|---|---|")
        for name, command in steps:
            words = shlex.split(command := command.format(config=given.config))
            if words[0] == "stance":
                words[:1] = [python, "-m", "pipeline"]
            seconds, memory, disk = measure(words, folder, environment)
            print(f"| {name} | `{command}` | {seconds:.0f} | {memory:,.0f} | {disk:,.1f} |", flush=True)
            if "suggest" in words:
                answer(folder / "batch.csv")


if __name__ == "__main__":
    main()
