import csv
import dataclasses
import io
import json
import os
import sys
import zipfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from conftest import LABEL_NAMES
from pyarrow import parquet
from refusals import refused

from pipeline import prediction
from pipeline.config import probability_column
from pipeline.data.sentences import cut
from pipeline.data.tables import read_rows
from pipeline.prediction import Summary, forms, predict
from pipeline.scoring.abstention import Abstention
from pipeline.scoring.decision import DecisionRule

COLUMNS = [
    *("article_id", "sentence_index", "start", "end", "text", "label", "confidence"),
    *("p_pro_sanctions", "p_pro_dialogue", "p_neutral"),
    *("is_title", "title", "date", "outlet"),
]
HEADLINE = "Sanctions must bite. Talks are soup."
NEWS = [
    {"id": "b", "text": HEADLINE, "title": HEADLINE, "outlet": "The Daily Parley"},
    {"id": "a", "text": "It rained in Wonsan.\nNobody sanctioned the rain.", "date": "2019-02-28"},
]
NASTY = (
    'He said: "No relief, ever", and left;\r\n=cmd("|calc")\t\\n <script>alert("talks")</script>, '
    "'tis\rcold; +38 @Panmunjom -- 평양 🍲\u2028soup"
)


@pytest.fixture(autouse=True)
def stand_in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name, *rows):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


@pytest.fixture
def label(bundle):
    """Label rows or files, and return what was written, every value as it was stored."""

    def labelled(*inputs, output="rows.jsonl", **options):
        inputs = [
            write(f"news-{n}.jsonl", entry) if isinstance(entry, dict) else entry for n, entry in enumerate(inputs)
        ]
        predict(inputs, Path(output), bundle, **options)
        return read(output)

    return labelled


def read(output):
    if output.endswith((".parquet", ".xlsx")):
        return [row.fields for row in read_rows(Path(output))]
    with open(output, encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream)) if output.endswith(".csv") else [json.loads(line) for line in stream]


def rejects(output="rows.jsonl"):
    return read(f"{output}.rejected.jsonl")


def refusal(*arguments, **options):
    return refused(predict, *arguments, **options)


# Rows


def test_there_is_a_row_for_each_sentence_in_the_order_of_the_input(label):
    rows = label(write("news.jsonl", *NEWS))
    assert [(row["article_id"], row["sentence_index"]) for row in rows] == [("b", 0), ("b", 1), ("a", 0), ("a", 1)]


def test_inputs_are_labelled_in_the_order_given(label):
    assert [row["article_id"] for row in label(*NEWS[::-1])] == ["a", "a", "b", "b"]


def test_spans_slice_back_to_the_sentence(label):
    texts = {row["id"]: row["text"] for row in NEWS}
    rows = label(*NEWS)
    assert len(rows) == 4 and all(texts[row["article_id"]][row["start"] : row["end"]] == row["text"] for row in rows)


def test_rows_are_the_sentences_that_cutting_finds(label):
    assert [row["text"] for row in label(NEWS[0])] == [sentence.text for sentence in cut(NEWS[0]["text"])]


def test_probabilities_of_a_row_add_up_to_one(label):
    assert [sum(row[probability_column(name)] for name in LABEL_NAMES) for row in label(*NEWS)] == pytest.approx(
        [1] * 4
    )


def test_the_label_is_the_most_likely_one_and_its_probability_the_confidence(label):
    rows = label(*NEWS)
    assert len(rows) == 4
    for row in rows:
        assert row["confidence"] == row[probability_column(row["label"])] == max(row[name] for name in COLUMNS[7:10])


def test_a_rule_of_the_model_decides_and_the_confidence_is_that_of_its_label(bundle):
    eager = bundle.manifest.model_copy(update={"decision": DecisionRule((3.0, 0.0, 0.0))})
    predict([write("news.jsonl", *NEWS)], Path("rows.jsonl"), replace(bundle, manifest=eager))
    rows = read("rows.jsonl")
    given = np.array([[row[probability_column(name)] for name in LABEL_NAMES] for row in rows])
    assert [row["label"] for row in rows] == [LABEL_NAMES[i] for i in eager.decision.decide(given)]
    assert all(row["confidence"] == row[probability_column(row["label"])] for row in rows)
    assert (eager.decision.decide(given) != given.argmax(1)).any()


def test_probabilities_are_those_of_the_model(label, bundle):
    row = label(NEWS[0])[0]
    assert [row[name] for name in COLUMNS[7:10]] == bundle.predict_proba([row["text"]])[0].tolist()


