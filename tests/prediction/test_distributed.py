"""What surrounds Ray, and what its workers do, without Ray; with it: test_cluster.py."""

import json
import os
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from refusals import refused

from pipeline.bundle import load_bundle, write_bundle
from pipeline.cli.main import main
from pipeline.config import TopicWords
from pipeline.data.articles import find_sources
from pipeline.prediction import Summary, distributed, needs_of, predict
from pipeline.prediction.reading import Needs
from pipeline.prediction.workers import Scorer, describe, read_ids, read_notes, read_sentences

SOUP = "Sanctions must bite. Talks are soup. It rained in Wonsan."


@pytest.fixture(autouse=True)
def kitchen(tmp_path, monkeypatch):
    """Stand in a folder with articles in two files, one of which both hold."""
    monkeypatch.chdir(tmp_path)
    Path("news").mkdir()
    write("news/a.jsonl", {"id": "a", "text": SOUP, "title": "Soup"}, {"id": "b", "text": "Talks are tea."})
    write("news/b.jsonl", {"id": "b", "text": "Sanctions are tea."}, {"id": "c"}, {"id": "d", "text": SOUP})


def write(name, *rows):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def files():
    """The inputs as Ray hands them to its workers, one at a time."""
    found = find_sources([Path("news").absolute()])
    return [pa.Table.from_pylist([describe(place, source)]) for place, source in enumerate(found)]


def by_hand(champion, bundle, first):
    """Do what Ray does, in one process."""
    folder, scorer = Path("notes"), Scorer(champion, bundle.digest)
    folder.mkdir(exist_ok=True)
    tables = [table for file in files() for table in read_sentences(file, "article", first, folder, needs_of(bundle))]
    rows = [row for table in tables for row in scorer(table).to_pylist()]
    return rows, list(read_notes(folder))


def refusal(*arguments, **options):
    return refused(distributed.predict, *arguments, **options)


# Workers


@pytest.mark.parametrize("known", [{}, {"language": "en", "topic_words": TopicWords(topic=("tea",))}])
def test_workers_make_the_rows_and_rejects_of_the_local_engine(champion, bundle, known):
    if known:
        write("news/c.jsonl", {"id": "e", "text": "제재를 유지해야 한다."})
        champion = Path("champion")
        write_bundle(champion, bundle.classifier, bundle.manifest.model_copy(update=known), "# The card\n")
        bundle = load_bundle(champion)
    write("news/d.jsonl", {"id": "f", "text": "Advertisement\n\nTalks are soup.", "date": "3/4/2019"})
    local = predict([Path("news").absolute()], Path("rows.parquet"), bundle, show_dropped=Path("dropped.jsonl"))
    rows, notes = by_hand(champion, bundle, {"b": 0})
    assert rows == parquet.read_table("rows.parquet").to_pylist()
    rejects = [json.dumps(vars(reject), ensure_ascii=False) for note in notes for reject in note.rejects]
    assert rejects == Path("rows.parquet.rejected.jsonl").read_text().splitlines() and len(rejects) == 2 + bool(known)
    dropped = [json.dumps(line) for note in notes for line in note.dropped]
    assert dropped == Path("dropped.jsonl").read_text().splitlines() and len(dropped) == 1
    summary = Summary()
    for note in notes:
        summary.add_notes(note)
    counts = ("rejects", "dropped", "undated", "unclear", "reasons")
    assert [getattr(summary, name) for name in counts] == [getattr(local, name) for name in counts]


def test_an_article_of_two_files_counts_in_the_first(champion, bundle):
    rows, _ = by_hand(champion, bundle, {"b": 0})
    assert [row["text"] for row in rows if row["article_id"] == "b"] == ["Talks are tea."]


def test_ids_are_told_with_the_place_of_their_file():
    found = [row for file in files() for table in read_ids(file, "article", Needs()) for row in table.to_pylist()]
    assert [(row["id"], row["place"]) for row in found] == [("a", 0), ("b", 0), ("b", 1), ("d", 1)]


def test_a_worker_that_does_it_again_changes_nothing(champion, bundle):
    assert by_hand(champion, bundle, {"b": 0}) == by_hand(champion, bundle, {"b": 0})


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_file_name_that_is_no_utf8_reaches_the_workers(champion, bundle):
    with open(b"news/soup-\xff.txt", "w") as stream:
        stream.write("Sanctions must bite.")
    _, notes = by_hand(champion, bundle, {"b": 0})
    assert os.fsencode(notes[-1].rejects[-1].where).endswith(b"news/soup-\xff.txt")


def test_a_worker_refuses_a_model_that_was_replaced_meanwhile(champion):
    with pytest.raises(OSError, match="has changed since the batch began"):
        Scorer(champion, "yesterday")


# What is refused


@pytest.mark.parametrize("output", ["rows.parquet", "rows.jsonl", "rows.csv"])
def test_an_output_that_names_a_file_is_refused(champion, output):
    assert refusal(["news"], Path(output), champion).what == "names a file"


def test_standard_input_is_refused(champion):
    error = refusal(["-"], Path("rows"), champion)
    assert (error.where, error.what) == ("-", "many machines cannot read standard input")


@pytest.mark.parametrize(
    ("output", "dropped", "option"),
    [("news/rows", None, "output"), ("news", None, "output"), ("r", "news/d", "show-dropped")],
)
def test_an_output_inside_an_input_is_refused(champion, output, dropped, option):
    error = refusal(["news"], Path(output), champion, show_dropped=dropped and Path(dropped))
    assert (error.what, error.then) == ("lies in an input", f"choose another --{option}")


@pytest.mark.parametrize("dropped", ["rows", "rows/dropped.jsonl"])
def test_dropped_lines_inside_the_output_are_refused(champion, dropped):
    error = refusal(["news"], Path("rows"), champion, show_dropped=Path(dropped))
    assert (error.where, error.what, error.then) == (dropped, "lies in the output", "choose another --show-dropped")


def test_an_output_that_is_there_is_refused(champion):
    Path("rows").mkdir()
    error = refusal(["news"], Path("rows"), champion)
    assert (error.what, error.then) == ("is there already", "--restart replaces it")


def test_a_restart_replaces_nothing_but_rows(champion):
    Path("photos").mkdir()
    Path("photos/lunch.png").write_bytes(b"soup")
    assert refusal(["news"], Path("photos"), champion, restart=True).what == "holds more than rows"
    assert Path("photos/lunch.png").read_bytes() == b"soup"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "soup", "127.0.0.1:99999999"])
def test_an_address_that_nobody_answers_is_one_line(champion, address):
    error = refusal(["news"], Path("rows"), champion, address=address)
    assert error.where == f"--ray-address {address}" and error.what.startswith("cannot be reached (")
    assert error.expected == "HOST:PORT of the head of a cluster, or auto"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--engine", "ray", "--ray-address", "soup"], "stance: --ray-address soup: cannot be reached"),
        (["--ray-address", "auto"], "stance: --ray-address: is for --engine ray"),
    ],
)
def test_the_command_ends_with_one_line_and_code_2(champion, monkeypatch, capsys, words, line):
    monkeypatch.setattr(sys, "argv", ["stance", "predict", "news", "-o", "rows", "-m", str(champion), *words])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err
    assert ended.value.code == 2 and told.startswith(line) and told.count("\n") == 1
    assert os.listdir() == ["news"]
