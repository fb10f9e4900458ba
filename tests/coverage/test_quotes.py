"""Sentences that are shown: the right ones of each kind, each of another article, the same ones every time."""

import numpy as np
import pytest

from pipeline.coverage.quotes import CONFIDENT, DIVIDED, MOST, RANDOM, Quotes
from pipeline.errors import InputError

NAMES, SIDES = ("tea", "coffee", "neither"), ("coffee", "tea")
PROBABILITIES = np.random.default_rng(0).dirichlet([1, 1, 1], 400)


def rows(count=400, per_article=4):
    labels = PROBABILITIES[:count].argmax(1)
    return [
        {"article_id": f"a{i // per_article}", "text": f"Cup {i}.", "label": NAMES[label], "p_tea": 0.5}
        for i, label in enumerate(labels)
    ]


def gather(given, size=400):
    quotes = Quotes(NAMES, SIDES)
    for first in range(0, len(given), size):
        part = PROBABILITIES[first : first + size]
        quotes.add(given[first : first + size], part.argmax(1), part)
    return quotes


@pytest.mark.parametrize("size", [400, 50, 7])
def test_the_most_confident_and_the_most_divided_are_kept_however_rows_come(size):
    quotes = gather(rows(per_article=1), size)
    tea = np.where(PROBABILITIES.argmax(1) == 0, PROBABILITIES[:, 0], 0)
    assert [quote.text for quote in quotes.of(CONFIDENT, "tea")] == [f"Cup {i}." for i in np.argsort(-tea)[:MOST]]
    divided = np.argsort(-PROBABILITIES[:, :2].min(1))[:MOST]
    assert [quote.text for quote in quotes.of(DIVIDED)] == [f"Cup {i}." for i in divided]


def test_each_is_of_another_article_and_says_something_else():
    quotes = gather(rows(per_article=200))
    assert sorted(quote.source["article_id"] for quote in quotes.of(CONFIDENT, "tea")) == ["a0", "a1"]
    same = gather([row | {"text": "Milk  first."} for row in rows(per_article=1)])
    assert [quote.text for quote in same.of(CONFIDENT, "tea")] == ["Milk first."]


def test_those_drawn_at_random_are_the_same_again_and_have_the_label():
    one, two = gather(rows()), gather(rows())
    assert one.of(RANDOM, "coffee") == two.of(RANDOM, "coffee")
    assert {quote.label for quote in one.of(RANDOM, "coffee")} == {"coffee"}
    assert one.of(RANDOM, "coffee") != one.of(CONFIDENT, "coffee")


def test_rows_without_text_give_nothing():
    quotes = gather([row | {"text": None} for row in rows()])
    assert quotes.of(CONFIDENT, "tea") == quotes.of(DIVIDED) == []


class Model:
    """A model that is as sure as it is told."""

    def __init__(self, shift):
        self.shift = shift

    def read(self, text, target):
        return text

    def predict_in_stages(self, texts, *, exact):
        known = {row["text"]: values for row, values in zip(rows(), PROBABILITIES, strict=True)}
        return np.array([known[text] for text in texts]) + (self.shift if exact else 0.5), None


@pytest.mark.parametrize(("shift", "same"), [(0.0, True), (0.02, True), (0.1, False)])
def test_rows_are_of_the_model_that_says_the_same_of_them(shift, same):
    assert gather(rows()).fit(Model(shift)) == same
    assert Quotes(NAMES, SIDES).fit(Model(shift))


def test_rows_without_a_target_are_of_no_model_that_wants_one():
    model = Model(0.0)
    model.read = lambda text, target: (_ for _ in ()).throw(InputError("no target", "the model reads one"))
    assert not gather(rows()).fit(model)
