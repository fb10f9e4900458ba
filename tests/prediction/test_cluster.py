"""Batches on a real Ray with two scorers, and the registered model on Spark; run by `make test-cluster`."""

import json
import shutil
import sys
import threading
import time
from dataclasses import replace
from uuid import uuid4

import psutil
import pytest
from conftest import LABEL_NAMES
from pyarrow import parquet

from pipeline import tracking
from pipeline.bundle import load_bundle
from pipeline.errors import InputError
from pipeline.prediction import distributed, predict

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    # What Ray, Spark and their friends leave open or find old-fashioned is theirs.
    pytest.mark.filterwarnings("ignore"),
]
FILES = 30
ORDER = [("article_id", "ascending"), ("sentence_index", "ascending")]


@pytest.fixture(scope="module")
def ray():
    """Ray on two CPUs of this machine, so with two scorers."""
    found = pytest.importorskip("ray", reason="Ray is not installed: pip install 'stance-pipeline[ray]'")
    pytest.importorskip("ray.data", reason="Ray Data is not installed: pip install 'stance-pipeline[ray]'")
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("RAY_AUTH_TOKEN", uuid4().hex)  # else Ray writes one into the home folder
    patch.setenv("RAY_raylet_start_wait_time_s", "300")
    found.init("local", num_cpus=2, object_store_memory=100 << 20, include_dashboard=False, log_to_driver=False)
    yield found
    found.shutdown()
    patch.undo()


@pytest.fixture
def news(tmp_path):
    """A folder of many small files: tables, texts, what cannot be read, and an article that many files hold."""
    folder = tmp_path / "news"
    folder.mkdir()
    for number in range(FILES):
        text = " ".join(f"Sanctions bit {number} times {n} cooks. Talks are {n} bowls of soup." for n in range(40))
        rows = [
            {"id": f"{number}-{n}", "text": text.replace("soup", f"soup and {n} spoons"), "outlet": "Parley"}
            for n in range(20)
        ]
        lines = [json.dumps(row) for row in [*rows, {"id": "again", "text": f"Soup number {number}."}]]
        (folder / f"{number:02}.jsonl").write_text("\n".join([*lines, "{burnt"]) + "\n")
    (folder / "letter.txt").write_text("Ease the sanctions. The stamp showed a magpie.\n\nAdvertisement\n")
    return folder


def rows_of(output):
    return parquet.read_table(output).sort_by(ORDER)


