"""Hashtags are read in words, by a vocabulary that is the training text's own."""

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.classifiers import State, create
from pipeline.classifiers.hashtags import cut, learn_words, spell
from pipeline.config import Candidate
from pipeline.data.dataset import Example

NAMES = ("against", "favor")
TEXTS = [
    "The soup is hot today #soup",
    "hot soup again",
    "ready for soup @cook",
    "I am ready for tea",
    "tea for a guest",
]
WORDS = learn_words(TEXTS)


def example(number, text, label):
    return Example(str(number), 0, 0, len(text), text, label, "train", str(number))


def test_words_are_those_of_two_texts_outside_marks():
    assert WORDS == {"for": 3, "hot": 2, "ready": 2, "soup": 3, "tea": 2}


def test_without_hashtags_nothing_is_learned_and_nothing_changes():
    news = ["Talks resumed.", "Talks stalled."] * 200
    assert learn_words(news) == {} and learn_words([]) == {}
    assert learn_words([*news, "Item #Four, a stray mark"]) == {}
    assert spell("#readyforsoup", {}) == "#readyforsoup"


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("readyforsoup", "ready for soup"),
        ("ReadyForSoup", "Ready For Soup"),
        ("READYFORTEA", "ready for tea"),
        ("soup", "soup"),
        ("xq", "xq"),
        ("soup2go", "soup 2go"),
    ],
)
def test_a_hashtag_is_cut_where_its_capitals_are_or_where_known_words_fit(tag, words):
    assert cut(tag, WORDS) == words


def test_the_hashtag_itself_stays():
    text = spell("So #readyforsoup, #1 of the day", WORDS)
    assert text == "So #readyforsoup ready for soup, #1 of the day"


@given(st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=60))
def test_no_letter_is_lost(tag):
    assert cut(tag, WORDS).replace(" ", "").lower() == tag.lower()


@pytest.mark.parametrize("kind", ["tfidf", "hybrid", "embedding"])
def test_a_classifier_hears_words_in_hashtags_that_it_has_never_seen(kind):
    sides = [("we love soup", "favor"), ("no more soup", "against"), ("love it", "favor"), ("no more", "against")]
    rows = [example(n, f"{text} #Day{n}", label) for n, (text, label) in enumerate(sides * 5)]
    options = {} if kind == "embedding" else {"min_df": 1}
    classifier = create(Candidate(name=kind, kind=kind, options=options), 0)
    classifier.fit(rows, NAMES, lambda share, words: None)
    assert classifier.state().values["hashtag_words"]
    scores = classifier.decision_function(["#lovesoup", "#nomoresoup"])
    assert np.argmax(scores, axis=1).tolist() == [1, 0]
    restored = create(Candidate(name=kind, kind=kind, options=options), 0)
    state = classifier.state()
    restored.restore(State(state.values, state.arrays, state.blobs))
    np.testing.assert_allclose(restored.decision_function(["#lovesoup"]), scores[:1], atol=1e-5)
