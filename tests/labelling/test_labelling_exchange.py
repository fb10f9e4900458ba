import csv
import io
import json
import re
import zipfile

import openpyxl
import pytest
from conftest import LABEL_NAMES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.data.articles import Article
from pipeline.errors import InputError
from pipeline.labelling.exchange import read_batch, write_batch
from pipeline.labelling.rows import make_row

# What spreadsheets stumble over: a formula, leading zeros, quotes, a line break, a semicolon.
TEXT = '=HYPERLINK("x") “Talks; not tea,”\nhe said.'
ARTICLE = Article("007.10", TEXT, title="-1 degrees", date="2019-02-28", outlet="@parley")
ROW = make_row(ARTICLE, 0, len(TEXT), previous="'Quoted' before", sampling="random", guess="neutral", confidence=0.5)


def fields(file):
    return [row.fields for row in read_batch(file)]


def refusal(file):
    with pytest.raises(InputError) as caught:
        read_batch(file)
    return str(caught.value)


def error(file):
    with pytest.raises(InputError) as caught:
        read_batch(file)
    return caught.value


def essence(row):
    names = ("article_id", "previous", "text", "label", "title", "date", "outlet", "sampling")
    return {name: row.get(name, "") for name in names} | {"start": int(row["start"]), "end": int(row["end"])}


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "jsonl", "json"])
def test_a_batch_comes_back_as_it_went(tmp_path, suffix):
    write_batch(tmp_path / f"batch.{suffix}", [ROW], LABEL_NAMES)
    assert [essence(row) for row in fields(tmp_path / f"batch.{suffix}")] == [essence(ROW)]


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "jsonl", "json"])
def test_answers_come_back_in_every_format(tmp_path, suffix):
    row = ROW | {"label": "pro-dialogue", "note": "tea is not talks", "annotator": "ann"}
    write_batch(tmp_path / f"batch.{suffix}", [row], LABEL_NAMES)
    found = fields(tmp_path / f"batch.{suffix}")[0]
    assert [found[name] for name in ("label", "note", "annotator")] == ["pro-dialogue", "tea is not talks", "ann"]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives_a_csv(tmp_path, text):
    write_batch(tmp_path / "batch.csv", [ROW | {"text": text}], LABEL_NAMES)
    assert fields(tmp_path / "batch.csv")[0]["text"] == text


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"unknown kind of file; expected .csv, .xlsx, .jsonl, .json"):
        write_batch(tmp_path / "batch.docx", [ROW], LABEL_NAMES)


def test_a_missing_file_is_named(tmp_path):
    assert "batch.csv: no such file" in refusal(tmp_path / "batch.csv")


# Spreadsheets


def test_a_formula_in_an_article_is_no_formula_in_the_csv(tmp_path):
    write_batch(tmp_path / "batch.csv", [ROW], LABEL_NAMES)
    with (tmp_path / "batch.csv").open(encoding="utf-8-sig", newline="") as stream:
        row = next(csv.DictReader(stream))
    assert row["text"].startswith("'=") and row["title"].startswith("'-") and row["outlet"].startswith("'@")


@pytest.mark.parametrize("text", ["'=1", "''-1", "'quoted'"])
def test_what_has_an_apostrophe_already_comes_back_with_it(tmp_path, text):
    write_batch(tmp_path / "batch.csv", [ROW | {"text": text}], LABEL_NAMES)
    assert fields(tmp_path / "batch.csv")[0]["text"] == text


def test_a_spreadsheet_is_told_that_a_csv_is_utf8(tmp_path):
    write_batch(tmp_path / "batch.csv", [ROW], LABEL_NAMES)
    assert (tmp_path / "batch.csv").read_bytes().startswith(b"\xef\xbb\xbfarticle_id,")


def test_a_formula_in_an_article_is_text_in_the_workbook(tmp_path):
    write_batch(tmp_path / "batch.xlsx", [ROW], LABEL_NAMES)
    cells = {cell.value: cell for cell in openpyxl.load_workbook(tmp_path / "batch.xlsx").active[2]}
    # Formatted as text too, or a spreadsheet takes it for a number once somebody has touched it.
    assert {(cells[value].data_type, cells[value].number_format) for value in (TEXT, "007.10")} == {("s", "@")}