def scorers(title="MapWorker"):
    """The processes of our own Ray that score; `submit` in the title: that have work in hand."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if title in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:  # ended in between
            continue
    return found


def hold_one(run):
    """Stop one of two scorers when it has work in hand, which it therefore keeps."""
    while run.is_alive():
        for process in scorers("Scorer)).submit") if len(scorers()) == 2 else ():
            process.suspend()
            if process in scorers("Scorer)).submit"):
                return process
            process.resume()
        time.sleep(0.01)
    raise AssertionError("no scorer was seen at work")


def wait_until(true):
    end = time.monotonic() + 600
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_scorer_killed_in_mid_run_changes_no_row(ray, news, champion, bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "PART", 1)  # a file of the output for each block
    output, dropped, done, seen = tmp_path / "rows", tmp_path / "rows.dropped", [], set()
    run = threading.Thread(
        target=lambda: done.append(distributed.predict([news], output, champion, show_dropped=dropped))
    )
    run.start()
    parts = tmp_path / ".rows.partial" / "rows"
    victim = hold_one(run)
    wait_until(lambda: any(parts.glob("*.parquet")))
    assert run.is_alive() and not output.exists()
    before = {process.pid for process in scorers()}
    victim.kill()
    while run.is_alive():
        seen |= {process.pid for process in scorers()}
        time.sleep(0.1)
    run.join()
    assert seen - before, "no scorer took the place of the one that was killed"

    whole = tmp_path / "whole.parquet"
    expected = predict([news], whole, bundle, show_dropped=tmp_path / "whole.dropped")
    assert rows_of(output).equals(rows_of(whole))
    assert (tmp_path / "rows.rejected.jsonl").read_bytes() == (tmp_path / "whole.parquet.rejected.jsonl").read_bytes()
    assert dropped.read_bytes() == (tmp_path / "whole.dropped").read_bytes() != b""
    (summary,) = done
    mine = {"seconds": 0, "rejected": None, "share": None}  # of each its own
    assert replace(summary, **mine) == replace(expected, **mine)
    assert expected.rejects == 2 * FILES - 1 and not (tmp_path / ".rows.partial").exists()


def test_a_parquet_dataset_of_sentences_replaces_an_earlier_folder(ray, news, champion, bundle, tmp_path):
    dataset, output, whole = tmp_path / "sentences", tmp_path / "rows", tmp_path / "whole.parquet"
    predict([news], tmp_path / "cut.parquet", bundle)
    table = parquet.read_table(tmp_path / "cut.parquet", columns=["text"]).slice(0, 300)
    table = table.append_column("id", [[f"s{n}" for n in range(len(table))]])
    parquet.write_to_dataset(table.slice(0, 150), dataset)
    parquet.write_to_dataset(table.slice(150), dataset)
    output.mkdir()
    shutil.copy(tmp_path / "cut.parquet", output)
    distributed.predict([dataset], output, champion, unit="sentence", restart=True)
    predict([dataset], whole, bundle, unit="sentence")
    assert rows_of(output).equals(rows_of(whole)) and len(rows_of(output)) == 300
    assert not (tmp_path / "rows.rejected.jsonl").exists()


def test_what_a_worker_refuses_is_one_line_and_leaves_nothing(ray, news, champion, tmp_path, monkeypatch):
    bundle = load_bundle(champion)
    other = replace(bundle, manifest=bundle.manifest.model_copy(update={"checksum": "yesterday"}))
    monkeypatch.setattr(distributed, "load_bundle", lambda folder: other)
    with pytest.raises(InputError, match="--engine ray: a worker says: .* has changed since the batch began"):
        distributed.predict([news / "letter.txt"], tmp_path / "rows", champion)
    assert [path.name for path in tmp_path.iterdir()] == ["news"]


@pytest.fixture(scope="module")
def spark():
    sql = pytest.importorskip("pyspark.sql", reason="Spark is not installed: pip install 'stance-pipeline[spark]'")
    if not shutil.which("java"):
        pytest.skip("Spark needs Java 17, which is not installed")
    patch = pytest.MonkeyPatch()
    patch.setenv("PYSPARK_PYTHON", sys.executable)  # else the first Python on the path, which may be another
    options = {"spark.ui.enabled": "false", "spark.driver.memory": "512m", "spark.sql.shuffle.partitions": "2"}
    options |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    builder = sql.SparkSession.builder.master("local[2]").appName("stance")
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
    patch.undo()


def test_the_registered_model_on_spark_says_what_it_says_here(spark, champion, bundle, project, monkeypatch):
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with tracking.run("soup") as run:
        tags = {tracking.LABELS: LABEL_NAMES, tracking.COLUMNS: ("text",), tracking.OUTPUT: "models/champion"}
        version = run.register(champion, "stance", "# A card", tags)
    mlflow.set_tracking_uri(tracking.tracking_uri())
    texts = ["Sanctions must bite.", "Talks are soup.", "It rained in Wonsan.", "Ease the embargo."]
    frame = spark.createDataFrame([(n, text) for n, text in enumerate(texts)], ["id", "text"]).repartition(2)
    label = mlflow.pyfunc.spark_udf(spark, f"models:/stance/{version}", env_manager="local")
    found = frame.withColumn("found", label("text")).select("id", "found.*").orderBy("id").collect()
    probabilities = bundle.predict_proba(texts)
    assert [row["label"] for row in found] == [LABEL_NAMES[best] for best in probabilities.argmax(1)]
    columns = ["p_pro_sanctions", "p_pro_dialogue", "p_neutral"]
    assert [[row[name] for name in columns] for row in found] == probabilities.tolist()
    assert [row["confidence"] for row in found] == probabilities.max(1).tolist()
