"""A batch on many cores or machines: Ray tasks read and cut files, Ray actors score, parts of a dataset come out.

The rows are those of `pipeline.prediction.predict`, in no order. Inputs, model and output lie at the same
path on all machines. What a process or machine had in hand when it was lost, Ray does again.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.bundle import Bundle, load_bundle
from pipeline.classifiers.onnx import providers
from pipeline.data.articles import find_sources
from pipeline.errors import InputError
from pipeline.prediction import CHUNK, Summary, columns_of, needs_of, no_labels, rejected_file
from pipeline.prediction.forms import SUFFIXES, encode, schema
from pipeline.prediction.journal import lock_folder, publish_list
from pipeline.prediction.workers import Scorer, describe, read_ids, read_notes, read_sentences

BLOCK = 2 << 20  # bytes of sentences that a scorer is given at a time: a minute of one core
PART = 500_000  # rows of a file of the output, at least
# There is a scorer for each CPU. It books this much of it and leaves the rest to tasks that read and write.
SCORER, TASK = 0.75, 0.25
RETRIES = 5  # of what a worker had in hand when it was lost: a text that kills workers ends the batch


def predict(
    inputs: Iterable[str | Path],
    output: Path,
    model: Path,
    *,
    unit: str = "article",
    address: str | None = None,
    restart: bool = False,
    abstain: bool = False,
    exact: bool = False,
    show_dropped: Path | None = None,
) -> Summary:
    """Label every sentence of files and folders, one row each, as a folder of parquet files.

    The folder appears whole, by a rename, once all is done; `restart` puts it in the place of one that is there.
    `model` is an exported folder, `address` HOST:PORT of a cluster, None: the cores of this machine; the rest is as
    in `pipeline.prediction.predict`.
    """
    begin = time.perf_counter()
    inputs, output, model = list(inputs), output.absolute(), model.absolute()
    _check(inputs, output, show_dropped, restart)
    bundle = load_bundle(model)
    least, needs = bundle.least_confidence() if abstain else 0.0, needs_of(bundle)
    sources = list(find_sources(Path(entry).absolute() for entry in inputs))
    with _cluster(address) as ray, _unfinished(output) as folder:
        ray.data.DataContext.get_current().target_max_block_size = BLOCK
        task = {"num_cpus": TASK, "max_retries": RETRIES}
        files = ray.data.from_items([describe(place, source) for place, source in enumerate(sources)])
        read = partial(files.map_batches, batch_size=1, batch_format="pyarrow", **task)
        cpus = max(1, int(ray.cluster_resources()["CPU"]))
        ids = partial(read_ids, unit=unit, needs=needs._replace(topic_words=None))
        first = _repeated(read(ids), min(4 * cpus, 200)) if len(sources) > 1 else {}
        sentences = read(partial(read_sentences, unit=unit, first=first, folder=folder / "notes", needs=needs))
        scorers = _scorers(ray, cpus) | {"fn_constructor_args": (model, bundle.digest, least, exact)}
        rows = sentences.map_batches(Scorer, batch_size=CHUNK, batch_format="pyarrow", **scorers)
        rows.write_parquet(str(folder / "rows"), min_rows_per_file=PART, ray_remote_args=task)
        summary = Summary(labels=no_labels(bundle, abstain))
        _count(folder / "rows", summary, bundle)
        _finish(folder, output, summary, show_dropped)
    summary.seconds = time.perf_counter() - begin
    return summary


def _check(inputs: Sequence[str | Path], output: Path, show_dropped: Path | None, restart: bool) -> None:
    if any(str(entry) == "-" for entry in inputs):
        raise InputError("-", "many machines cannot read standard input", expected="files or folders")
    if output.name.endswith(SUFFIXES):
        raise InputError(output, "names a file", expected="the name of a folder, as --engine ray writes many files")
    for file, option in ((output, "--output"), (show_dropped, "--show-dropped")):
        if file and any(Path(entry).resolve() in (file.resolve(), *file.resolve().parents) for entry in inputs):
            raise InputError(file, "lies in an input", then=f"choose another {option}")
    if show_dropped and output.resolve() in (show_dropped.resolve(), *show_dropped.resolve().parents):
        raise InputError(show_dropped, "lies in the output", then="choose another --show-dropped")
    if output.exists() and not restart:
        raise InputError(output, "is there already", expected="a name that is free", then="--restart replaces it")
    if output.exists() and not (output.is_dir() and all(file.suffix == ".parquet" for file in output.iterdir())):
        raise InputError(output, "holds more than rows", expected="what an earlier run has written, or a free name")


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Join a cluster, or start one of this machine's cores; one that this process has joined already is taken."""
    where = f"--ray-address {address}" if address else "Ray on this machine"
    try:
        if address not in (None, "auto"):  # Ray itself would go on knocking for a quarter of an hour
            host, _, port = str(address).rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, ValueError, OverflowError) as error:
        expected = "HOST:PORT of the head of a cluster, or auto"
        raise InputError(where, f"cannot be reached ({error})", expected=expected) from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers
    import ray
    import ray.data

    started = not ray.is_initialized()
    if started:
        before = signal.getsignal(signal.SIGTERM)
        try:
            # Whether a cluster has a dashboard is its own affair.
            ray.init(address or "local", log_to_driver=False, include_dashboard=None if address else False)
        except Exception as error:  # of no kind of its own if Ray does not get going
            then = "a cluster that asks for a token takes it from RAY_AUTH_MODE=token RAY_AUTH_TOKEN=..."
            raise InputError(where, f"cannot be had ({error})", then=then if address else "") from None
        signal.signal(signal.SIGTERM, before)  # Ray puts its own there
    try:
        yield ray
    except ray.exceptions.RayError as error:
        said = re.findall(r"^\w*Error: (\[Errno \d+\] .*)$", str(error), re.MULTILINE)
        if not said:
            raise
        raise InputError("--engine ray", f"a worker says: {said[-1]}") from None
    finally:
        if started:
            ray.shutdown()