def test_the_workbook_has_a_drop_down_of_labels(tmp_path):
    write_batch(tmp_path / "batch.xlsx", [ROW, ROW], LABEL_NAMES)
    sheet = openpyxl.load_workbook(tmp_path / "batch.xlsx").active
    choices = sheet.data_validations.dataValidation[0]
    assert (choices.formula1, str(choices.sqref)) == ('"pro-sanctions,pro-dialogue,neutral"', "F2:F3")
    assert sheet["F1"].value == "label"
    assert choices.showErrorMessage and choices.error == "one of pro-sanctions, pro-dialogue, neutral"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json"])
def test_what_the_model_thinks_cannot_be_read_in_passing(tmp_path, suffix):
    write_batch(tmp_path / f"batch.{suffix}", [ROW], LABEL_NAMES)
    content = (tmp_path / f"batch.{suffix}").read_text(encoding="utf-8")
    assert "neutral" not in content and "0.5" not in content
    if suffix != "json":  # the terminal shows it to whoever asks
        (row,) = fields(tmp_path / f"batch.{suffix}")
        assert (row["guess"], row["confidence"]) == ("neutral", "0.5")


def _spoil(content, kind):
    """Return a workbook as a hostile or unlucky program leaves one."""
    if kind == "xml":
        with zipfile.ZipFile(io.BytesIO(content)) as book:
            parts = {name: book.read(name) for name in book.namelist()}
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w") as book:
            for name, part in parts.items():
                book.writestr(name, part[:40] if name == "xl/workbook.xml" else part)
        return whole.getvalue()
    spoilt = bytearray(content)
    for place in (match.start() for match in re.finditer(b"PK\x03\x04", content)):
        if kind == "encrypted":
            spoilt[place + 6] |= 1
        elif kind == "compression":
            spoilt[place + 8] = 99
        else:
            begin = place + 30 + content[place + 26] + content[place + 28]
            spoilt[begin : begin + 8] = b"\xff" * 8
    for place in (match.start() for match in re.finditer(b"PK\x01\x02", content)):
        if kind == "encrypted":
            spoilt[place + 8] |= 1
        elif kind == "compression":
            spoilt[place + 10] = 99
    return bytes(spoilt)


@pytest.mark.parametrize("kind", ["xml", "encrypted", "compression", "stream"])
def test_a_spoilt_workbook_is_one_line(tmp_path, kind):
    file = tmp_path / "batch.xlsx"
    write_batch(file, [ROW], LABEL_NAMES)
    file.write_bytes(_spoil(file.read_bytes(), kind))
    found = error(file)
    assert found.where == str(file) and found.what.startswith("is no workbook (") and len(str(found).splitlines()) == 1


def test_the_workbook_hides_what_the_model_thinks(tmp_path):
    write_batch(tmp_path / "batch.xlsx", [ROW], LABEL_NAMES)
    sheet = openpyxl.load_workbook(tmp_path / "batch.xlsx").active
    letter = next(cell.column_letter for cell in sheet[1] if cell.value == "guess")
    assert sheet.column_dimensions[letter].hidden


def test_a_workbook_takes_text_with_control_characters(tmp_path):
    write_batch(tmp_path / "batch.xlsx", [ROW | {"text": "Bell\x07 and escape\x1b."}], LABEL_NAMES)
    assert fields(tmp_path / "batch.xlsx")[0]["text"] == "Bell  and escape ."


def test_a_broken_workbook_is_refused(tmp_path):
    (tmp_path / "batch.xlsx").write_bytes(b"no zip")
    assert "is no workbook" in refusal(tmp_path / "batch.xlsx")