def test_a_probability_column_is_a_word():
    assert probability_column("pro-sanctions") == "p_pro_sanctions"


def test_title_date_and_outlet_stand_where_they_are_known(label):
    first, *_, last = label(*NEWS)
    assert (first["title"], first["outlet"], "date" in first) == (HEADLINE, "The Daily Parley", False)
    assert (last["date"], "title" in last) == ("2019-02-28", False)


def test_a_row_is_a_sentence_where_the_user_says_so(label):
    text = "Sanctions must bite. Talks are soup."
    (row,) = label({"id": 38, "text": text}, unit="sentence")
    assert (row["article_id"], row["sentence_index"], row["start"], row["end"]) == ("38", 0, 0, len(text))


def test_a_sentence_of_the_user_is_not_cleaned(label):
    assert label({"id": "a", "text": "Advertisement"}, unit="sentence")[0]["text"] == "Advertisement"


def test_a_dash_reads_standard_input(label, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(NEWS[0]).encode())))
    assert [row["article_id"] for row in label("-")] == ["b", "b"]


def test_chunks_change_no_row(label, monkeypatch):
    whole = label(*NEWS, output="whole.jsonl")
    monkeypatch.setattr(prediction, "CHUNK", 3)
    in_chunks = label(*NEWS, output="chunks.jsonl")
    assert [row["text"] for row in in_chunks] == [row["text"] for row in whole]
    assert [row["confidence"] for row in in_chunks] == pytest.approx([row["confidence"] for row in whole])


@pytest.mark.parametrize("output", ["rows.jsonl", "rows.csv", "rows.xlsx", "rows.parquet"])
def test_an_input_without_a_row_leaves_the_output_as_it_was(bundle, output):
    Path(output).write_text("yesterday")
    done = predict([write("news.jsonl")], Path(output), bundle)
    assert Path(output).read_text() == "yesterday"
    assert (done.sentences, done.reasons) == (0, ["news.jsonl: holds no row; expected a column text"])
    assert sorted(os.listdir()) == ["news.jsonl", output, f"{output}.rejected.jsonl"]


# Titles, dates, lines that are left out


@pytest.mark.parametrize("output", ["rows.jsonl", "rows.csv", "rows.xlsx", "rows.parquet"])
def test_a_title_is_a_row_and_marked(label, output):
    rows = label({"id": "a", "text": HEADLINE, "title": "Soup"}, output=output)
    assert [(row["text"], str(row["is_title"]).lower()) for row in rows] == [
        ("Soup", "true"),
        ("Sanctions must bite.", "false"),
        ("Talks are soup.", "false"),
    ]


def test_titles_are_the_same_in_every_format(label):
    prose = (
        "Nobody agreed on sanctions, and the cook was sad. Dialogue goes on after dessert, said the host of the day."
    )
    Path("a.txt").write_text(f"Envoys agree on soup\n\n{prose}\n")
    Path("b.md").write_text(f"# Envoys agree on *soup*\n\n{prose}\n")
    Path("c.html").write_text(
        f"<html><head><title>Envoys agree on soup</title></head><body><article><h1>Envoys agree on soup</h1>"
        f"<p>{prose}</p></article></body></html>"
    )
    table = write("d.jsonl", {"id": "d", "text": prose, "title": "Envoys agree on soup"})
    whole = write("e.jsonl", {"id": "e", "text": f"Envoys agree on soup\n{prose}"})
    found = {}
    for row in label("a.txt", "b.md", "c.html", table, whole):
        found.setdefault(row["article_id"], []).append((row["text"], row["is_title"], row["title"]))
    assert len(found) == 5 and all(rows == found["a.txt"] for rows in found.values())
    assert [row[:2] for row in found["a.txt"]][:1] == [("Envoys agree on soup", True)] and len(found["a.txt"]) == 3


