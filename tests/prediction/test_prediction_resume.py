"""Batches that are stopped, killed, or cannot write: the same command goes on, and ends with the same bytes."""

import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import LABEL_NAMES, ROOT, make_manifest
from pyarrow import parquet
from refusals import refused

from pipeline import prediction
from pipeline.bundle import load_bundle, write_bundle
from pipeline.classifiers import create
from pipeline.config import Candidate
from pipeline.data.articles import read_articles
from pipeline.data.sentences import cut
from pipeline.errors import InputError
from pipeline.prediction import predict
from pipeline.prediction.reading import read_ahead

CHUNK = 40
COURSES = ("soup", "noodles", "rice cake", "kimchi", "tea", "cold buckwheat", "dumplings")
PAGE = "<html><body><article><p>{}</p></article></body></html>"
outputs = pytest.mark.parametrize("output", ["rows.jsonl", "rows.csv", "rows.parquet"])


def menu(number):
    """An article of nine sentences, three of which stand in every menu."""
    dish = COURSES[number % len(COURSES)]
    courses = [f"Course {n} of dinner {number} was {dish}." for n in range(6)]
    return " ".join([*courses, "Sanctions must bite.", "Talks are soup.", "The waiter bowed."])


def rows(*numbers):
    return "".join(json.dumps({"id": f"dinner-{n}", "text": menu(n)}) + "\n" for n in numbers)