def packed(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as book:
        for name, text in files.items():
            book.writestr(name, text)
    return bytearray(content.getvalue())


def damaged(offset, value):
    """A workbook of whose files a byte of the header is another: how it is packed, or whether it is locked."""
    content = io.BytesIO()
    book = openpyxl.Workbook()
    book.save(content)
    changed = bytearray(content.getvalue())
    for mark, place in ((b"PK\x03\x04", offset), (b"PK\x01\x02", offset + 2)):
        for header in re.finditer(mark, content.getvalue()):
            changed[header.start() + place] = value
    return changed


@pytest.mark.parametrize(
    "content",
    [
        packed(**{"[Content_Types].xml": "<Types"}),
        packed(**{"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<x"}),
        packed(soup="soup"),
        damaged(8, 99),
        damaged(6, 1),
    ],
    ids=["types", "workbook", "no files", "packed in another way", "locked"],
)
def test_a_workbook_that_is_broken_anywhere_is_one_line(tmp_path, content):
    (tmp_path / "batch.xlsx").write_bytes(content)
    line = r"\S+batch\.xlsx: is no workbook \(.+\); save it as \.xlsx or \.csv again$"
    assert re.match(line, refusal(tmp_path / "batch.xlsx"))


@pytest.mark.parametrize(
    "annotation",
    [{"result": 5}, {"result": [{"type": "textarea", "value": {"text": 5}}]}, {"result": [{"value": {"choices": 1}}]}],
)
def test_a_task_in_another_form_is_named(tmp_path, annotation):
    (tmp_path / "batch.json").write_text(json.dumps([{"data": {"text": "Soup."}, "annotations": [annotation]}]))
    assert "batch.json:task 1: " in refusal(tmp_path / "batch.json")


def test_a_choice_that_is_json_without_end_is_one_line(tmp_path):
    task = [{"article_id": "a", "start": 0, "end": 5, "text": "Soup.", "annotation_id": 1, "label": "[" * 100_000}]
    (tmp_path / "batch.json").write_text(json.dumps(task))
    assert read_batch(tmp_path / "batch.json")[0].fields["label"].startswith("[[[")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_a_spreadsheet_saves_is_read(tmp_path, encoding, delimiter):
    names = ["article_id", "start", "end", "text", "label"]
    with (tmp_path / "batch.csv").open("w", encoding=encoding, newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([names, ["soup", 0, 11, "“Talk, now”", "neutral"]])
    assert fields(tmp_path / "batch.csv")[0]["text"] == "“Talk, now”"


def test_a_quote_that_is_never_closed_is_refused(tmp_path):
    (tmp_path / "batch.csv").write_text('article_id,start,end,text,label\nsoup,0,5,"Soup.,neutral\n')
    assert "the rest cannot be read" in refusal(tmp_path / "batch.csv")


def test_a_column_that_is_gone_is_named(tmp_path):
    (tmp_path / "batch.csv").write_text("article_id,start,text,label\nsoup,0,Soup.,neutral\n")
    assert "batch.csv:2: no end" in refusal(tmp_path / "batch.csv")


def test_a_row_with_another_number_of_columns_is_named(tmp_path):
    (tmp_path / "batch.csv").write_text("article_id,start,end,text,label\nsoup,0,5,Soup.,neutral\nsoup,0\n")
    assert "batch.csv:3: another number of columns" in refusal(tmp_path / "batch.csv")


def test_blank_rows_of_a_workbook_are_no_rows(tmp_path):
    book = openpyxl.Workbook()
    for row in (["article_id", "start", "end", "text", "label"], [None] * 5, ["soup", 0, 5, "Soup.", "neutral"]):
        book.active.append(row)
    book.active["G9"] = " "  # beside the table
    book.save(tmp_path / "batch.xlsx")
    assert [row.where for row in read_batch(tmp_path / "batch.xlsx")] == [f"{tmp_path / 'batch.xlsx'}:3"]


def test_blank_lines_of_a_spreadsheet_are_no_rows(tmp_path):
    (tmp_path / "batch.csv").write_text("article_id,start,end,text,label\nsoup,0,5,Soup.,neutral\n,,,,\n")
    assert len(fields(tmp_path / "batch.csv")) == 1


def test_a_column_that_is_there_twice_is_named(tmp_path):
    (tmp_path / "batch.csv").write_text("article_id,start,end,text,label,label\nsoup,0,5,Soup.,neutral,\n")
    assert "batch.csv:1: duplicate column `label`" in refusal(tmp_path / "batch.csv")
    book = openpyxl.Workbook()
    book.active.append(["article_id", "start", "end", "text", "label", "label"])
    book.save(tmp_path / "batch.xlsx")
    assert "batch.xlsx:1: duplicate column `label`" in refusal(tmp_path / "batch.xlsx")


def test_a_formula_that_was_never_calculated_is_no_empty_cell(tmp_path):
    book = openpyxl.Workbook()
    for row in (["article_id", "start", "end", "text", "label"], ["soup", 0, 5, "Soup.", '=LOWER("NEUTRAL")']):
        book.active.append(row)
    book.save(tmp_path / "batch.xlsx")
    assert "batch.xlsx:2: `label` is a formula without a value" in refusal(tmp_path / "batch.xlsx")


@pytest.mark.parametrize("size", ["A1", "A1:Q2"])
def test_a_workbook_that_gives_its_size_wrong_is_read_whole(tmp_path, size):
    write_batch(tmp_path / "right.xlsx", [ROW] * 5, LABEL_NAMES)
    with zipfile.ZipFile(tmp_path / "right.xlsx") as right, zipfile.ZipFile(tmp_path / "batch.xlsx", "w") as wrong:
        for name in right.namelist():
            content = right.read(name)
            if name.endswith("sheet1.xml"):
                content, count = re.subn(rb'(?<=<dimension ref=")[^"]+', size.encode(), content)
                assert count == 1
            wrong.writestr(name, content)
    assert len(fields(tmp_path / "batch.xlsx")) == 5


def test_an_empty_batch_is_refused(tmp_path):
    (tmp_path / "batch.csv").write_text("article_id,start,end,text,label\n")
    assert "holds no row" in refusal(tmp_path / "batch.csv")


def test_a_column_that_somebody_added_stays(tmp_path):
    write_batch(tmp_path / "batch.csv", [ROW | {"mood": "hungry"}], LABEL_NAMES)
    assert fields(tmp_path / "batch.csv")[0]["mood"] == "hungry"


# Label Studio

DATA = {"article_id": "soup", "start": 0, "end": 5, "text": "Soup.", "previous": "", "sampling": "random"}


def choice(label):
    return {
        "id": "aB3_x-9Qz1",
        "type": "choices",
        "value": {"choices": [label]},
        "origin": "manual",
        "to_name": "text",
        "from_name": "label",
    }


def annotation(label, **fields):
    """Return an annotation with all fields that a version 1.x export has."""
    return {
        "id": 11,
        "completed_by": 3,
        "result": [choice(label)],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2024-03-09T22:16:08.728353Z",
        "updated_at": "2024-03-09T22:16:08.728378Z",
        "draft_created_at": None,
        "lead_time": 4.288,
        "prediction": {},
        "result_count": 1,
        "unique_id": "5a2b",
        "import_id": None,
        "last_action": None,
        "task": 1,
        "project": 83,
        "updated_by": 3,
        "parent_prediction": None,
        "parent_annotation": None,
        "last_created_by": None,
    } | fields


NO_CHOICE = "an annotation without a choice named `label`"


def export(folder, *annotations, **task):
    """Write one task as a version 1.x export has it."""
    content = {"id": 1, "annotations": list(annotations), "drafts": [], "predictions": [9], "data": DATA, "meta": {}}
    content |= {"inner_id": 1, "total_annotations": len(annotations), "cancelled_annotations": 0} | task
    (folder / "export.json").write_text(json.dumps([content]))
    return fields(folder / "export.json")


def test_an_annotation_of_label_studio_is_a_row(tmp_path):
    row = export(tmp_path, annotation("neutral"))[0]
    assert (row["article_id"], row["label"], row["time"]) == ("soup", "neutral", "2024-03-09T22:16:08.728353Z")


@pytest.mark.parametrize("who", [3, {"id": 3, "email": "ann@parley.example", "first_name": "", "last_name": ""}])
def test_who_completed_an_annotation_is_kept(tmp_path, who):
    assert export(tmp_path, annotation("neutral", completed_by=who))[0]["annotator"] == "3"


def test_a_name_that_was_exported_here_goes_before_an_account(tmp_path):
    assert export(tmp_path, annotation("neutral", annotator="ann"))[0]["annotator"] == "ann"


def test_several_annotations_of_a_task_are_rows_apart(tmp_path):
    rows = export(tmp_path, annotation("neutral"), annotation("pro-dialogue", completed_by=4))
    assert [(row["label"], row["annotator"]) for row in rows] == [("neutral", "3"), ("pro-dialogue", "4")]


def test_a_cancelled_annotation_is_ignored(tmp_path):
    rows = export(tmp_path, annotation("neutral", was_cancelled=True), annotation("pro-dialogue"))
    assert [row["label"] for row in rows] == ["pro-dialogue"]


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ({"annotations": [7]}, "`annotations` holds ids alone"),
        ({"completions": [annotation("neutral")]}, "answers are under `completions`"),
        ({"annotations": [annotation("neutral", result=[choice("neutral") | {"from_name": "mood"}])]}, NO_CHOICE),
        (
            {"annotations": [annotation("neutral", result=[choice("x") | {"value": {"labels": ["neutral"]}}])]},
            NO_CHOICE,
        ),
    ],
)
def test_an_answer_in_a_place_that_is_not_read_is_refused(tmp_path, task, why):
    (tmp_path / "export.json").write_text(json.dumps([{"data": DATA, "annotations": []} | task]))
    assert f"export.json:task 1: {why}" in refusal(tmp_path / "export.json")


