"""Sentences of texts that the repository may not hold, found and checked in files made here."""

import hashlib
import json
import shutil

import pytest
from conftest import ROOT

from pipeline.data import corpora, external
from pipeline.data.dataset import read_corpora
from pipeline.errors import InputError

LABELS = ("pro-sanctions", "pro-dialogue", "neutral")
PAGE = "<h1>Remarks</h1>\n<p>The envoy said: talk &amp; listen.  Sanctions can wait.</p>"
ARTICLE = json.dumps({"content_original": "The bill passed.\n\nIts sponsor wants a tighter squeeze on Pyongyang."})
FILES = {"a/remarks.md": PAGE.encode(), "b/article.json": ARTICLE.encode(), "c/plain.txt": b"Nothing to see here."}


def label(path, sentence, text, **changes):
    start = text.index(sentence)
    row = {"id": hashlib.sha1(sentence.encode()).hexdigest()[:8], "article": f"doc:{path}", "source": "news"}
    row |= {"outlet": "The Daily Wire Cutter", "repo": "owner/name", "commit": "c0ffee", "path": path}
    row |= {"start": start, "length": len(sentence), "sha1": hashlib.sha1(sentence.encode()).hexdigest()}
    return row | {"label": "neutral", "codebook": 3} | changes


TALK = label("a/remarks.md", "The envoy said: talk & listen.", external.normalize(PAGE, "x.md"))
BILL = label(
    "b/article.json", "Its sponsor wants a tighter squeeze on Pyongyang.", external.normalize(ARTICLE, "x.json")
)


def silent(share, words):
    pass


def test_a_json_article_is_its_field_with_single_spaces():
    assert external.normalize(ARTICLE, "x.json") == "The bill passed. Its sponsor wants a tighter squeeze on Pyongyang."


def test_a_markdown_page_has_a_space_for_each_tag_and_no_entities():
    assert external.normalize(PAGE, "x.md") == "Remarks The envoy said: talk & listen. Sanctions can wait."
    assert external.normalize("<p>Talk.</p><p>Then &nbsp;eat.</p>", "x.md") == "Talk. Then eat."


def test_plain_text_has_single_spaces_and_none_at_the_ends():
    assert external.normalize("\n Talk.\r\n\u2028 <b>Eat</b>. \n", "x.txt") == "Talk. <b>Eat</b>."


@pytest.fixture
def read(tmp_path):
    """Read the files from a clone."""
    for path, content in FILES.items():
        file = tmp_path / "clones" / "owner" / "name" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return corpora.clones(tmp_path / "clones")


def test_sentences_are_found_and_checked(read):
    found = corpora.fetch_texts([TALK, BILL], read, silent)
    assert [row["text"] for row in found.rows] == [
        "The envoy said: talk & listen.",
        "Its sponsor wants a tighter squeeze on Pyongyang.",
    ]
    assert not found.missing and not found.vanished and not found.failed


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sha1": "0" * 40}, "sha1 does not match"),
        ({"start": 10_000}, "locator outside the file"),
        ({"path": "c/plain.json"}, "file cannot be had"),
        ({"path": "b/article.json", "length": 7}, "sha1 does not match"),
    ],
)
def test_nothing_wrong_is_ever_taken(read, changes, why):
    found = corpora.fetch_texts([TALK | changes], read, silent)
    assert not found.rows
    assert found.missing == {why: 1}


def test_a_file_in_another_form_is_counted(read, tmp_path):
    (tmp_path / "clones/owner/name/b/article.json").write_text('{"content": "renamed"}')
    assert corpora.fetch_texts([BILL], read, silent).missing == {"file in another form": 1}


def test_local_clones_serve_as_well(tmp_path):
    place = tmp_path / "owner" / "name" / "a"
    place.mkdir(parents=True)
    (place / "remarks.md").write_text(PAGE, encoding="utf-8")
    assert len(corpora.fetch_texts([TALK], corpora.clones(tmp_path), silent).rows) == 1


def test_tables_and_clones_are_taken_together(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second" / "owner" / "name" / "a"
    for folder in (first, second):
        folder.mkdir(parents=True)
    (second / "remarks.md").write_text(PAGE)
    held = table(tmp_path, {"id": BILL["id"], "text": "Its sponsor wants a tighter squeeze on Pyongyang."})
    found = corpora.collect_texts([first, held, tmp_path / "second"], [TALK, BILL], LABELS, silent)
    assert {row["id"] for row in found.rows} == {TALK["id"], BILL["id"]} and not found.missing


def test_a_source_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="lunch: no such file or folder; expected a folder of clones, or a table"):
        corpora.collect_texts([tmp_path / "lunch"], [TALK], LABELS, silent)


