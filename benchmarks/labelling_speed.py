"""Time the labelling loop on 10,000 sentences of articles: suggest, import, and an answer in the terminal.

`stance label suggest` and `import` run as a user runs them, start-up included; an answer is the time from
the key to the next screen, saved. Beside the wall clock stand the seconds of processor time, which a busy
machine changes less. Seeds, labels and config are copied, so the import changes nothing here.

    python benchmarks/labelling_speed.py ../shared/corpora/articles/news.jsonl --model models/champion
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import yaml

from pipeline.data.articles import Article, read_articles
from pipeline.data.sentences import cut
from pipeline.labelling.exchange import write_batch
from pipeline.labelling.rows import make_row
from pipeline.labelling.terminal import Session


def gather(source: Path, number: int) -> tuple[list[Article], list[tuple[Article, int, int]]]:
    """Return the first articles that hold `number` sentences, and these sentences' spans."""
    articles: list[Article] = []
    spans: list[tuple[Article, int, int]] = []
    for found in read_articles([source]):
        if isinstance(found, Article) and len(spans) < number:
            articles.append(found)
            spans += [(found, sentence.start, sentence.end) for sentence in cut(found.text)]
    return articles, spans[:number]


def run(folder: Path, *words: str) -> tuple[float, float]:
    """Return the seconds of the wall clock and of the processor that a command takes."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "label", *words], cwd=folder, capture_output=True, text=True
    )
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stderr)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def answer(file: Path, rows: list[dict[str, Any]], label_names: list[str], answers: int = 50) -> tuple[float, float]:
    """Return the seconds of the wall clock and of the processor from a key to the next screen."""
    session = Session([row | {"label": ""} for row in rows], label_names)
    begin, before = time.perf_counter(), time.process_time()
    for _ in range(answers):
        assert session.press("1", str)
        write_batch(file, session.rows, label_names)
        session.screen(80)
    return (time.perf_counter() - begin) / answers, (time.process_time() - before) / answers


def main() -> None:
    """Time all three and print a small table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("articles", type=Path, help="a table of articles")
    parser.add_argument("--model", type=Path, default=Path("models/champion"))
    parser.add_argument("--config", type=Path, default=Path("configs/default.yaml"))
    parser.add_argument("--sentences", type=int, default=10_000)
    options = parser.parse_args()
    settings = yaml.safe_load(options.config.read_text(encoding="utf-8"))
    articles, spans = gather(options.articles, options.sentences)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("seeds", "labels"):
            shutil.copytree(settings["data"][part], folder / part)
        settings["data"] = {"seeds": "seeds", "labels": "labels"}
        (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        table = "".join(json.dumps({"id": a.id, "text": a.text}, ensure_ascii=False) + "\n" for a in articles)
        (folder / "new.jsonl").write_text(table, encoding="utf-8")
        labels = cycle(settings["label_names"])
        rows = [make_row(*span, label=label) for span, label in zip(spans, labels, strict=False)]
        write_batch(folder / "filled.csv", rows, settings["label_names"])
        times = {}
        for command in (
            ("suggest", "new.jsonl", "--output", "batch.csv", "--model", str(options.model.resolve())),
            ("import", "filled.csv", "--annotator", "bench", "--articles", "new.jsonl"),
        ):
            times[f"stance label {command[0]}"] = run(folder, *command, "--config", "config.yaml")
        times["an answer in the terminal"] = answer(folder / "batch.csv", rows, settings["label_names"])
    print(f"| {len(rows):,} sentences | seconds | processor seconds |\n|---|---|---|")
    for command, (wall, processor) in times.items():
        print(f"| {command} | {wall:.3g} | {processor:.3g} |")


if __name__ == "__main__":
    main()
