"""Who is mentioned in a sentence, and what of it is quoted; every sentence is invented."""

import pytest

from pipeline.coverage.phrases import Sentence, curl, words


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        ("South Korea's foreign minister met Mr. Soup.", ["South Korea's foreign minister", "Mr. Soup"]),
        ("The Council for the Reunion of Noodles met.", ["The Council for the Reunion of Noodles"]),
        ("Soup and Ladle told us that she left.", ["Soup and Ladle", "she"]),
        ("“Kim came,” the 56-year-old said.", ["the 56-year-old"]),
        ("WASHINGTON, May 3 - He left on Monday.", ["He"]),
        ("It was a report on the call.", ["It", "a report"]),
    ],
)  # fmt: skip
def test_mentions(text, mentions):
    assert [mention.text for mention in Sentence(curl(text)).mentions] == mentions


@pytest.mark.parametrize(
    ("text", "quoted", "ends_open"),
    [
        ('He said "no" and left.', '“no”', False),
        ("He said, “No", "“No", True),
        ('No," he said.', "No,”", False),
        ("“No,“ he said.", "“No,”", False),
        ("No.", "", False),
    ],
)  # fmt: skip
def test_quotations(text, quoted, ends_open):
    sentence = Sentence(curl(text))
    pairs = zip(sentence.words, sentence.quoted, strict=True)
    assert "".join(word for word, flag in pairs if flag) == quoted
    assert sentence.ends_open == ends_open


def test_verbs_stand_in_all_their_forms():
    assert {"say", "said", "deny", "denied", "denies", "urging", "slammed"} <= words("says") | words("wants")