@pytest.fixture(autouse=True)
def kitchen(tmp_path, monkeypatch):
    """Stand in a folder with inputs of many forms, good and bad."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prediction, "CHUNK", CHUNK)
    news = Path("news")
    (news / "below").mkdir(parents=True)
    (news / "a.jsonl").write_text(rows(*range(30)) + "{burnt\n" + rows(*range(28, 60)))
    (news / "b.txt").write_text(menu(100))
    (news / "below" / "c.jsonl.gz").write_bytes(gzip.compress(rows(*range(60, 90)).encode()))
    (news / "below" / "d.csv").write_text("id,text\n" + "".join(f"e{n},{menu(n)}\n" for n in range(30)))
    (news / "below" / "e.pdf").write_bytes(b"%PDF")
    (news / "f.html").write_text(PAGE.format(menu(101)))
    (news / "g.parquet").write_bytes(b"no parquet")


@pytest.fixture(scope="session")
def champion(tmp_path_factory):
    """An exported model that loads and scores in no time: these tests are about what is around it."""
    candidate = Candidate(name="keywords", kind="keywords", options={"lexicon": str(ROOT / "configs/lexicon.yaml")})
    classifier = create(candidate, random_state=0)
    classifier.fit([], LABEL_NAMES, lambda share, words: None)
    folder = tmp_path_factory.mktemp("models") / "keywords"
    write_bundle(folder, classifier, make_manifest(candidate=candidate), "# A card\n")
    return folder


@pytest.fixture(scope="session")
def bundle(champion):
    return load_bundle(champion)


class Stop(Exception):
    pass


@pytest.fixture
def label(bundle):
    """Label the folder, all of it or up to the n-th commit; return the summary."""

    def labelled(output, *inputs, commits=None, **options):
        told = []

        def report(done):
            told.append(done.sentences)
            if len(told) == commits:
                raise Stop

        try:
            return predict(inputs or ["news"], Path(output), bundle, on_progress=report, **options)
        except Stop:
            return None

    return labelled


@pytest.fixture
def whole(label):
    """What an uninterrupted run writes."""

    def written(output, *inputs, **options):
        name = f"whole/{output}"
        label(name, *inputs, **options)
        return written_by(name)

    return written


def written_by(output):
    """The bytes of an output and of its rejects."""
    rejected = Path(f"{output}.rejected.jsonl")
    return Path(output).read_bytes(), rejected.read_bytes() if rejected.exists() else b""


# Going on


@outputs
def test_a_batch_stopped_after_every_chunk_ends_with_the_same_bytes(label, whole, output):
    runs = 1
    while label(output, commits=1) is None:
        runs += 1
    assert runs > 20 and written_by(output) == whole(output)


@outputs
def test_what_an_earlier_run_had_done_is_not_scored_again(label, output):
    label(output, commits=3)
    done = label(output)
    assert (done.resumed, done.sentences) == (3 * CHUNK, 9 * 122)


def test_the_summary_counts_all_runs(label, whole):
    label("rows.jsonl", commits=20)
    done, straight = label("rows.jsonl"), label("straight.jsonl")
    assert (done.articles, done.rejects, done.labels) == (straight.articles, straight.rejects, straight.labels)
    assert (done.articles, done.rejects) == (122, 5)


def test_a_batch_that_goes_on_from_standard_input_ends_with_the_same_bytes(label, monkeypatch):
    for output, commits in (("whole.jsonl", None), ("rows.jsonl", 4), ("rows.jsonl", None)):
        give(monkeypatch, rows(*range(40)))
        done = label(output, "-", commits=commits)
    assert done.resumed == 4 * CHUNK and written_by("rows.jsonl") == written_by("whole.jsonl")


def give(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))


@pytest.mark.parametrize("content", [rows(*range(1, 41)), rows(0), ""])
def test_other_articles_on_standard_input_are_noticed(label, monkeypatch, content):
    give(monkeypatch, rows(*range(40)))
    label("rows.jsonl", "-", commits=4)
    give(monkeypatch, content)
    error = refused(label, "rows.jsonl", "-")
    assert (error.where, error.what) == ("-", "is not what it was when the batch began")


def test_nothing_is_left_of_a_batch_that_is_finished(label):
    label("rows.csv", commits=2)
    label("rows.csv")
    assert sorted(os.listdir()) == ["news", "rows.csv", "rows.csv.rejected.jsonl"]


def test_nothing_is_left_of_a_batch_that_did_nothing(bundle):
    Path("lunch").mkdir()
    with pytest.raises(InputError, match="is an empty folder"):
        predict(["news", "lunch"], Path("rows.csv"), bundle)
    assert sorted(os.listdir()) == ["lunch", "news"]


def test_the_earlier_output_stays_until_the_new_one_is_whole(label):
    Path("rows.csv").write_text("yesterday")
    label("rows.csv", commits=2)
    assert Path("rows.csv").read_text() == "yesterday"


def test_an_output_among_its_inputs_is_no_input(label, whole):
    expected = whole("rows.jsonl")
    label("news/rows.jsonl")
    label("news/rows.jsonl")
    assert written_by("news/rows.jsonl") == expected


@outputs
def test_a_crash_while_it_was_finished_is_mended(label, whole, output, monkeypatch):
    def crash(self, rejected, dropped, *, has_rows):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.prediction.Journal.finish", crash)
        label(output)
    label(output)
    assert written_by(output) == whole(output)


def test_what_was_written_beyond_the_last_commit_does_not_count(label, whole):
    label("rows.jsonl", commits=3)
    for name in ("rows", "rejects", "dropped", "ids"):
        with Path(".rows.jsonl.partial", name).open("ab") as stream:
            stream.write(b'{"half": "a ro')
    label("rows.jsonl")
    assert written_by("rows.jsonl") == whole("rows.jsonl")


# Another batch


def changed_input():
    with Path("news/b.txt").open("a") as stream:
        stream.write(" Dessert.")


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (changed_input, {}, "with other inputs, or they have changed since"),
        (lambda: Path("news/z.txt").write_text("Soup."), {}, "with other inputs, or they have changed since"),
        (lambda: None, {"unit": "sentence"}, "with another --unit"),
        (lambda: None, {"abstain": True}, "with the other setting of --abstain"),
    ],
)
def test_another_batch_does_not_go_on(label, change, options, words):
    label("rows.csv", commits=2)
    change()
    error = refused(label, "rows.csv", **options)
    assert (error.where, error.what) == ("rows.csv", f"an unfinished batch was begun {words}")


def test_a_batch_that_abstains_does_not_go_on_without(label):
    label("rows.csv", commits=2, abstain=True)
    assert "was begun with the other setting of --abstain" in refused(label, "rows.csv").what


@outputs
def test_a_batch_that_abstains_goes_on_and_ends_with_the_same_bytes(label, whole, output):
    label(output, commits=3, abstain=True)
    done = label(output, abstain=True)
    assert done.resumed == 3 * CHUNK and done.labels["uncertain"] > 0
    assert written_by(output) == whole(output, abstain=True)


def test_another_model_does_not_go_on(label, bundle):
    label("rows.csv", commits=2)
    other = replace(bundle, manifest=bundle.manifest.model_copy(update={"checksum": "another"}))
    with pytest.raises(InputError, match="was begun with another model"):
        predict(["news"], Path("rows.csv"), other)


def test_other_code_does_not_go_on(label, monkeypatch):
    label("rows.csv", commits=2)
    monkeypatch.setattr("pipeline.data.digest.version", lambda library: "0")
    assert "was begun by another version of this program or its libraries" in refused(label, "rows.csv").what


def test_a_refusal_costs_nothing_of_what_was_done(label):
    label("rows.csv", commits=2)
    refused(label, "rows.csv", unit="sentence")
    assert label("rows.csv").resumed == 2 * CHUNK


def test_a_restart_begins_anew(label, whole):
    label("rows.csv", commits=2, unit="sentence")
    done = label("rows.csv", restart=True)
    assert done.resumed == 0 and written_by("rows.csv") == whole("rows.csv")


@pytest.mark.parametrize("content", ["", "soup", "[]", '{"lengths": {}}'])
def test_a_state_that_is_none_is_named(label, content):
    label("rows.csv", commits=2)
    Path(".rows.csv.partial/state").write_text(content)
    assert "is no state of an unfinished batch" in refused(label, "rows.csv").what


def test_rows_that_went_missing_are_noticed(label):
    label("rows.csv", commits=2)
    os.truncate(".rows.csv.partial/rows", 100)
    assert "is shorter than what was written to it" in refused(label, "rows.csv").what


def test_two_processes_do_not_write_one_output(label, bundle):
    def meanwhile(done):
        error = refused(label, "rows.csv")
        assert (error.where, error.what) == ("rows.csv", "another process is writing it")
        raise Stop

    with pytest.raises(Stop):
        predict(["news"], Path("rows.csv"), bundle, on_progress=meanwhile)


# Killed

LIVES = """
import os, random, signal, sys, time
from pathlib import Path
from pipeline import prediction
from pipeline.bundle import load_bundle