def test_what_people_have_is_labelled(label):
    book = openpyxl.Workbook()
    for row in (["Text", "Date"], ["Talks are soup.", datetime(2019, 2, 28)], ["Sanctions must bite.", "3/4/2019"]):
        book.active.append(row)
    book.save("office.xlsx")
    with zipfile.ZipFile("office.docx", "w") as word:
        space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
        line = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"
        body = line.format("Envoys agree on soup") + line.format("Talks are soup.")
        word.writestr("word/document.xml", f'<w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>')
    Path("list.txt").write_text("They agreed:\n1. Stop all tests of missiles and of reactors.\n2. Talk\n3. Eat\n")
    Path("interview.txt").write_text("Q: Should sanctions go?\n\nA: Not now.\n\nQ: Should aid go?\n\nA: Not now.\n")
    page = f"<html><body><article><p>{HEADLINE}</p><p>Met on 3 May 2017.</p></article></body></html>"
    Path("undated.html").write_text(page)
    names = ["office.xlsx", "office.docx", "list.txt", "interview.txt", "undated.html"]
    rows = label(*names)
    texts = [[row["text"] for row in rows if row["article_id"] == name] for name in names[1:]]
    assert [(row["text"], row.get("date")) for row in rows[:2]] == [
        ("Talks are soup.", "2019-02-28"),
        ("Sanctions must bite.", None),
    ]
    assert texts[:3] == [
        ["Envoys agree on soup", "Talks are soup."],
        ["They agreed:", "1. Stop all tests of missiles and of reactors.", "2. Talk", "3. Eat"],
        ["Q: Should sanctions go?", "A: Not now.", "Q: Should aid go?", "A: Not now."],
    ]
    assert texts[3][:2] == ["Sanctions must bite.", "Talks are soup."] and "date" not in rows[-1]
    assert [row["text"] for row in rows if row["is_title"]] == ["Envoys agree on soup"]


def test_what_is_left_out_is_counted_and_listed_where_asked(bundle):
    text = "Advertisement\n\nSanctions must bite.\n\nThe cook. Photo: Ri Sol\n\n38\n\nTalks are soup."
    file = Path("lists/dropped.jsonl")
    done = predict([write("news.jsonl", {"id": "a", "text": text})], Path("rows.csv"), bundle, show_dropped=file)
    assert done.dropped == {"advertisement": 1, "caption": 1, "no words": 1} and done.sentences == 2
    lines = read(str(file))
    assert [(line["article_id"], line["kind"]) for line in lines] == [("a", kind) for kind in done.dropped]
    assert all(text[line["start"] : line["end"]] == line["text"] for line in lines)
    predict([write("plain.jsonl", NEWS[1])], Path("rows.csv"), bundle, show_dropped=file)
    assert not file.exists()


def test_dates_are_iso_or_empty_and_the_empty_ones_are_counted(bundle):
    dates = ["28 February 2019", "3/4/2019", "soon", None]
    rows = [{"id": f"{n}", "text": HEADLINE, "date": day} for n, day in enumerate(dates)]
    done = predict([write("news.jsonl", *rows)], Path("rows.jsonl"), bundle)
    assert [row.get("date") for row in read("rows.jsonl")][::2] == ["2019-02-28", None, None, None]
    assert (done.undated, done.unclear) == (2, ["3/4/2019", "soon"])


# Abstaining


def test_abstaining_marks_the_unsure_rows_and_keeps_every_number(label, bundle):
    rows = label(*NEWS, {"id": "c", "text": "Talks. Enforce sanctions, maximum pressure. Goose."})
    marked = label(*NEWS, {"id": "c", "text": "Talks. Enforce sanctions, maximum pressure. Goose."}, abstain=True)
    least = bundle.least_confidence()
    labels = [row["label"] if row["confidence"] >= least else "uncertain" for row in rows]
    assert {"uncertain"} < set(labels)
    assert marked == [row | {"label": label} for row, label in zip(rows, labels, strict=True)]


def test_the_summary_counts_the_uncertain(bundle):
    done = predict([write("news.jsonl", *NEWS)], Path("rows.jsonl"), bundle, abstain=True)
    labels = [row["label"] for row in read("rows.jsonl")]
    assert done.labels == {name: labels.count(name) for name in (*LABEL_NAMES, "uncertain")}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"abstention": Abstention(0.9, 41)}, str(Abstention(0.9, 41))),
        ({"label_names": ("uncertain", "sure")}, "'uncertain' is a label of this model"),
    ],
)
def test_a_model_that_cannot_abstain_is_one_line_before_any_work(bundle, change, what):
    other = replace(bundle, manifest=bundle.manifest.model_copy(update=change))
    error = refusal([write("news.jsonl", *NEWS)], Path("rows.csv"), other, abstain=True)
    assert (error.where, error.what) == ("--abstain", what) and os.listdir() == ["news.jsonl"]


# Files


@pytest.mark.parametrize("output", ["rows.csv", "rows.xlsx", "rows.parquet"])
def test_all_columns_are_there_in_order(label, output):
    assert list(label(*NEWS, output=output)[0]) == COLUMNS


