import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.examples import Example, divide, join, rejoin, segments


def example(**fields):
    return Example("a", 0, 0, 9, "The goose\n is  late.", "neutral", "test", "a", **fields)


def test_a_classifier_reads_one_line_of_a_sentence():
    assert example().input == "The goose is late."


@pytest.mark.parametrize(
    ("wrapped", "whole"),
    [
        ("the dia-\nlogue and the nego-\r\n  tiations", "the dialogue and the negotiations"),
        ("a soft\u00adly spoken en\u00ad\nvoy", "a softly spoken envoy"),
        ("the long-\nterm, six-\nparty talks", "the long-term, six-party talks"),
        ("Kim Jong-\nun and Moon Jae-\nin", "Kim Jong-un and Moon Jae-in"),
        ("the Presi-\ndent and the Minis-\nter", "the President and the Minister"),
        ("soup - \nbread, 5-\n6, North-South", "soup - bread, 5- 6, North-South"),
    ],
)
def test_a_word_that_was_cut_at_the_end_of_a_line_is_read_whole(wrapped, whole):
    assert join(wrapped) == whole


def test_a_target_stands_in_a_line_before_its_text():
    assert example(target="geese \n abroad").input == "geese abroad\nThe goose is late."


@given(st.text(), st.text())
def test_what_is_joined_is_divided_again(text, target):
    assert divide(join(text, target)) == (" ".join(target.split()), " ".join(rejoin(text).split()))


@pytest.mark.parametrize(("given", "expected"), [("honk", "honk"), ("geese\nhonk", ("geese", "honk"))])
def test_a_tokenizer_gets_the_target_as_a_segment_of_its_own(given, expected):
    assert segments(given) == expected
