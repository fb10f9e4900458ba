import numpy as np
import pytest
from conftest import LABEL_NAMES, ROOT, make_manifest

from pipeline.bundle import Bundle
from pipeline.classifiers import index_labels
from pipeline.classifiers.rules import Keywords
from pipeline.data.dataset import Example
from pipeline.errors import InputError
from pipeline.evaluation.attribution import audit, occlude, read_obvious, word_weights
from pipeline.evaluation.mistakes import select_errors

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


@pytest.mark.parametrize("text", HARD)
def test_the_exact_weights_add_up_to_the_log_odds(bundle, text):
    ((best, second, _),) = np.argsort(-bundle.predict_proba([text]), axis=1)
    probabilities = bundle.predict_proba([text])[0]
    intercepts = bundle.classifier.state().arrays["intercepts"] / bundle.manifest.calibration.temperature
    intercepts = intercepts + np.array(bundle.manifest.calibration.bias or np.zeros(3))
    total = sum(word.weight for word in word_weights(bundle, [text])[0]) + intercepts[best] - intercepts[second]
    assert total == pytest.approx(np.log(probabilities[best] / probabilities[second]), abs=1e-6)


def test_every_word_of_a_linear_model_has_its_span(bundle):
    (words,) = word_weights(bundle, ["Geese  want\ntalks."])
    assert ["Geese want talks."[word.start : word.end] for word in words] == ["Geese", "want", "talks."]


def test_other_kinds_are_asked_by_leaving_words_out(keywords):
    text = "The goose praised diplomacy."
    (words,) = word_weights(keywords, [text])
    heaviest = max(words, key=lambda word: word.weight)
    assert text[heaviest.start : heaviest.end] == "diplomacy." and heaviest.weight > 0


def test_words_that_only_join_are_not_left_out(keywords):
    ((found, *rest),) = occlude(keywords, ["The goose of the"])
    assert found[0] == (4, 9) and rest == []


def test_a_text_of_one_word_is_left_whole(keywords):
    assert occlude(keywords, ["Diplomacy"]) == [[]]


def test_the_audit_finds_that_a_keyword_list_lives_by_its_words(keywords):
    texts = ["Diplomacy for geese.", "The goose slept.", "A goose with a name slept."] * 8
    found = audit(keywords, texts, np.array([1, 2, 2] * 8), [str(n) for n in range(24)], OBVIOUS)
    assert (found.looked_at, found.decided, found.touched) == (8, 8, 8)
    assert found.share == 1 and found.change.value < -0.4


def test_without_obvious_words_the_audit_hides_none(keywords):
    found = audit(keywords, ["Diplomacy for geese.", "A goose slept.", "Honk."], np.array([1, 2, 2]), ["a", "b", "c"])
    assert (found.masked, found.change, found.touched, found.decided) == (None, None, 0, 1)


def test_no_list_of_obvious_words_is_none(tmp_path):
    assert read_obvious(None) is None and read_obvious(tmp_path / "words.yaml") is None


@pytest.mark.parametrize("content", ["- (", "7", "- [", "- 7"])
def test_a_broken_list_of_obvious_words_is_one_line(tmp_path, content):
    (tmp_path / "words.yaml").write_text(content)
    with pytest.raises(
        InputError, match="words.yaml: (invalid YAML|is no list of words .*; expected a list of regular expressions)"
    ):
        read_obvious(tmp_path / "words.yaml")


def examples_of(*pairs):
    return [Example(f"a{n}", 0, 0, 9, text, label, "test", f"a{n}") for n, (text, label) in enumerate(pairs)]


def test_the_surest_mistake_comes_first_and_the_least_sure_row_too(keywords):
    rows = examples_of(
        ("Honk.", "neutral"),
        ("Talk of diplomacy.", "neutral"),
        ("Diplomacy, dialogue, negotiations.", "neutral"),
        ("Diplomacy or maximum pressure.", "neutral"),
    )
    probabilities = keywords.predict_proba([row.text for row in rows])
    mistakes, unsure = select_errors(keywords, rows, index_labels(rows, LABEL_NAMES), probabilities)
    assert [row.article_id for row in mistakes] == ["a2", "a1"]
    assert unsure[0].confidence == min(row.confidence for row in unsure) and len(unsure) == 4


def test_a_row_of_the_table_names_its_heaviest_words(keywords):
    rows = examples_of(("Talk of diplomacy.", "neutral"))
    probabilities = keywords.predict_proba([row.text for row in rows])
    (row,), _ = select_errors(keywords, rows, index_labels(rows, LABEL_NAMES), probabilities)
    assert row.to_dict()["words"].startswith("diplomacy. +") and row.to_dict()["predicted"] == "pro-dialogue"
