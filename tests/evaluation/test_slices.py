import re

import numpy as np
import pytest

from pipeline.data.dataset import Example
from pipeline.evaluation.slices import DIMENSIONS, FEWEST_ROWS, cut_rows, score_slices, weakest
from pipeline.scoring.predictions import Predictions


def example(text="The goose is late.", number=0, **fields):
    return Example(f"a{number}", 0, 0, len(text), text, "neutral", "test", f"a{number}", **fields)


def predictions(y_true, y_pred):
    """Each row an article of its own."""
    return Predictions(y_true, y_pred, np.eye(3)[y_pred], np.array([f"a{n}" for n in range(len(y_true))]))


@pytest.mark.parametrize(
    ("dimension", "text", "value"),
    [
        ("length", "Geese fly.", "1 to 15 words"),
        ("length", "goose " * 16, "16 to 30 words"),
        ("length", "goose " * 31, "31 words or more"),
        ("quotation", "“Honk,” said the goose.", "with a quotation"),
        ("quotation", "The goose's egg isn't here.", "without a quotation"),
        ("negation", "The goose doesn’t care.", "negated"),
        ("negation", "Nobel geese know.", "not negated"),
        ("headline", "Goose crosses border", "headline (no full stop)"),
        ("headline", "“The goose crossed.”", "sentence"),
    ],
)
def test_a_sentence_is_in_the_slice_that_people_would_put_it_in(dimension, text, value):
    assert DIMENSIONS[dimension](example(text.strip())) == value


def test_rows_with_an_obvious_word_are_a_slice_where_such_words_are_known():
    rows = [example("Sanctions on geese."), example("He talked of geese.", 1), example("More sanctions.", 2)]
    found = cut_rows(rows, re.compile("sanctions", re.IGNORECASE))
    assert [(value, own.tolist()) for dimension, value, own in found if dimension == "wording"] == [
        ("holds an obvious word", [0, 2]),
        ("holds no obvious word", [1]),
    ]
    assert "wording" not in {dimension for dimension, _, _ in cut_rows(rows)}


def test_targets_are_slices():
    rows = [example(number=n, target=("geese", "ducks")[n % 2]) for n in range(4)]
    assert [value for dimension, value, _ in cut_rows(rows) if dimension == "target"] == ["geese", "ducks"]


def test_the_year_is_found_in_any_way_to_write_a_date():
    assert [DIMENSIONS["year"](example(date=date)) for date in ("2019-02-28", "28 Feb 2019", "")] == [
        "2019",
        "2019",
        "",
    ]


def test_a_small_slice_has_no_number_to_believe():
    rows = [example(number=n, origin="big") for n in range(FEWEST_ROWS)] + [example(number=99, origin="tiny")]
    y = np.zeros(len(rows), int)
    found = {part.value: part for part in score_slices(rows, predictions(y, y)) if part.dimension == "origin"}
    assert found["big"].macro_f1.value == 1 and found["tiny"].macro_f1 is None


def test_a_dimension_with_one_value_is_no_slice():
    assert cut_rows([example(number=n, origin="all") for n in range(3)]) == []


def test_the_many_small_outlets_are_one_slice():
    rows = [example(number=n, outlet=f"paper {n}") for n in range(12)]
    found = [(value, len(rows)) for dimension, value, rows in cut_rows(rows) if dimension == "outlet"]
    assert len(found) == 9 and found[-1] == ("4 others", 4)


def test_years_stand_in_order():
    rows = [example(number=n, date=str(2020 - n)) for n in range(5)]
    assert [value for dimension, value, _ in cut_rows(rows) if dimension == "year"] == [str(2016 + n) for n in range(5)]


def test_the_weakest_slice_is_shown_to_be_weak_and_named_once():
    rows = [example(number=n, origin="good" if n < 30 else "bad", style="x" if n < 30 else "y") for n in range(60)]
    y_true = np.arange(60) % 2
    y_pred = np.where(np.arange(60) < 30, y_true, 1 - y_true)
    found = weakest(score_slices(rows, predictions(y_true, y_pred)), overall=0.5)
    assert [(part.dimension, part.value, part.macro_f1.value) for part in found] == [("origin", "bad", 0)]
