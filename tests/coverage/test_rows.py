"""Reading predicted rows: added up by article, in all formats, and what cannot count is counted as such."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from predicted import LABEL_NAMES, predicted_rows, write_rows

from pipeline.coverage import rows as room
from pipeline.coverage.measure import BELOW, FIRST_STAGE, describe_batch
from pipeline.coverage.periods import read_date
from pipeline.coverage.rows import find_rows, read_batch
from pipeline.data.formats.rows import Reject, Row
from pipeline.errors import InputError
from pipeline.progress import ignore_progress


def read(*files, **options):
    return read_batch(files, LABEL_NAMES, ignore_progress, **options)


def sums(batch):
    return batch.totals.finish()[0]


def counts(batch):
    return batch.totals.finish()[1]


@pytest.fixture
def written(tmp_path):
    return lambda rows, name="rows.jsonl": write_rows(rows, tmp_path / name)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_each_format_says_the_same(written, name):
    rows, _ = predicted_rows(12, 5)
    batch = read(written(rows, name))
    assert batch.ids == [f"a{number}" for number in range(12)]
    assert batch.outlets[:2] == ["The Daily Parley", "Kimchi Times"]
    assert batch.dates[:2] == ["2017-01-03", "2018-02-03"]
    assert batch.rows == 60
    expected = [sum(row["p_pro_dialogue"] for row in rows if row["article_id"] == key) for key in batch.ids]
    assert sums(batch).probabilities[:, 1] == pytest.approx(np.array(expected), abs=1e-3)
    assert counts(batch).sum(0).tolist() == [sum(row["label"] == label for row in rows) for label in (*LABEL_NAMES, "")]


@given(st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(tmp_path_factory, seed):
    rows, _ = predicted_rows(8, 4)
    folder = tmp_path_factory.mktemp("rows")
    one = read(write_rows(rows, folder / "one.jsonl"))
    shuffled = [rows[position] for position in np.random.default_rng(seed).permutation(len(rows))]
    two = read(write_rows(shuffled, folder / "two.jsonl"))
    order = [two.ids.index(key) for key in one.ids]
    assert sums(two).probabilities[order] == pytest.approx(sums(one).probabilities)
    assert sums(two).spread[order] == pytest.approx(sums(one).spread)
    assert (counts(two)[order] == counts(one)).all()
    assert [two.outlets[position] for position in order] == one.outlets


def test_a_file_that_is_given_twice_counts_once(written):
    rows, _ = predicted_rows(4, 3)
    batch = read(written(rows), written(rows, "again.csv"))
    assert batch.rows == 12
    assert batch.rejects == {"a second row of the same sentence": 12}


def broken(row, **changes):
    return {key: value for key, value in (row | changes).items() if value is not ...}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"article_id": ""}, "no `article_id`"),
        ({"article_id": None}, "no `article_id`"),
        ({"label": "pro-noodles"}, "its label is none of this model's"),
        ({"label": ["neutral"]}, "its label is none of this model's"),
        ({"p_neutral": 7.5}, "its probabilities do not add up to 1"),
        ({"p_neutral": float("nan")}, "its probabilities do not add up to 1"),
        ({"p_neutral": "much"}, "`sentence_index` or a probability is no number"),
        ({"p_neutral": None}, "`sentence_index` or a probability is no number"),
        ({"sentence_index": "first"}, "`sentence_index` or a probability is no number"),
        ({"sentence_index": -1}, "`sentence_index` cannot be"),
        ({"sentence_index": 10**12}, "`sentence_index` cannot be"),
    ],
)
def test_a_broken_row_among_good_ones_is_left_out_and_counted(written, changes, why):
    rows, _ = predicted_rows(3, 4)
    batch = read(written([rows[0], broken(rows[1], **changes), *rows[2:]]))
    assert (batch.rows, batch.rejects) == (11, {why: 1})
    assert why in batch.first_reject


def test_half_of_the_rows_may_be_broken(written):
    rows, _ = predicted_rows(20, 4)
    batch = read(written([broken(row, label="?") if number % 2 else row for number, row in enumerate(rows)]))
    assert (batch.rows, batch.rejects.total()) == (40, 40)


def test_a_file_of_which_no_row_counts_is_one_line(written):
    rows, _ = predicted_rows(2, 2)
    with pytest.raises(InputError, match="not one row counts; .*its label is none of this model's"):
        read(written([broken(row, label="?") for row in rows]))


def test_what_a_row_does_not_say_is_empty(written):
    rows, _ = predicted_rows(3, 2)
    batch = read(written([broken(row, outlet=..., date="the day before") for row in rows]))
    assert (batch.outlets, batch.dates) == ([""] * 3, [""] * 3)


def test_uncertain_labels_have_a_count_of_their_own(written):
    rows, _ = predicted_rows(3, 2)
    batch = read(written([broken(row, label="uncertain") for row in rows]))
    assert counts(batch).sum(0).tolist() == [0, 0, 0, 6]


def test_one_article_with_two_targets_is_two(written):
    rows, _ = predicted_rows(1, 3)
    batch = read(written([row | {"target": target} for target in ("Oslo", "Bergen") for row in rows]))
    assert (batch.ids, batch.targets) == (["a0", "a0"], ["Oslo", "Bergen"])


def test_rows_below_the_threshold_and_of_each_stage_are_counted(written):
    rows, _ = predicted_rows(6, 5)
    staged = [row | {"stage": "first" if number % 3 else "full"} for number, row in enumerate(rows)]
    batch = read(written(staged), threshold=0.7)
    assert batch.below == sum(row["confidence"] < 0.7 for row in rows) > 0
    assert batch.stages == {"first": 20, "full": 10}
    shares = describe_batch(batch).shares
    assert shares == {"off topic": 0, BELOW: batch.below / 30, FIRST_STAGE: 20 / 30}
    assert list(describe_batch(read(written(rows))).shares) == ["off topic"]


def test_an_article_is_looked_at_whole_unless_it_is_very_long(monkeypatch):
    monkeypatch.setattr(room, "BUFFER", 4)
    articles = [Row("", {"article_id": name}) for name in "aaabbbccc"]
    assert ["".join(row.fields["article_id"] for row in part) for part in room._parts(articles)] == ["aaabbb", "ccc"]
    assert [len(part) for part in room._parts([*articles[:1] * 20, Reject("", "")])] == [8, 8, 5]


def test_sentences_that_are_asked_for_keep_their_probabilities(written):
    rows, _ = predicted_rows(3, 4)
    known, other = rows[5], rows[6]
    wanted = {("a1", 20, 39): known["text"], ("a1", 40, 59): "another text", ("nowhere", 0, 9): "x"}
    batch = read(written(rows), wanted=wanted)
    assert list(batch.spans) == [("a1", 20, 39)]
    article, speech, probabilities = batch.spans["a1", 20, 39]
    assert (article, speech, probabilities[1]) == (1, -1, pytest.approx(known["p_pro_dialogue"]))
    assert other["article_id"] == "a1"


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("2017-08-12", "2017-08-12"),
        ("2017-08", "2017-08"),
        ("2017-08-12T10:00:00Z", "2017-08-12"),
        ("2017-13-01", ""),
        ("2017-08-121", ""),
        ("2017-02-31", ""),
        ("0000-01-01", ""),
        ("12 August 2017", "2017-08-12"),
        ("3/8/2017", ""),
        ("", ""),
        (None, ""),
        (2017, ""),
    ],
)
def test_a_date_is_iso_or_nothing(value, date):
    assert read_date(value) == date


def test_rows_are_told_from_articles(written, tmp_path):
    rows, _ = predicted_rows(2, 2)
    file = written(rows)
    (tmp_path / "letter.txt").write_text("A letter. It is short.", encoding="utf-8")
    articles = write_rows([{"id": "a", "text": "A letter."}], tmp_path / "articles.csv")
    assert find_rows([file], LABEL_NAMES) == [file]
    assert find_rows([tmp_path / "letter.txt", articles], LABEL_NAMES) == []
    with pytest.raises(InputError, match=r"letter.txt: holds no predicted rows.*not both"):
        find_rows([file, tmp_path / "letter.txt"], LABEL_NAMES)


def test_rows_of_other_labels_are_one_line(written):
    rows, _ = predicted_rows(2, 2, label_names=("favor", "against", "none"))
    with pytest.raises(InputError, match="its probabilities are p_against, p_favor, p_none; expected p_neutral"):
        find_rows([written(rows)], LABEL_NAMES)


@pytest.mark.parametrize("column", ["article_id", "sentence_index", "label"])
def test_rows_without_a_column_are_one_line(written, column):
    rows, _ = predicted_rows(2, 2)
    with pytest.raises(InputError, match=f"no column `{column}`"):
        find_rows([written([broken(row, **{column: ...}) for row in rows])], LABEL_NAMES)


def test_memory_grows_with_articles_and_not_with_rows(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "BUFFER", 500)
    rows, _ = predicted_rows(20, 10)

    def many(file, needed, meter):
        """Twenty articles of as many sentences as the name of the file says, one at a time."""
        for index in range(int(file.stem)):
            for row in rows[::10]:
                yield Row("here", row | {"sentence_index": index})

    monkeypatch.setattr(room, "read_rows", many)
    peaks = []
    for sentences in (100, 1000):
        file = tmp_path / f"{sentences}.jsonl"
        file.touch()
        tracemalloc.start()
        assert read(file).rows == 20 * sentences
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_a_place_that_cannot_be_read_is_counted(monkeypatch, tmp_path):
    rows, _ = predicted_rows(2, 2)
    monkeypatch.setattr(room, "read_rows", lambda *_: iter([Reject("here", "is no JSON"), Row("here", rows[0])]))
    file = tmp_path / "rows.jsonl"
    file.touch()
    assert read(file).rejects == {"is no JSON": 1}