def test_an_answer_under_another_name_than_label_is_refused(tmp_path):
    (tmp_path / "export.json").write_text(json.dumps([DATA | {"sentiment": "neutral", "annotation_id": 1}]))
    assert "export.json:task 1: no label" in refusal(tmp_path / "export.json")


def test_an_annotation_with_a_note_alone_has_no_label_yet(tmp_path):
    note = {"from_name": "note", "to_name": "text", "type": "textarea", "value": {"text": ["hm"]}}
    row = export(tmp_path, annotation("neutral", result=[note]))[0]
    assert (row["label"], row["note"]) == ("", "hm")


def test_a_prediction_is_no_answer(tmp_path):
    prediction = {"model_version": "stance", "score": 0.9, "result": [choice("neutral")]}
    assert export(tmp_path, predictions=[prediction])[0]["label"] == ""


@pytest.mark.parametrize("result", [7, "neutral", [7], [{"value": 7}], [choice("x") | {"value": {"choices": 7}}]])
def test_a_result_of_another_shape_is_no_traceback(tmp_path, result):
    (tmp_path / "export.json").write_text(json.dumps([{"data": DATA, "annotations": [annotation("x", result=result)]}]))
    try:
        assert fields(tmp_path / "export.json")[0]["label"] in ("", "7")
    except InputError as found:
        assert found.where.endswith("export.json:task 1")