def test_jsonl_has_the_columns_in_order(label):
    assert list(label(NEWS[0] | {"date": "2019"})[0]) == COLUMNS


def test_csv_says_what_jsonl_says(label):
    expected = [{name: row.get(name, "") for name in COLUMNS} for row in label(*NEWS)]
    expected = [{name: round(v, 4) if isinstance(v, float) else v for name, v in row.items()} for row in expected]
    rows = label(*NEWS, output="rows.csv")
    assert rows == [
        {name: str(v).lower() if v in (True, False) else str(v) for name, v in row.items()} for row in expected
    ]
    assert Path("rows.csv").read_bytes().startswith(b"\xef\xbb\xbfarticle_id,")
    assert max(len(row["p_neutral"]) for row in rows) == 6


def test_the_columns_of_a_csv_are_quoted_where_a_label_holds_a_comma_or_a_quote():
    columns = ["label", "p_pro,_mild", 'p_"honk"']
    content = forms.header("rows.csv", columns) + forms.encode([dict.fromkeys(columns, 0.5)], "rows.csv", columns)
    assert list(csv.reader(content.decode("utf-8-sig").splitlines())) == [columns, ["0.5"] * 3]


def test_a_workbook_says_what_jsonl_says_in_numbers_that_sort(label):
    expected = [{name: row.get(name) for name in COLUMNS} for row in label(*NEWS)]
    rows = label(*NEWS, output="rows.xlsx")
    assert rows == [{n: round(v, 4) if isinstance(v, float) else v for n, v in row.items()} for row in expected]
    sheet = openpyxl.load_workbook("rows.xlsx").active
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:N5")


def test_a_workbook_goes_on_in_another_sheet(label, monkeypatch):
    monkeypatch.setattr(forms, "MOST_ROWS", 3)
    assert [row["article_id"] for row in label(*NEWS, output="rows.xlsx")] == ["b", "b", "a", "a"]
    assert [sheet.max_row for sheet in openpyxl.load_workbook("rows.xlsx").worksheets] == [4, 2]


def test_no_cell_of_a_table_is_a_formula(label):
    article = {"id": "=cmd|' /C calc'!A0", "text": '=HYPERLINK("x") talks.', "title": "+38", "outlet": "@soup"}
    for row in label(article, output="rows.csv", unit="sentence"):
        assert [row[name] for name in ("article_id", "text", "title", "outlet")] == [f"'{v}" for v in article.values()]
    label(article, output="rows.xlsx", unit="sentence")
    assert {cell.data_type for row in openpyxl.load_workbook("rows.xlsx").active for cell in row} <= {"s", "n", "b"}
    (row,) = read_rows(Path("rows.csv"))
    assert [row.fields[name] for name in ("article_id", "text", "title", "outlet")] == list(article.values())


def test_parquet_says_what_jsonl_says(label):
    expected = [{name: row.get(name) for name in COLUMNS} for row in label(*NEWS)]
    assert label(*NEWS, output="rows.parquet") == expected


def test_parquet_keeps_numbers_as_numbers(label):
    label(*NEWS, output="rows.parquet")
    kinds = [str(kind) for kind in parquet.read_schema("rows.parquet").types]
    assert kinds == ["string", *["int64"] * 3, *["string"] * 2, *["double"] * 4, "bool", *["string"] * 3]