@contextmanager
def _unfinished(output: Path) -> Iterator[Path]:
    """Open the hidden folder that holds a batch while it runs; nothing is left of it."""
    folder, lock = lock_folder(output)
    try:
        for name in ("rows", "notes"):
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _scorers(ray: Any, cpus: int) -> dict[str, Any]:
    """Return how many actors score, and what each of them is given."""
    gpus = int(ray.cluster_resources().get("GPU", 0)) if "CUDAExecutionProvider" in providers() else 0
    pool = ray.data.ActorPoolStrategy(size=gpus or cpus)
    needs = {"num_cpus": SCORER, "num_gpus": 1 if gpus else None}
    return {"compute": pool, "max_restarts": -1, "max_task_retries": RETRIES, **needs}


def _repeated(ids: Any, partitions: int) -> dict[str, int]:
    """Return the ids that stand in several files, each with the place of the first of them."""
    from ray.data.aggregate import Count, Min
    from ray.data.expressions import col

    found = ids.groupby("id", partitions).aggregate(Count(alias_name="files"), Min("place", alias_name="first"))
    return {row["id"]: row["first"] for row in found.filter(expr=col("files") > 1).iter_rows()}


def _count(rows: Path, summary: Summary, bundle: Bundle) -> None:
    """Count rows; where there is none, write a file of none."""
    from pyarrow import compute, dataset, parquet

    kinds = schema(columns_of(bundle))
    if not any(rows.iterdir()):
        parquet.write_table(kinds.empty_table(), rows / "none.parquet")
    counted = [name for name in ("label", "sentence_index", "on_topic", "target") if name in kinds.names]
    for batch in dataset.dataset(rows, kinds).to_batches(columns=counted):
        summary.sentences += batch.num_rows
        summary.articles += compute.sum(compute.equal(batch["sentence_index"], 0)).as_py() or 0
        for found in batch["target"].value_counts().to_pylist() if "target" in counted else ():
            summary.add_target(found["values"], found["counts"], bundle.targets)
        if "on_topic" in counted:
            summary.off_topic += batch["on_topic"].false_count
            batch = batch.filter(batch["on_topic"])
        for found in batch["label"].value_counts().to_pylist():
            summary.labels[found["values"]] += found["counts"]


def _finish(folder: Path, output: Path, summary: Summary, show_dropped: Path | None) -> None:
    """Count the notes on files, and put these and the rows in their places, the rows last."""
    rejects, dropped = folder / "rejects.jsonl", folder / "dropped.jsonl"
    with rejects.open("wb") as first, dropped.open("wb") as second:
        for notes in read_notes(folder / "notes"):
            summary.add_notes(notes)
            first.write(encode(map(vars, notes.rejects), rejects.name, ()))
            second.write(encode(notes.dropped, dropped.name, ()))
    summary.rejected = rejected_file(output) if summary.rejects else None
    publish_list(rejects, rejected_file(output))
    publish_list(dropped, show_dropped)
    if output.exists():
        output.rename(folder / "old")
    (folder / "rows").rename(output)
