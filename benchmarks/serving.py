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
from pipeline.training.provenance import processor

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
    """Send one request; return its status, its answer and the seconds that it took; status 0: there was no answer."""
    begin, status, content = time.perf_counter(), 0, b""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": kind})
        answer = connection.getresponse()
        status, content = answer.status, answer.read()
    except OSError as error:
        content = repr(error).encode()
    finally:
        connection.close()
    return status, content, time.perf_counter() - begin


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


def resident(parent: int) -> dict[int, int]:
    """Return the resident bytes of a process and of each below it, by its id."""
    pages, own = os.sysconf("SC_PAGE_SIZE"), {parent}
    files = Path("/proc").glob("[0-9]*/stat")
    stats = {int(file.parent.name): file.read_text().rpartition(")")[2].split() for file in files}
    while more := {pid for pid, fields in stats.items() if int(fields[1]) in own} - own:
        own |= more
    return {pid: pages * int(stats[pid][21]) for pid in own}


def in_megabytes(parent: int) -> str:
    """Return what a process and those below it take."""
    return f"{sum(resident(parent).values()) / 1e6:.0f} MB"


def send_bad(port: int, requests: range) -> tuple[Counter[int], list[str]]:
    """Send bad bodies with good ones among them; return the statuses, and answers that are not what they should be."""
    good = json.dumps({"inputs": ["Ease the sanctions."]}).encode(), JSON
    bodies = [random.Random(n).choice(BAD) if n % 4 else good for n in requests]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: ask(port, *body), bodies))
    wrong = []
    for (status, answer, _), (body, kind) in zip(answers, bodies, strict=True):
        refused = 400 <= status < 500 and answer and b"Traceback" not in answer
        if not (status == 200 if (body, kind) == good else refused):
            wrong.append(f"{status} to {body[:40]!r}: {answer[:200]!r}")
    return Counter(status for status, _, _ in answers), wrong


def attack(port: int, server: int, requests: int) -> None:
    """Print what many bad requests do: statuses, memory at each fifth of the way, processes that ended."""
    statuses, wrong, before = Counter[int](), [], set(resident(server))
    sizes, part = [in_megabytes(server)], -(-requests // 5)
    for first in range(0, requests, part):
        found, more = send_bad(port, range(first, min(first + part, requests)))
        statuses += found
        wrong += more
        sizes.append(in_megabytes(server))
    print(f"{requests} requests, three in four bad: {dict(statuses)}")
    print(f"memory before them and after each fifth of them: {', '.join(sizes)}")
    print("no process ended" if before <= set(resident(server)) else "A PROCESS ENDED")
    print(
        f"{len(wrong)} WRONG: {wrong[0]}" if wrong else "every bad one was answered with 4xx, every good one with 200"
    )


def main() -> None:
    """Start the server, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-uri", default="models:/stance@champion")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--requests", type=int, default=500, help="for each row of the table; 0: no table")
    parser.add_argument("--bad", type=int, default=10_000)
    parser.add_argument("--log", type=Path, default=Path(os.devnull), help="what the server says")
    given = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["-m", "mlflow", "models", "serve", "--model-uri", given.model_uri, "--env-manager", "local"]
    words += ["--workers", str(given.workers), "--port", str(port)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": tracking_uri(), "OMP_NUM_THREADS": "1"}
    # A worker that does not answer its parent in time is killed, and its requests with it: five seconds are few.
    environment.setdefault("UVICORN_TIMEOUT_WORKER_HEALTHCHECK", "60")
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"  # MLflow starts uvicorn by its name
    print(f"{os.cpu_count()} cores, {processor()}, load {os.getloadavg()[0]:.1f} before; {given.workers} workers")
    streams = {"stdout": given.log.open("w"), "stderr": subprocess.STDOUT}
    with subprocess.Popen([sys.executable, *words], env=environment, **streams) as server:
        try:
            begin = time.perf_counter()
            while not ask(port, b'{"inputs": ["soup"]}')[0]:
                if server.poll() is not None:
                    sys.exit(f"the server ended with exit code {server.returncode}")
                time.sleep(0.2)
            print(f"first answer after {time.perf_counter() - begin:.1f} s, {in_megabytes(server.pid)}", flush=True)
            if given.requests:
                print(
                    "| clients | texts a request | p50 ms | p95 ms | p99 ms | requests/s | texts/s |\n"
                    + "|---" * 7
                    + "|"
                )
            for size in (1, 32) if given.requests else ():
                for clients in CLIENTS:
                    print(measure(port, clients, given.requests // (5 if size > 1 else 1), size), flush=True)
            attack(port, server.pid, given.bad)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
