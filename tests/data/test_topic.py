from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from pipeline.config import TopicWords, read_topic_words
from pipeline.data.sentences import cut
from pipeline.data.topic import on_topic
from pipeline.errors import InputError

WORDS = read_topic_words(ROOT / "configs/topic.yaml")
OTHERS = yaml.safe_load((Path(__file__).parent / "other_topics.yaml").read_text(encoding="utf-8"))
SOUP = TopicWords(topic=(r"\bsoup\b",), related=(r"\bbroth\b",), other=(r"\bbread\b",))


def sentences(text):
    return [sentence.text for sentence in cut(text)]


def marks(*texts, titled=False):
    return on_topic(texts, SOUP, titled=titled)


# The words of the repository


@pytest.mark.parametrize(
    "text",
    [
        "Ease the sanctions.",
        "We need talks",
        "Sanctions must stay. Only talks will help.",
        "Beijing urged all sides to return to talks and ease the sanctions.",
        "The EU should tighten sanctions.",
        "Russia called for the easing of sanctions.",
        "Moon and Abe differ over pressure on Kim",
        "The North must come back to the table.",
        "The EU should tighten sanctions against Russia and the DPRK.",
        "KOREA: NO TALKS",
    ],
)
def test_a_sentence_or_two_stay_on_topic_unless_they_name_another_one(text):
    assert set(on_topic(sentences(text), WORDS)) == {True}


def test_invented_texts_of_other_fields_are_off_topic():
    assert len(OTHERS) >= 60
    found = [mark for text in OTHERS for mark in on_topic(sentences(text), WORDS)]
    whole = [text for text in OTHERS if not any(on_topic(sentences(text), WORDS))]
    assert found.count(False) / len(found) >= 0.9  # the rest names North Korea, or follows a sentence that does
    assert len(whole) >= len(OTHERS) - 4


def test_invented_single_sentences_that_take_a_side_stay_on_topic(repository):
    rows = [row for row in repository.examples if row.origin in ("single", "contrast") and row.label != "neutral"]
    kept = [on_topic([row.text], WORDS) for row in rows]
    assert len(rows) > 1000 and kept.count([True]) / len(rows) >= 0.99


# The rule


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("Stir it.",), [True]),  # whoever types a sentence knows what it is about
        (("Stir it.", "Serve it."), [True, True]),
        (("Stir it.", "Serve it.", "Eat it."), [False, False, False]),
        (("The bread is warm.",), [False]),
        (("Dip the bread into the soup.",), [True]),
        (("Soup!", "Stir it.", "Serve the bread."), [True, True, False]),
        (("The broth is hot.", "Stir it.", "Serve it."), [False, False, False]),  # a related word alone is not enough
        (("The broth is hot.", "Stir it.", "It is soup."), [True, True, True]),
        (("Wash up.", *["Sweep."] * 5, "Soup is next.", *["Stir."] * 3, "Rest."), [*[False] * 6, *[True] * 4, False]),
    ],
)
def test_a_sentence_is_on_topic_where_it_or_its_text_names_it(texts, expected):
    assert marks(*texts) == expected


def test_a_title_counts_as_a_sentence_before_the_first():
    texts = ["Stir.", "Serve.", "Eat.", "Wash up.", "Sweep.", "Rest."]
    assert marks("Soup", *texts, titled=True) == [True] * 4 + [False] * 3
    assert marks("Soup", "The bread is warm.", titled=True) == [True, False]
    assert marks("Lunch", "Stir.", "Serve.", titled=True) == [True] * 3 != marks("Lunch", "Stir.", "Serve.")


def test_capitals_do_not_count():
    assert marks("SOUP", "Stir.", "Serve.") == [True, True, True]


def test_a_text_without_sentences_has_no_marks():
    assert marks() == []


# The file


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("topic: ['(']", "is no regular expression"),
        ("topic: [Soup]", "has capitals; write small letters"),
        ("topic: []", "`topic`: "),
        ("other: [bread]", "`topic`: "),
        ("topic: [soup]\nsalt: [pepper]", "unknown key `salt`; expected one of other, related, topic"),
    ],
)
def test_a_file_of_words_is_refused_in_one_line(tmp_path, content, why):
    file = tmp_path / "words.yaml"
    file.write_text(content)
    with pytest.raises(InputError) as caught:
        read_topic_words(file)
    assert why in str(caught.value) and str(caught.value).startswith(f"{file}: ")
