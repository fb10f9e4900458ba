import json

import pytest
from conftest import LABEL_NAMES

from pipeline.data.annotations import (
    ADJUDICATED,
    Annotation,
    adjudicate,
    check_spans,
    read_labels,
)
from pipeline.errors import InputError

ROW = {"article_id": "soup", "start": 0, "end": 5, "text": "Soup.", "label": "neutral", "annotator": "ann"}


@pytest.fixture
def read(tmp_path):
    """Read one file of rows that is written first."""

    def written(*rows):
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        (tmp_path / "soup.jsonl").write_bytes(b"\n".join(lines))
        return read_labels(tmp_path, LABEL_NAMES)

    return written


def refusal(function, *arguments):
    with pytest.raises(InputError) as caught:
        function(*arguments)
    return str(caught.value)


def annotation(label="neutral", annotator="ann", article_id="soup", start=0, end=5, text="Soup.", line=1):
    return Annotation(article_id, start, end, text, label, annotator, f"soup.jsonl:{line}")


# Reading


@pytest.mark.parametrize("row", [b"[" * 100_000, b'{"text": ' + b"[" * 100_000, b'{"start": ' + b"9" * 5000 + b"}"])
def test_a_row_that_no_parser_can_hold_is_one_line(read, row):
    assert "soup.jsonl:2: is no JSON in UTF-8" in refusal(read, ROW, row)


def test_a_row_becomes_an_annotation_that_knows_its_place(tmp_path, read):
    assert read(ROW) == [Annotation("soup", 0, 5, "Soup.", "neutral", "ann", f"{tmp_path / 'soup.jsonl'}:1")]


def test_files_are_read_in_the_order_of_their_names(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(ROW | {"article_id": name}))
    assert [row.article_id for row in read_labels(tmp_path, LABEL_NAMES)] == ["a", "b"]


def test_blank_lines_are_no_rows_but_count_as_lines(read):
    assert read(b"", ROW, b"  ")[0].where.endswith(":2")


def test_a_folder_without_labels_is_named(tmp_path):
    assert "holds no labels; expected *.jsonl" in refusal(read_labels, tmp_path, LABEL_NAMES)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (ROW | {"label": "hungry"}, "unknown label 'hungry'; expected pro-sanctions, pro-dialogue, neutral"),
        (ROW | {"label": None}, "`label` is None; expected a value of type str"),
        (ROW | {"start": "0"}, "`start` is '0'; expected a value of type int"),
        (ROW | {"end": True}, "`end` is True; expected a value of type int"),
        (ROW | {"article_id": 38}, "`article_id` is 38; expected a value of type str"),
        ({"article_id": "soup"}, "no field 'start'; expected article_id, start, end, text, label, annotator"),
        (["soup"], "is no JSON object"),
        (b"{soup", "is no JSON"),
        (b'{"text": "\xff"}', "is no JSON in UTF-8 ('utf-8' codec can't decode byte"),
    ],
)
def test_a_broken_row_is_named_by_file_and_line(tmp_path, read, row, why):
    assert refusal(read, ROW, row).startswith(f"{tmp_path / 'soup.jsonl'}:2: {why}")


def test_all_broken_rows_are_told_at_once(read):
    lines = refusal(read, b"{soup", ROW, b"{salt").splitlines()
    assert [line.split(": ")[0].rsplit(":")[-1] for line in lines] == ["1", "3"]


def test_a_decision_of_version_0_1_is_still_one(read):
    assert read(ROW | {"annotator": "settled"})[0].annotator == ADJUDICATED


def test_the_same_annotator_annotates_a_span_once(tmp_path, read):
    file = tmp_path / "soup.jsonl"
    line = refusal(read, ROW, ROW | {"label": "pro-dialogue"})
    assert line == f"{file}:2: ann annotated this span already at {file}:1; remove one of the two lines"


def test_two_annotators_may_judge_a_span(read):
    assert len(read(ROW, ROW | {"annotator": "bob"})) == 2


# Spans


def test_a_span_that_slices_to_its_text_passes():
    assert check_spans([annotation()], {"soup": "Soup. Bread."}) is None


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (0, 4, "Soup."),
        (1, 6, "Soup."),
        (6, 99, "Bread."),
        (0, -7, "Soup."),
        (-6, 12, "Bread."),
        (3, 3, ""),
        (5, 3, ""),
        (99, 104, "Salt."),
    ],
)
def test_a_span_that_does_not_match_is_refused(start, end, text):
    row = annotation(start=start, end=end, text=text)
    assert f"soup.jsonl:1: span {start}:{end} of soup is" in refusal(check_spans, [row], {"soup": "Soup. Bread."})


def test_a_span_of_changed_text_says_what_is_there_now():
    assert "is 'Salt.'; expected 'Soup.'" in refusal(check_spans, [annotation()], {"soup": "Salt."})


def test_a_label_of_a_missing_article_is_refused():
    assert refusal(check_spans, [annotation()], {}).startswith("soup.jsonl:1: no article 'soup'")


# Settlement


def adjudicated(*rows):
    return list(adjudicate(rows).values())


def test_a_single_annotation_stands():
    assert adjudicated(annotation("pro-dialogue")) == ["pro-dialogue"]


def test_most_annotators_decide():
    rows = [annotation("neutral", "ann"), annotation("pro-dialogue", "bob"), annotation("pro-dialogue", "cho")]
    assert adjudicated(*rows) == ["pro-dialogue"]


def test_the_adjudication_wins_over_all_annotators():
    rows = [annotation("neutral", "ann"), annotation("neutral", "bob"), annotation("pro-sanctions", ADJUDICATED)]
    assert adjudicated(*rows) == ["pro-sanctions"]


def test_annotators_who_are_evenly_split_are_named():
    message = refusal(adjudicate, [annotation("neutral", "ann", line=7), annotation("pro-dialogue", "bob", line=8)])
    assert message.startswith(
        "soup.jsonl:7: ann says neutral, bob says pro-dialogue; decide with `stance label adjudicate`"
    )


def test_three_annotators_with_three_labels_are_evenly_split():
    rows = [annotation(label, f"annotator {label}") for label in LABEL_NAMES]
    assert "annotator neutral says neutral" in refusal(adjudicate, rows)


def test_a_row_may_say_how_its_sentence_was_chosen(read):
    assert read(ROW | {"sampling": "random"})[0].sampling == "random"


def test_what_a_row_says_beside_must_be_text(tmp_path, read):
    assert "`codebook` is 3; expected a value of type str" in refusal(read, ROW | {"codebook": 3})
