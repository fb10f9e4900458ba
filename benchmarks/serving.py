"""How a served model answers: latency and throughput by number of clients, memory, and what bad requests get.

    python benchmarks/serving.py --model-uri models:/stance@champion --workers 2

It starts `mlflow models serve` on this machine alone, with the store of this folder, and stops it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles

from pipeline.tracking import tracking_uri

SEEDS = Path(__file__).parents[1] / "seeds" / "authored.jsonl"
CLIENTS = (1, 8, 32)
# Bodies that hold no texts, each with the content type that it claims.
JSON, CSV = "application/json", "text/csv"
BAD = (
    (b"", JSON),
    (b"{", JSON),
    (b"[]", JSON),
    (b'{"inputs": {"text": [null]}}', JSON),
    (b'{"inputs": {"text": [1, 2]}}', JSON),
    (b'{"inputs": {"body": ["soup"]}}', JSON),
    (b'{"inputs": [["a", "b"], ["c"]]}', JSON),
    (b'{"inputs": "\\ud83d"}', JSON),
    (b'{"instances": 3}', JSON),
    (b'{"dataframe_split": {"columns": ["text"], "data": [["a", "b"]]}}', JSON),
    (b'{"dataframe_records": {"text": "a"}}', JSON),
    (b"body\nsoup\n", CSV),
    (b"\xff\xfe\x00", CSV),
    (b"soup", "text/plain"),
    (b'{"inputs": {"text": ["' + b"[" * 100_000, JSON),
)


def ask(port: int, body: bytes, kind: str = JSON) -> tuple[int, bytes, float]:
    """Send one request; return its status, its answer and the seconds that it took."""
    begin = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/invocations", body, {"Content-Type": kind})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, time.perf_counter() - begin


def sentences() -> list[str]:
    """Return sentences of the invented articles, in an order of their own."""
    texts = [json.loads(line)["text"] for line in SEEDS.read_text(encoding="utf-8").splitlines()]
    cut = [sentence + "." for text in texts for sentence in text.split(". ") if len(sentence) > 20]
    random.Random(0).shuffle(cut)
    return cut


def measure(port: int, clients: int, requests: int, size: int) -> str:
    """Return a row of the table: so many clients, each of whose requests holds so many texts."""
    texts = sentences()
    bodies = [json.dumps({"inputs": (texts * 9)[n * size : (n + 1) * size]}).encode() for n in range(requests)]
    begin = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(lambda body: ask(port, body), bodies))
    seconds = time.perf_counter() - begin
    assert {status for status, _, _ in answers} == {200}
    cuts = quantiles([1000 * taken for _, _, taken in answers], n=100, method="inclusive")
    cells = (f"{cuts[place - 1]:.0f}" for place in (50, 95, 99))
    return f"| {clients} | {size} | {' | '.join(cells)} | {requests / seconds:.0f} | {size * requests / seconds:.0f} |"


def memory(parent: int) -> int:
    """Return the resident bytes of a process and of those below it."""
    pages, own = os.sysconf("SC_PAGE_SIZE"), {parent}
    files = Path("/proc").glob("[0-9]*/stat")
    stats = {int(file.parent.name): file.read_text().rpartition(")")[2].split() for file in files}
    while more := {pid for pid, fields in stats.items() if int(fields[1]) in own} - own:
        own |= more
    return sum(pages * int(stats[pid][21]) for pid in own)


def send_bad(port: int, requests: int) -> tuple[Counter[int], str]:
    """Send bad bodies with good ones among them; return the statuses, and a status that was none of 4xx."""
    good = json.dumps({"inputs": ["Ease the sanctions."]}).encode(), JSON
    bodies = [random.Random(n).choice(BAD) if n % 4 else good for n in range(requests)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: ask(port, *body), bodies))
    wrong = [
        (status, body[:40], answer[:200])
        for (status, answer, _), (body, kind) in zip(answers, bodies, strict=True)
        if not (status == 200 if (body, kind) == good else 400 <= status < 500)
    ]
    return Counter(status for status, _, _ in answers), str(wrong[:1] or "")


def main() -> None:
    """Start the server, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-uri", default="models:/stance@champion")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--bad", type=int, default=10_000)
    given = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["-m", "mlflow", "models", "serve", "--model-uri", given.model_uri, "--env-manager", "local"]
    words += ["--workers", str(given.workers), "--port", str(port)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": tracking_uri(), "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"  # MLflow starts uvicorn by its name
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, *words], env=environment, **silent) as server:
        try:
            begin = time.perf_counter()
            while True:
                try:
                    ask(port, b'{"inputs": ["soup"]}')
                    break
                except OSError:
                    time.sleep(0.2)
            print(f"first answer after {time.perf_counter() - begin:.1f} s, {memory(server.pid) / 1e6:.0f} MB")
            print(
                "| clients | texts a request | p50 ms | p95 ms | p99 ms | requests/s | texts/s |\n" + "|---" * 7 + "|"
            )
            for size in (1, 32):
                for clients in CLIENTS:
                    print(measure(port, clients, given.requests // (5 if size > 1 else 1), size), flush=True)
            before = memory(server.pid)
            statuses, wrong = send_bad(port, given.bad)
            after = memory(server.pid)
            print(f"{given.bad} requests, three in four bad: {dict(statuses)}")
            print(f"memory before them {before / 1e6:.0f} MB, after them {after / 1e6:.0f} MB")
            print(f"wrong: {wrong}" if wrong else "every bad one was answered with 4xx, every good one with 200")
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