def test_a_path_cannot_lead_out_of_the_clones(tmp_path):
    (tmp_path / "secret.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "clones").mkdir()
    shutil.copy(tmp_path / "secret.md", tmp_path / "clones" / "inside.md")
    found = [
        corpora.fetch_texts([TALK | {"path": path}], corpora.clones(tmp_path / "clones"), silent)
        for path in ("inside.md", "../secret.md", str(tmp_path / "secret.md"))
    ]
    assert [len(texts.rows) for texts in found] == [1, 0, 0]


def table(tmp_path, *rows):
    file = tmp_path / "table.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_a_table_gives_its_sentences_by_id_under_our_label(tmp_path):
    row = {"id": TALK["id"], "text": "The envoy said: talk & listen.", "label": "pro-sanctions"}
    found = corpora.load_texts([table(tmp_path, row)], [TALK], LABELS)
    assert found.rows[0]["label"] == "neutral"


def test_a_table_of_whole_articles_gives_the_sentences_at_their_places(tmp_path):
    row = {"id": BILL["article"], "text": json.loads(ARTICLE)["content_original"]}
    found = corpora.load_texts([table(tmp_path, row)], [BILL], LABELS)
    assert found.rows[0]["text"] == "Its sponsor wants a tighter squeeze on Pyongyang."


def test_a_table_with_an_edited_sentence_leaves_it_out(tmp_path):
    row = {"id": TALK["id"], "text": "The envoy said: talk and listen."}
    found = corpora.load_texts([table(tmp_path, row)], [TALK], LABELS)
    assert not found.rows
    assert found.missing.total() == 1


def test_rows_without_a_locator_keep_their_own_label(tmp_path):
    row = {"id": "kcna:1", "article": "kcna", "source": "kcna", "text": "Our will is iron.", "label": "neutral"}
    found = corpora.load_texts([table(tmp_path, row)], [TALK], LABELS)
    assert [row["id"] for row in found.rows] == ["kcna:1"]


def test_the_cache_carries_the_part_of_each_document(tmp_path):
    (tmp_path / "split.csv").write_text("article,split\ndoc,test\n")
    found = external.FetchedTexts(rows=[{"id": "x", "article": "doc", "text": "t", "label": "neutral", "source": "un"}])
    corpora.write_corpora(found, tmp_path, tmp_path / "deep" / "corpora.jsonl")
    assert json.loads((tmp_path / "deep" / "corpora.jsonl").read_text())["split"] == "test"


def test_broken_label_rows_are_listed_by_line(tmp_path):
    (tmp_path / "news.jsonl").write_text('{"id": "a"}\n' + json.dumps(TALK | {"label": "hawkish"}) + "\n")
    with pytest.raises(InputError, match=r"news.jsonl:1: no article.*\n.*news.jsonl:2: unknown label"):
        external.read_external(tmp_path, LABELS)


def test_the_labels_in_the_repository_are_sound():
    folder = ROOT / "labels" / "external"
    rows, split = external.read_external(folder, LABELS), external.read_split(folder)
    assert len(rows) == 16_870
    assert {split[row["article"]] for row in rows if row["id"].startswith("more:")} == {"train"}
    assert all(split[row["article"]] in ("train", "validation", "test") for row in rows)
    assert not any("text" in row for row in rows)


def test_the_real_files_give_nearly_all_of_their_sentences(shared, stance, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    output = tmp_path / "corpora.jsonl"
    code, out, err = stance("corpora", "--from", shared / "corpora" / "sources", "--output", output)
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    wanted = {row["id"]: row for row in external.read_external(ROOT / "labels" / "external", LABELS)}
    assert code == 0 and "missing: " not in err
    assert len(wanted) - 20 <= len(rows) < len(wanted)
    assert all(hashlib.sha1(row["text"].encode()).hexdigest() == wanted[row["id"]]["sha1"] for row in rows)


def test_whole_articles_are_a_part_of_their_own_unless_they_are_trained_on(tmp_path):
    rows = [
        {"id": n, "text": f"Goose {n} stood still.", "label": "neutral", "source": source, "split": split}
        for n, (source, split) in enumerate(
            [("whole", "test"), ("whole", "train"), ("whole", "validation"), ("un", "test")]
        )
    ]
    file = tmp_path / "corpora.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    parts = [row.split for row in read_corpora(file, LABELS)]
    assert parts == ["full-article-test", "train", "full-article-validation", "test"]