def test_an_answer_of_brackets_without_end_is_no_traceback(tmp_path):
    row = DATA | {"annotation_id": 1, "label": "[" * 100_000}
    (tmp_path / "export.json").write_text(json.dumps([row]))
    assert fields(tmp_path / "export.json")[0]["label"].startswith("[[[")


def test_the_interface_names_the_fields_that_tasks_have(tmp_path):
    write_batch(tmp_path / "batch.json", [ROW], ["yes & no", "neutral"])
    interface = (tmp_path / "batch.xml").read_text()
    assert 'value="$text"' in interface and '<Choice value="yes &amp; no" hotkey="1"/>' in interface


def test_two_annotators_of_a_sentence_are_one_task(tmp_path):
    rows = [ROW | {"label": label, "annotator": who} for label, who in [("neutral", "ann"), ("pro-dialogue", "bob")]]
    write_batch(tmp_path / "batch.json", rows, LABEL_NAMES)
    assert len(json.loads((tmp_path / "batch.json").read_text())) == 1
    assert [row["annotator"] for row in fields(tmp_path / "batch.json")] == ["ann", "bob"]


def test_json_min_is_read(tmp_path):
    row = DATA | {
        "id": 1,
        "label": "neutral",
        "annotator": 3,
        "annotation_id": 11,
        "created_at": "2024",
        "lead_time": 4,
    }
    (tmp_path / "export.json").write_text(json.dumps([row]))
    found = fields(tmp_path / "export.json")[0]
    assert (found["label"], found["annotator"], found["time"]) == ("neutral", "3", "2024")


@pytest.mark.parametrize("label", ["neutral", ["neutral"], {"choices": ["neutral"]}, '["neutral"]', "[neutral"])
def test_a_choice_may_stand_as_a_list_or_as_json(tmp_path, label):
    (tmp_path / "export.json").write_text(json.dumps([DATA | {"label": label, "annotation_id": 11}]))
    assert fields(tmp_path / "export.json")[0]["label"] == ("[neutral" if label == "[neutral" else "neutral")


@pytest.mark.parametrize(("cancelled", "labels"), [("False", ["neutral"]), ("True", [])])
def test_the_csv_of_label_studio_is_read(tmp_path, cancelled, labels):
    extra = {"annotation_id": 11, "annotator": 3, "created_at": "2024", "id": 1, "label": "neutral", "lead_time": 4.2}
    kept, other = DATA | extra | {"was_cancelled": cancelled}, DATA | extra | {"was_cancelled": "False", "start": 9}
    with (tmp_path / "export.csv").open("w", encoding="utf8", newline="") as stream:
        writer = csv.DictWriter(stream, sorted(kept), quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        writer.writerows([kept, other])
    assert [row["label"] for row in fields(tmp_path / "export.csv") if row["start"] == "0"] == labels


def test_two_choices_for_a_sentence_are_no_label(tmp_path):
    two = annotation("neutral")
    two["result"][0]["value"]["choices"].append("pro-dialogue")
    assert export(tmp_path, two)[0]["label"] == "neutral, pro-dialogue"


@pytest.mark.parametrize("content", ['{"id": 1}', "[1]", "no json"])
def test_other_json_is_refused(tmp_path, content):
    (tmp_path / "export.json").write_text(content)
    assert "expected a Label Studio export" in refusal(tmp_path / "export.json")