@pytest.mark.parametrize("output", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_a_nasty_text_comes_back_exactly(label, output):
    label({"id": "=1+1", "text": NASTY, "title": NASTY}, output=output, unit="sentence")
    (row,) = read_rows(Path(output))
    assert [row.fields[name] for name in ("article_id", "text", "title")] == ["=1+1", NASTY, NASTY]


@pytest.mark.parametrize("text", ["Soup\rand talks.", "Soup\nand talks.", "Soup\r\nand talks.", '"', ",", " soup "])
def test_each_character_that_csv_must_quote_comes_back(label, text):
    (row,) = label({"id": "a", "text": text}, output="rows.csv", unit="sentence")
    assert row["text"] == text


@pytest.mark.parametrize("output", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_spans_of_a_nasty_article_slice_back(label, output):
    label({"id": "a", "text": NASTY}, output=output)
    rows = [row.fields for row in read_rows(Path(output))]
    assert rows and all(NASTY[int(row["start"]) : int(row["end"])] == row["text"] for row in rows)


def test_folders_on_the_way_to_the_output_are_made(label):
    assert label(NEWS[0], output="deep/down/rows.jsonl")


def test_an_earlier_output_is_replaced(label):
    label(*NEWS)
    assert [row["article_id"] for row in label(NEWS[0])] == ["b", "b"]


# Rejects


def test_what_cannot_be_read_is_listed_and_the_rest_is_labelled(label):
    Path("news.jsonl").write_text("{soup\n" + json.dumps(NEWS[0]) + "\n")
    assert [row["article_id"] for row in label("news.jsonl")] == ["b", "b"]
    assert [row["where"] for row in rejects()] == ["news.jsonl:1"]


def test_a_reject_says_why(bundle):
    predict([write("news-0.jsonl", {"id": "a", "text": ""})], Path("rows.jsonl"), bundle)
    assert rejects() == [{"where": "news-0.jsonl:1", "why": "`text` is empty"}]


def test_a_second_article_of_the_same_id_is_a_reject(label):
    assert len(label(NEWS[0], NEWS[0] | {"text": "Soup."})) == 2
    assert rejects() == [{"where": "b", "why": "a second article with this id; expected unique ids"}]


def test_an_article_of_furniture_alone_is_a_reject(bundle):
    predict([write("news.jsonl", {"id": "a", "text": "Comments are closed."})], Path("rows.jsonl"), bundle)
    assert rejects() == [{"where": "a", "why": "the article holds no sentence"}]


def test_without_rejects_there_is_no_file_of_them(label):
    label(*NEWS)
    assert not Path("rows.jsonl.rejected.jsonl").exists()


def test_rejects_of_an_earlier_batch_are_cleared(label, bundle):
    predict([write("news-0.jsonl", {"id": "a", "text": ""})], Path("rows.jsonl"), bundle)
    label(*NEWS)
    assert not Path("rows.jsonl.rejected.jsonl").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_file_name_that_is_no_utf8_is_a_reject(label):
    Path("news").mkdir()
    with open(b"news/soup-\xff.txt", "w") as stream:
        stream.write("Sanctions must bite.")
    label("news", NEWS[0])
    assert os.fsencode(rejects()[0]["where"]) == b"news/soup-\xff.txt"


# Two stages


class Sure:
    """A first stage that is sure of soup, and far too sure."""

    def answer(self, texts):
        sure = np.array(["soup" in text for text in texts])
        return sure, np.tile([0.0, 0.0, 1.0], (int(sure.sum()), 1))


@pytest.fixture
def staged(bundle):
    return dataclasses.replace(bundle, first_stage=Sure())


@pytest.mark.parametrize("output", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_a_row_says_which_stage_answered(staged, output):
    predict([write("news.jsonl", *NEWS)], Path(output), staged)
    assert [row["stage"] for row in read(output)] == ["full", "first", "full", "full"]
    assert list(read(output)[0])[-1] == "stage"


def test_the_first_stage_speaks_for_its_own_rows_alone(staged, label):
    predict([write("news.jsonl", *NEWS)], Path("staged.jsonl"), staged)
    rows, plain = read("staged.jsonl"), label(*NEWS)
    assert rows[1]["confidence"] == 1.0
    assert [row["confidence"] for row in rows[2:]] == pytest.approx([row["confidence"] for row in plain[2:]])


def test_exact_lets_the_whole_model_score_every_sentence(staged, label):
    predict([write("news.jsonl", *NEWS)], Path("exact.jsonl"), staged, exact=True)
    assert read("exact.jsonl") == [row | {"stage": "full"} for row in label("news.jsonl")]


def test_a_batch_that_was_begun_exact_goes_on_exact(staged, monkeypatch):
    monkeypatch.setattr(prediction, "CHUNK", 2)

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict([write("news.jsonl", *NEWS)], Path("rows.csv"), staged, on_progress=stop, exact=True)
    error = refusal(["news.jsonl"], Path("rows.csv"), staged)
    assert error.what == "an unfinished batch was begun with --exact, or now is"


# The summary


def test_the_summary_counts_articles_sentences_and_rejects(bundle):
    done = predict([write("news.jsonl", *NEWS, {"id": "c"})], Path("rows.csv"), bundle)
    assert (done.articles, done.sentences, done.rejects) == (2, 4, 1)


def test_the_summary_counts_labels(bundle):
    done = predict([write("news.jsonl", *NEWS)], Path("rows.jsonl"), bundle)
    labels = [row["label"] for row in read("rows.jsonl")]
    assert done.labels == {name: labels.count(name) for name in LABEL_NAMES}


def test_the_summary_names_the_file_of_rejects(bundle):
    done = predict([write("news.jsonl", {"id": "c"})], Path("rows.csv"), bundle)
    assert done.rejected == Path("rows.csv.rejected.jsonl")


def test_progress_is_told_after_each_chunk(bundle, monkeypatch):
    monkeypatch.setattr(prediction, "CHUNK", 3)
    told = []
    predict(
        [write("news.jsonl", *NEWS)], Path("rows.csv"), bundle, on_progress=lambda done: told.append(done.sentences)
    )
    assert told == [3, 4]


def test_the_share_of_bytes_that_were_read_is_told(bundle, monkeypatch):
    monkeypatch.setattr(prediction, "CHUNK", 2)
    sources = [write(f"news-{n}.jsonl", {"id": f"{n}", "text": NEWS[0]["text"]}) for n in range(4)]
    told = []
    predict(sources, Path("rows.csv"), bundle, on_progress=lambda done: told.append(done.share))
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_of_standard_input_nobody_knows_the_share(bundle, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(NEWS[0]).encode())))
    told = []
    predict(["-"], Path("rows.csv"), bundle, on_progress=lambda done: told.append((done.share, done.left)))
    assert told == [(None, None)]


def test_the_rate_and_the_time_left_are_those_of_this_run():
    done = Summary(sentences=3000, resumed=1000, seconds=20.0, share=0.75)
    assert (done.rate, done.left) == (100.0, pytest.approx(10.0))


# What is refused


@pytest.mark.parametrize("output", ["rows.txt", "rows", "rows.xls"])
def test_an_output_of_an_unknown_kind_is_refused(bundle, output):
    error = refusal([write("news.jsonl", *NEWS)], Path(output), bundle)
    assert (error.where, error.what) == (output, "unknown kind of file")
    assert error.expected == ".jsonl, .csv, .xlsx, .parquet"


def test_an_input_that_is_not_there_is_named(bundle):
    error = refusal(["lunch.txt"], Path("rows.csv"), bundle)
    assert (error.where, error.what) == ("lunch.txt", "no such file or folder")


def test_an_output_below_a_file_is_refused(bundle):
    Path("soup").write_text("soup")
    error = refusal([write("news.jsonl", *NEWS)], Path("soup/rows.csv"), bundle)
    assert (error.where, error.what) == ("soup/rows.csv", "Not a directory")
    assert error.expected == "a place that can be written to"


@pytest.mark.parametrize("output", ["rows.csv", "rows.parquet"])
def test_an_output_that_is_a_folder_is_refused(bundle, output):
    Path(output).mkdir()
    error = refusal([write("news.jsonl", *NEWS)], Path(output), bundle)
    assert (error.where, error.what) == (output, "is a folder")


def test_an_output_over_its_own_input_is_refused(bundle):
    before = Path(write("news.jsonl", *NEWS)).read_bytes()
    error = refusal(["news.jsonl"], Path("../" + Path.cwd().name + "/news.jsonl"), bundle)
    assert (error.what, error.then) == ("is an input or output too", "choose another --output")
    assert Path("news.jsonl").read_bytes() == before


@pytest.mark.parametrize("dropped", ["news.jsonl", "rows.csv"])
def test_a_list_of_what_was_left_out_over_an_input_or_the_output_is_refused(bundle, dropped):
    write("news.jsonl", *NEWS)
    error = refusal(["news.jsonl"], Path("rows.csv"), bundle, show_dropped=Path(dropped))
    assert (error.where, error.then) == (dropped, "choose another --show-dropped")


@pytest.mark.parametrize("output", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_a_batch_that_breaks_off_leaves_nothing_behind(bundle, output):
    write("news.jsonl", *NEWS, {"id": "c"})
    refusal(["news.jsonl", "lunch.txt"], Path(output), bundle)
    assert os.listdir() == ["news.jsonl"]


def test_a_batch_that_breaks_off_leaves_the_earlier_output(label, bundle):
    before = label(*NEWS)
    refusal(["news-0.jsonl", "lunch.txt"], Path("rows.jsonl"), bundle)
    assert read("rows.jsonl") == before


def test_a_batch_that_is_stopped_shows_no_output(bundle):
    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict([write("news.jsonl", *NEWS)], Path("rows.csv"), bundle, on_progress=stop)
    assert sorted(os.listdir()) == [".rows.csv.partial", "news.jsonl"]
