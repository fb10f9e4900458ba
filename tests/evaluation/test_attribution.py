from dataclasses import replace

import numpy as np
import pytest
from conftest import LABEL_NAMES, ROOT, make_manifest
from refusals import refused

from pipeline.bundle import Bundle
from pipeline.classifiers import index_labels
from pipeline.classifiers.rules import Keywords
from pipeline.data.dataset import Example
from pipeline.evaluation.attribution import audit, occlude, read_obvious, select_errors, word_weights
from pipeline.scoring.decision import DecisionRule
from pipeline.scoring.predictions import Predictions, likeliest

OBVIOUS = read_obvious(ROOT / "configs" / "obvious.yaml")
HARD = [
    "Lift the sanctions, lift them now: talks, not sanctions!",
    "A I a.",
    "“North Korea’s” geese — 12,000 of them — can't wait…",
    "İstanbul hosts   the\ttalks",
    "Qqqq zzzz.",
]


@pytest.fixture(scope="module")
def keywords():
    """A model of another kind, whose words are found by leaving them out."""
    classifier = Keywords(lexicon=ROOT / "configs" / "lexicon.yaml")
    classifier.fit([], LABEL_NAMES, lambda share, words: None)
    return Bundle(make_manifest(), classifier)


def predictions_of(model, texts, y_true=None):
    """What a model says of texts, each an article of its own."""
    y_true = np.zeros(len(texts), int) if y_true is None else y_true
    return likeliest(y_true, model.predict_proba(texts), [str(n) for n in range(len(texts))])


def words_of(model, text):
    """The words of a text with their weights."""
    texts = model.normalize([text])
    return word_weights(model, texts, predictions_of(model, texts))[0]


@pytest.mark.parametrize("text", HARD)
def test_a_weight_is_what_the_log_odds_lose_without_the_word(bundle, text):
    ((best, second, _),) = np.argsort(-bundle.predict_proba([text]), axis=1)

    def log_odds(given):
        probabilities = bundle.predict_proba([given])[0]
        return np.log(probabilities[best] / probabilities[second])

    (read,) = bundle.normalize([text])
    for word in words_of(bundle, text):
        without = f"{read[: word.start]} {read[word.end :]}"
        assert word.weight == pytest.approx(log_odds(read) - log_odds(without), abs=1e-6)


def test_every_word_has_its_span(bundle):
    words = words_of(bundle, "Geese  want\ntalks.")
    assert ["Geese want talks."[word.start : word.end] for word in words] == ["Geese", "want", "talks."]


def test_a_word_that_speaks_for_the_label_weighs_most(keywords):
    text = "The goose praised diplomacy."
    words = words_of(keywords, text)
    heaviest = max(words, key=lambda word: word.weight)
    assert text[heaviest.start : heaviest.end] == "diplomacy." and heaviest.weight > 0


def test_words_that_only_join_are_not_left_out(keywords):
    ((found, *rest),) = occlude(keywords, ["The goose of the"])
    assert found[0] == (4, 9) and rest == []


def test_a_text_of_one_word_is_left_whole(keywords):
    assert occlude(keywords, ["Diplomacy"]) == [[]]


def test_the_audit_finds_that_a_keyword_list_lives_by_its_words(keywords):
    texts = ["Diplomacy for geese.", "The goose slept.", "A goose with a name slept."] * 8
    found = audit(keywords, texts, predictions_of(keywords, texts, np.array([1, 2, 2] * 8)), OBVIOUS)
    assert (found.examined, found.decided, found.touched) == (8, 8, 8)
    assert found.share == 1 and found.change.value < -0.4


def test_without_obvious_words_the_audit_hides_none(keywords):
    texts = ["Diplomacy for geese.", "A goose slept.", "Honk."]
    found = audit(keywords, texts, predictions_of(keywords, texts, np.array([1, 2, 2])))
    assert (found.masked, found.change, found.touched, found.decided) == (None, None, 0, 1)


def test_no_list_of_obvious_words_is_none(tmp_path):
    assert read_obvious(None) is None and read_obvious(tmp_path / "words.yaml") is None


@pytest.mark.parametrize("content", ["- (", "7", "- [", "- 7"])
def test_a_broken_list_of_obvious_words_is_one_line(tmp_path, content):
    (tmp_path / "words.yaml").write_text(content)
    error = refused(read_obvious, tmp_path / "words.yaml")
    assert error.where == str(tmp_path / "words.yaml") and error.what.startswith(
        ("invalid YAML", "is no list of words")
    )
    assert error.what.startswith("invalid YAML") or error.expected == "a list of regular expressions"


def examples_of(*pairs):
    return [Example(f"a{n}", 0, 0, 9, text, label, "test", f"a{n}") for n, (text, label) in enumerate(pairs)]


def errors_of(model, rows):
    texts = [row.text for row in rows]
    return select_errors(model, rows, texts, predictions_of(model, texts, index_labels(rows, LABEL_NAMES)))


def test_the_most_confident_mistake_comes_first_and_the_least_confident_row_too(keywords):
    rows = examples_of(
        ("Honk.", "neutral"),
        ("Talk of diplomacy.", "neutral"),
        ("Diplomacy, dialogue, negotiations.", "neutral"),
        ("Diplomacy or maximum pressure.", "neutral"),
    )
    mistakes, unsure = errors_of(keywords, rows)
    assert [row.id for row in mistakes] == ["a2:0-9", "a1:0-9"]
    assert unsure[0].confidence == min(row.confidence for row in unsure) and len(unsure) == 4


def test_a_row_of_the_table_names_its_heaviest_words(keywords):
    rows = examples_of(("Talk of diplomacy.", "neutral"))
    (row,), _ = errors_of(keywords, rows)
    assert row.to_dict()["words"].startswith("diplomacy. +") and row.to_dict()["predicted"] == "pro-dialogue"


def test_words_are_weighed_for_the_label_that_a_rule_decides_on(keywords):
    texts = ["The goose praised diplomacy."]
    probabilities = keywords.predict_proba(texts)

    def heaviest(label):
        decided = Predictions(np.zeros(1, int), np.array([label]), probabilities, np.array(["a"]))
        return max(word_weights(keywords, texts, decided)[0], key=lambda word: abs(word.weight))

    assert heaviest(1).weight > 0 > heaviest(0).weight


def test_a_word_decides_where_the_rule_of_the_model_says_so(keywords):
    """With an offset that nothing overcomes no word changes a label."""
    stubborn = keywords.manifest.model_copy(update={"decision": DecisionRule((30.0, 0.0, 0.0))})
    model, texts = replace(keywords, manifest=stubborn), ["Diplomacy for geese.", "A goose slept."]
    probabilities = keywords.predict_proba(texts)
    predictions = Predictions(np.array([2, 2]), model.decide(probabilities), probabilities, np.array(["a", "b"]))
    found = audit(model, texts, predictions)
    assert (found.examined, found.decided) == (2, 0)
