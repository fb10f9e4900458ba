"""How fast it is, beside what people would write by hand; how time and memory grow.

    python benchmarks/speed.py                 # all four
    python benchmarks/speed.py --part start    # from the command to the first row
    python benchmarks/speed.py --part predict  # same sentences, interleaved, medians of 5
    python benchmarks/speed.py --part train    # seconds to fit each candidate of a config
    python benchmarks/speed.py --part growth   # 10^2 to 10^5 articles of ten sentences, each batch in its own process

Articles are drawn from seeds/authored.jsonl, where half the sentences take a side; `--input` takes others, such
as news, where one in ten does and the first stage answers more. The rivals of `predict` run the encoder of the
pretrained model: `transformers.pipeline` in torch and float32, as it comes; ONNX Runtime with dynamic int8, as its
documentation shows it, in batches of 32 as the sentences come.
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

import numpy as np

from pipeline.bundle import load_bundle
from pipeline.classifiers import create
from pipeline.config import read_config
from pipeline.data.articles import Article, read_articles
from pipeline.data.dataset import load_dataset
from pipeline.data.sentences import cut
from pipeline.prediction import predict
from pipeline.training.provenance import processor

ROOT = Path(__file__).parents[1]
SEEDS = ROOT / "seeds" / "authored.jsonl"
BATCH = 32


def articles(source: Path = SEEDS) -> list[Article]:
    """Return the articles of a file."""
    return [found for found in read_articles([source]) if isinstance(found, Article)]


def time_predict(model: Path, source: Path, rounds: int, checkpoint: str) -> None:
    """Time `predict` to parquet, a transformers pipeline, and ONNX Runtime by hand on the same articles.

    `checkpoint` is an encoder that another transformers pipeline runs, beside that of the small pretrained model.
    """
    chosen = articles(source)
    texts = [sentence.text for article in chosen for sentence in cut(article.text)]
    bundle = load_bundle(model)
    with tempfile.TemporaryDirectory() as folder:
        lines, target = Path(folder, "articles.jsonl"), Path(folder, "rows.parquet")
        rows = (json.dumps({"id": article.id, "text": article.text}) + "\n" for article in chosen)
        lines.write_text("".join(rows), encoding="utf-8")
        contestants: dict[str, Callable[[], object]] = {
            "stance predict": lambda: predict([lines], target, bundle),
            "stance predict --exact": lambda: predict([lines], target, bundle, exact=True),
            f"transformers.pipeline(batch_size={BATCH})": transformers_pipeline(texts),
            "ONNX Runtime int8 by hand, input order": by_hand(texts, Path(folder)),
        }
        if checkpoint:
            contestants[f"the same with {Path(checkpoint).name}"] = transformers_pipeline(texts, checkpoint)
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds + 1):
            for name, run in contestants.items():
                begin = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - begin)
    took = {name: median(found[1:]) for name, found in seconds.items()}  # the first round warms up
    early = (bundle.predict_in_stages(texts)[1] != "full").mean()
    print(
        f"{len(texts)} sentences of {len(chosen)} articles, {processor()}, {len(os.sched_getaffinity(0))} cores, "
        f"median of {rounds};"
    )
    print(f"{early:.0%} of them need no full model\n")
    print("| | sentences a second | --exact is | predict is | in single rounds |\n|---|---|---|---|---|")
    for name, value in took.items():
        exact, staged = (value / took[side] for side in ("stance predict --exact", "stance predict"))
        each = [one / other for one, other in zip(seconds[name][1:], seconds["stance predict"][1:], strict=True)]
        spread = f"{min(each):.2f} to {max(each):.2f}"
        print(f"| {name} | {len(texts) / value:.0f} | {exact:.2f} x | {staged:.2f} x | {spread} |")
    print(flush=True)


def transformers_pipeline(texts: Sequence[str], checkpoint: str = "pretrained/small") -> Callable[[], object]:
    """Return what people would use otherwise, with the encoder of a checkpoint.

    The layer on top is transformers' own with random weights: what it answers is of no use, how long it takes is.
    """
    from transformers import AutoModelForSequenceClassification, pipeline

    from pipeline.classifiers.checkpoint import load_checkpoint

    tokenizer, encoder = load_checkpoint(checkpoint)
    encoder.config.num_labels = 3
    network = AutoModelForSequenceClassification.from_config(encoder.config)
    setattr(network, network.base_model_prefix, encoder)
    classify = pipeline("text-classification", model=network.eval(), tokenizer=tokenizer, device="cpu")
    return lambda: classify(list(texts), batch_size=BATCH, truncation=True, max_length=128)


def by_hand(texts: Sequence[str], folder: Path) -> Callable[[], object]:
    """Return ONNX Runtime with its own dynamic quantization, as a loop over batches."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from tokenizers import Tokenizer

    from pipeline.classifiers.checkpoint import load_checkpoint
    from pipeline.classifiers.encoding import Embedder, to_onnx

    tokenizer, encoder = load_checkpoint("pretrained/small")
    files = to_onnx(Embedder(encoder, unit=False), tokenizer, 128, "float32")
    floating, small = folder / "float32.onnx", folder / "int8.onnx"
    floating.write_bytes(files["model.onnx"])
    quantize_dynamic(floating, small, weight_type=QuantType.QInt8)
    session = onnxruntime.InferenceSession(small, providers=["CPUExecutionProvider"])
    fast = Tokenizer.from_str(files["tokenizer.json"].decode())
    fast.enable_padding()

    def run() -> None:
        for begin in range(0, len(texts), BATCH):
            encoded = fast.encode_batch_fast(list(texts[begin : begin + BATCH]))
            ids = np.array([found.ids for found in encoded], np.int64)
            mask = np.array([found.attention_mask for found in encoded], np.int64)
            session.run(None, {"input_ids": ids, "attention_mask": mask})

    return run


