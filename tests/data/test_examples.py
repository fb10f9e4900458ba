import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.examples import Example, divide, join, segments


def example(**fields):
    return Example("a", 0, 0, 9, "The goose\n is  late.", "neutral", "test", "a", **fields)


def test_a_classifier_reads_one_line_of_a_sentence():
    assert example().input == "The goose is late."


def test_a_target_stands_in_a_line_before_its_text():
    assert example(target="geese \n abroad").input == "geese abroad\nThe goose is late."


@given(st.text(), st.text())
def test_what_is_joined_is_divided_again(text, target):
    assert divide(join(text, target)) == (" ".join(target.split()), " ".join(text.split()))


@pytest.mark.parametrize(("given", "expected"), [("honk", "honk"), ("geese\nhonk", ("geese", "honk"))])
def test_a_tokenizer_gets_the_target_as_a_segment_of_its_own(given, expected):
    assert segments(given) == expected