model, output, chunk = sys.argv[1:]
prediction.CHUNK = int(chunk)
bundle = load_bundle(Path(model))

def live():
    prediction.predict(["news"], Path(output), bundle)

begin = time.perf_counter()
live()
whole = time.perf_counter() - begin
draw, killed = random.Random(38), 0
while killed < 7:
    child = os.fork()
    if child == 0:
        live()
        os._exit(0)
    time.sleep(draw.uniform(0, whole / 4))
    os.kill(child, signal.SIGKILL)
    killed += os.waitpid(child, 0)[1] == signal.SIGKILL
    if not Path(f".{output}.partial/state").exists():
        Path(output).unlink(missing_ok=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@outputs
def test_a_batch_killed_at_random_moments_ends_with_the_same_bytes(label, whole, champion, output):
    words = [sys.executable, "-c", LIVES, str(champion), output, str(CHUNK)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=250)
    assert (done.returncode, done.stderr) == (0, "")
    label(output)
    assert written_by(output) == whole(output)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_with_one_line_and_the_same_command_goes_on(label, whole, champion, monkeypatch, number, code):
    monkeypatch.setattr(prediction, "CHUNK", 2048)
    content = rows(*range(400))
    command = [sys.executable, "-m", "pipeline", "predict", "-", "-o", "rows.csv", "-m", champion]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(content[: len(content) // 3 * 2].encode())
        process.stdin.flush()
        wait_for(Path(".rows.csv.partial/state"))
        process.send_signal(number)
        process.wait(timeout=100)
        last = process.stderr.read().decode().splitlines()[-1]
    assert (process.returncode, last) == (code, "stance: stopped; the same command goes on where rows.csv was stopped")
    give(monkeypatch, content)
    done = label("rows.csv", "-")
    give(monkeypatch, content)
    assert done.resumed == 2048 and written_by("rows.csv") == whole("rows.csv", "-")


def wait_for(path):
    end = time.monotonic() + 100
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


# Places that cannot be written


def test_a_full_disk_is_one_line_and_costs_nothing(label, whole):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    try:
        error = refused(label, "rows.jsonl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (error.where, error.what) == ("rows.jsonl", "File too large")
    assert error.then == "then the same command goes on from there"
    assert label("rows.jsonl").resumed > 0
    assert written_by("rows.jsonl") == whole("rows.jsonl")


@pytest.fixture
def unprivileged(monkeypatch):
    """Be nobody for a while, as no mode keeps root out; what is imported late is imported before."""
    list(read_articles(["news"]))
    cut(menu(1))
    if os.geteuid():
        yield
        return
    # Others may not enter the folders of pytest.
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree("news", Path(folder, "news"))
        monkeypatch.chdir(folder)
        for path in (Path(folder), *Path(folder).rglob("*")):
            os.chown(path, 65534, 65534)
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
            monkeypatch.undo()


def test_a_folder_that_is_read_only_is_refused(label, unprivileged):
    Path("shelf").mkdir(mode=0o555)
    error = refused(label, "shelf/rows.csv")
    assert (error.where, error.what) == ("shelf/rows.csv", "Permission denied")


def test_files_and_folders_that_may_not_be_read_are_rejects(label, unprivileged):
    os.chmod("news/b.txt", 0)
    os.chmod("news/below", 0)
    label("rows.jsonl")
    os.chmod("news/below", 0o755)
    found = {row["where"]: row["why"] for row in map(json.loads, written_by("rows.jsonl")[1].splitlines())}
    assert found["news/b.txt"] == found["news/below"] == "Permission denied"


def test_an_input_behind_a_closed_door_is_one_line(label, unprivileged):
    os.chmod("news/below", 0)
    error = refused(label, "rows.jsonl", "news/below/d.csv")
    os.chmod("news/below", 0o755)
    assert (error.where, error.what) == ("news/below/d.csv", "Permission denied")


def test_an_input_that_is_a_link_to_itself_is_one_line(label):
    Path("echo.txt").symlink_to("echo.txt")
    error = refused(label, "rows.jsonl", "echo.txt")
    assert (error.where, error.what) == ("echo.txt", "no such file or folder")


# Reading ahead


def test_reading_keeps_a_few_chunks_ahead_and_no_more():
    made = []

    def count():
        for number in range(1000):
            made.append(number)
            yield number

    with read_ahead(count(), most=2) as numbers:
        next(numbers)
        time.sleep(0.3)
        assert 2 <= len(made) <= 4


def test_reading_happens_while_the_reader_is_not_asked():
    made = []
    with read_ahead(iter(lambda: made.append(1) or len(made), 3), most=5) as numbers:
        time.sleep(0.2)
        assert len(made) == 3 and list(numbers) == [1, 2]


def test_an_error_of_the_reading_is_raised_where_items_are_taken():
    def burn():
        yield 1
        raise ValueError("the rice is burnt")

    with read_ahead(burn()) as numbers, pytest.raises(ValueError, match="burnt"):
        list(numbers)


def test_identical_sentences_are_scored_once(label, bundle, monkeypatch):
    scored = []
    score = bundle.classifier.decision_function
    monkeypatch.setattr(bundle.classifier, "decision_function", lambda texts: scored.extend(texts) or score(texts))
    monkeypatch.setattr(prediction, "CHUNK", 10_000)
    label("rows.jsonl")
    assert 0 < len(scored) == len(set(scored)) < 9 * 122


def test_parquet_holds_a_row_group_a_chunk(label):
    label("rows.parquet")
    assert parquet.ParquetFile("rows.parquet").metadata.num_row_groups == -(-9 * 122 // CHUNK)