def time_growth(model: Path, sizes: Sequence[int], plot: Path) -> None:
    """Label ever more generated articles; print time, peak memory, and the exponent of growth; draw it.

    What one article takes (starting, loading) is taken off before the exponent is fitted.
    """
    import pyarrow.parquet

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "articles.jsonl"), Path(folder, "rows.parquet")

        def label(count: int, rounds: int) -> tuple[int, float]:
            write_articles(source, count)
            runs = [measured("predict", source, "-o", target, "-m", model) for _ in range(rounds)]
            rows, took = pyarrow.parquet.read_metadata(target).num_rows, median(seconds for seconds, _ in runs)
            peak = max(memory for _, memory in runs)
            print(f"{count:9,} articles {rows:11,} sentences {took:9.2f} s {peak:7.0f} MB at most", flush=True)
            return rows, took

        alone = label(1, 5)[1]
        # Short runs are repeated: a second of another process would bend the line.
        found = [label(count, 5 if count <= 1000 else 1) for count in sizes]
    rows, work = [count for count, _ in found], [took - alone for _, took in found]
    slope = np.polyfit(np.log(rows), np.log(work), 1)[0]
    print(f"without the start, time grows as sentences to the {slope:.3f}: {plot}\n")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.loglog(rows, work, "o-")
    axes.set(xlabel="sentences", ylabel="seconds, without the start", title=f"exponent {slope:.3f}")
    plot.parent.mkdir(exist_ok=True)
    figure.savefig(plot)


def write_articles(target: Path, count: int) -> None:
    """Write articles of ten sentences, no two of which are alike: words of one place are put into another."""
    draw = random.Random(13)
    sentences = [sentence.text.split() for article in articles() for sentence in cut(article.text)]

    def sentence() -> str:
        words = list(draw.choice(sentences))
        words.insert(draw.randrange(len(words)), draw.choice(draw.choice(sentences)))
        return " ".join(words)

    with target.open("w", encoding="utf-8") as stream:
        for number in range(count):
            stream.write(json.dumps({"id": number, "text": " ".join(sentence() for _ in range(10))}) + "\n")


def measured(*words: object) -> tuple[float, float]:
    """Run the command line; return seconds and peak memory in MB."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "pipeline", *map(str, words)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def time_start(model: Path, rounds: int) -> None:
    """Time one short article from the command to its rows."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "article.txt")
        source.write_text("Sanctions must bite. Talks are soup.", encoding="utf-8")
        found = [measured("predict", source, "-o", Path(folder, "rows.jsonl"), "-m", model)[0] for _ in range(rounds)]
    print(f"one short article: {median(found):.2f} s from the command to its rows, median of {rounds}")


def time_train(config: Path) -> None:
    """Time one fit of each candidate on the train part."""
    settings = read_config(config)
    train = load_dataset(settings).part("train")
    print(f"| {len(train)} sentences | seconds to fit |\n|---|---|")
    for candidate in settings.candidates:
        classifier = create(candidate, settings.random_state)
        begin = time.perf_counter()
        classifier.fit(train, settings.label_names, lambda share, words: None)
        print(f"| {candidate.name} | {time.perf_counter() - begin:.1f} |", flush=True)
    print()


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=["start", "predict", "train", "growth"], help="default: all")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "champion")
    parser.add_argument("--input", type=Path, default=SEEDS, help="articles for predict")
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "default.yaml", help="candidates for train")
    parser.add_argument("--rival", default="", help="a checkpoint that another pipeline of `predict` runs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[100, 1000, 10_000, 100_000], help="articles for growth"
    )
    parser.add_argument("--plot", type=Path, default=ROOT / "reports" / "growth.svg")
    words = parser.parse_args()
    parts = {
        "start": lambda: time_start(words.model, words.rounds),
        "predict": lambda: time_predict(words.model, words.input, words.rounds, words.rival),
        "train": lambda: time_train(words.config),
        "growth": lambda: time_growth(words.model, words.sizes, words.plot),
    }
    for part in words.part or parts:
        parts[part]()


if __name__ == "__main__":
    main()
