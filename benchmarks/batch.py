"""How fast batches are, beside what people would write by hand; how time and memory grow.

    python benchmarks/batch.py speed --model models/champion     # same sentences, interleaved, medians of 5
    python benchmarks/batch.py growth --model models/champion    # 10^3 to 10^6 sentences, each in a process of its own
    python benchmarks/batch.py growth --model models/champion --sizes 20000 100000 1000000 --per-article 10
    python benchmarks/batch.py start --model models/champion     # from the command to the first row

Articles are drawn from seeds/authored.jsonl. The rival of `speed` has the same architecture as the
default encoder and a head of random weights: what it answers is of no use, how long it takes is.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from pipeline.articles import Article, read_articles
from pipeline.bundle import load_bundle
from pipeline.classifiers.onnx import OnnxModel
from pipeline.prediction import predict
from pipeline.sentences import cut

SEEDS = Path(__file__).parents[1] / "seeds" / "authored.jsonl"


def articles() -> list[Article]:
    """Return the authored articles."""
    return [found for found in read_articles([SEEDS]) if isinstance(found, Article)]


def speed(model: Path, count: int, rounds: int) -> None:
    """Time `predict` to parquet, a transformers pipeline, and ONNX Runtime by hand on the same articles."""
    chosen = articles()[:count]
    texts = [sentence.text for article in chosen for sentence in cut(article.text)]
    bundle = load_bundle(model)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "articles.jsonl"), Path(folder, "rows.parquet")
        lines = (json.dumps({"id": article.id, "text": article.text}) + "\n" for article in chosen)
        source.write_text("".join(lines), encoding="utf-8")
        contestants: dict[str, Callable[[], object]] = {
            "stance predict": lambda: predict([source], target, bundle),
            "transformers.pipeline(batch_size=32)": transformers_pipeline(texts),
        }
        encoder = getattr(bundle.classifier, "_onnx", None)
        if encoder is not None:
            contestants["ONNX Runtime by hand, input order"] = lambda: by_hand(encoder, texts)
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds + 1):
            for name, run in contestants.items():
                begin = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - begin)
    ours = median(seconds["stance predict"][1:])  # the first round warms up
    print(f"{len(texts)} sentences of {len(chosen)} articles, {len(os.sched_getaffinity(0))} cores, median of {rounds}")
    for name, found in seconds.items():
        took = median(found[1:])
        print(f"{name:40} {len(texts) / took:8.0f} sentences/s   stance is {took / ours:.2f} times as fast")


def transformers_pipeline(texts: Sequence[str]) -> Callable[[], object]:
    """Return what people would use otherwise."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    from pipeline.classifiers.checkpoint import DEFAULT, find_checkpoint

    place = find_checkpoint(DEFAULT)
    network = AutoModelForSequenceClassification.from_pretrained(place, num_labels=3)
    classify = pipeline("text-classification", model=network, tokenizer=AutoTokenizer.from_pretrained(place))
    return lambda: classify(list(texts), batch_size=32, truncation=True, max_length=128)


def by_hand(encoder: OnnxModel, texts: Sequence[str]) -> None:
    """Run the exported encoder in batches of 32 as the sentences come."""
    session: Any = encoder._session
    for begin in range(0, len(texts), 32):
        encoded = encoder._tokenizer.encode_batch(list(texts[begin : begin + 32]))
        longest = max(len(e.ids) for e in encoded)
        ids = np.array([e.ids + [0] * (longest - len(e.ids)) for e in encoded], np.int64)
        mask = np.array([[1] * len(e.ids) + [0] * (longest - len(e.ids)) for e in encoded], np.int64)
        session.run(None, {"input_ids": ids, "attention_mask": mask})


def growth(model: Path, sizes: Sequence[int], per_article: int) -> None:
    """Label ever more sentences; print time, peak memory, and the exponent of growth."""
    seconds = []
    unit = "article" if per_article > 1 else "sentence"
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            source = Path(folder, f"{size}.jsonl")
            write_sentences(source, size, per_article)
            took, peak = measured("predict", source, "-o", f"{source}.parquet", "-m", model, "--unit", unit)
            seconds.append(took)
            print(f"{size:10,} sentences {took:9.1f} s {size / took:8.0f} a second {peak:7.0f} MB at most", flush=True)
    slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    print(f"time grows as sentences to the {slope:.3f}")


def write_sentences(target: Path, count: int, per_article: int) -> None:
    """Write sentences no two of which are alike: words of one place are put into another; so many a row."""
    draw = random.Random(13)
    sentences = [sentence.text.split() for article in articles() for sentence in cut(article.text)]
    with target.open("w", encoding="utf-8") as stream:
        for number in range(count // per_article):
            made = []
            for _ in range(per_article):
                words = list(draw.choice(sentences))
                words.insert(draw.randrange(len(words)), draw.choice(draw.choice(sentences)))
                made.append(" ".join(words))
            stream.write(json.dumps({"id": number, "text": "\n".join(made)}) + "\n")


def measured(*words: object) -> tuple[float, float]:
    """Run the command line; return seconds and peak memory in MB."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "pipeline", *map(str, words)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def start(model: Path, rounds: int) -> None:
    """Time one short article from the command to its rows."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "article.txt")
        source.write_text("Sanctions must bite. Talks are soup.", encoding="utf-8")
        found = [measured("predict", source, "-o", Path(folder, "rows.jsonl"), "-m", model)[0] for _ in range(rounds)]
    print(f"one short article: {median(found):.2f} s from the command to its rows, median of {rounds}")


def main() -> None:
    """Read the words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "growth", "start"])
    parser.add_argument("--model", type=Path, default=Path("models/champion"))
    parser.add_argument("--articles", type=int, default=166, help="for speed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000], help="for growth")
    parser.add_argument("--per-article", type=int, default=1, help="sentences a row, for growth")
    words = parser.parse_args()
    if words.what == "speed":
        speed(words.model, words.articles, words.rounds)
    elif words.what == "growth":
        growth(words.model, words.sizes, words.per_article)
    else:
        start(words.model, words.rounds)


if __name__ == "__main__":
    main()
