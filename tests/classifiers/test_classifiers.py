import ast

import numpy as np
import pytest
from conftest import LABEL_NAMES, ROOT
from refusals import refused

from pipeline.classifiers import KINDS, create, index_labels
from pipeline.config import Candidate
from pipeline.data.examples import Example

TEXTS = [
    "Tougher sanctions must bite like a winter radish.",
    "Talks are soup for the soul of diplomacy.",
    "The radish was bought on a Monday.",
]
OPTIONS = {
    "keywords": {"lexicon": "configs/lexicon.yaml"},
    "tfidf": {"min_df": 1, "character_ngrams": [3, 4]},
}


def make(kind, **options):
    return create(Candidate(name=kind, kind=kind, options=OPTIONS.get(kind, {}) | options))


def fitted(kind, examples, **options):
    classifier = make(kind, **options)
    classifier.fit(examples, LABEL_NAMES, lambda share, words: None)
    return classifier


def test_labels_are_indexed_in_the_order_of_their_names(examples):
    assert index_labels(examples[:3], LABEL_NAMES).tolist() == [0, 1, 2]


def test_an_unknown_kind_is_refused_with_those_there_are():
    error = refused(create, Candidate(name="mine", kind="oracle"))
    assert (error.where, error.what) == ("candidate 'mine'", "unknown kind 'oracle'")
    assert error.expected.startswith("one of majority, keywords, ")


@pytest.mark.parametrize(
    ("option", "value", "why"), [("spice", "salt", ""), ("C", "much", "Input should be a valid number")]
)
def test_an_option_that_cannot_be_is_refused_with_those_there_are(option, value, why):
    error = refused(make, "tfidf", **{option: value})
    assert error.where == "candidate 'tfidf'" and error.what.startswith(f"option `{option}`: {why}")
    assert error.expected.startswith("options of tfidf: C, word_ngrams, character_ngrams")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_names_a_class_that_is_there(kind):
    module, name = KINDS[kind].split(":")
    tree = ast.parse((ROOT / "pipeline" / "classifiers" / f"{module}.py").read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


# Majority


def test_the_majority_answers_with_the_most_common_label(examples):
    most = [example for example in examples if example.label == "pro-dialogue"] + list(examples[:1])
    assert fitted("majority", most).decision_function(TEXTS).argmax(1).tolist() == [1, 1, 1]


def test_the_majority_scores_are_how_common_labels_are(examples):
    np.testing.assert_allclose(np.exp(fitted("majority", examples).decision_function(TEXTS[:1])), [[1 / 3] * 3])


def test_a_label_that_never_occurs_is_not_impossible(examples):
    alone = [example for example in examples if example.label == "neutral"]
    assert np.isfinite(fitted("majority", alone).decision_function(TEXTS)).all()


# Keywords

LEXICON = "pro-sanctions: [\\bsanctions\\b, squeeze]\npro-dialogue: [\\btalks\\b, soup]\n"


@pytest.fixture
def keywords(project, examples):
    def with_lexicon(content=LEXICON):
        (project / "lexicon.yaml").write_text(content)
        return fitted("keywords", examples, lexicon="lexicon.yaml")

    return with_lexicon


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("SANCTIONS now!", "pro-sanctions"),
        ("Soup first.", "pro-dialogue"),
        ("The goose sat down.", "neutral"),
        ("Sanctions or talks?", "neutral"),
        ("Sanctions, soup and talks.", "pro-dialogue"),
        ("Sanctionsless.", "neutral"),
    ],
)
def test_the_side_with_more_phrases_wins_and_a_tie_is_neutral(keywords, text, label):
    assert LABEL_NAMES[keywords().decision_function([text]).argmax()] == label


def test_a_restored_lexicon_needs_no_file(keywords, project):
    state = keywords().state()
    (project / "lexicon.yaml").unlink()
    restored = make("keywords", lexicon="lexicon.yaml")
    restored.restore(state)
    assert restored.decision_function(["Soup first."]).argmax() == 1


def test_a_missing_lexicon_is_named(project, examples):
    error = refused(fitted, "keywords", examples, lexicon="lunch.yaml")
    assert error.where == "lunch.yaml" and error.what.startswith("No such file")


def test_a_lexicon_with_an_unknown_label_is_refused(keywords):
    error = refused(keywords, "hungry: [soup]")
    assert error.where.endswith("lexicon.yaml") and error.what == "unknown label 'hungry'"
    assert error.expected == ", ".join(LABEL_NAMES)


def test_the_lexicon_of_the_repository_knows_both_sides(examples):
    scores = fitted("keywords", examples).decision_function(TEXTS)
    assert scores.argmax(1).tolist() == [0, 1, 2]


# TF-IDF


def test_tfidf_learns_its_examples(examples):
    scores = fitted("tfidf", examples, C=100.0).decision_function([example.text for example in examples])
    assert scores.argmax(1).tolist() == index_labels(examples, LABEL_NAMES).tolist()


def test_tfidf_hears_a_word_it_has_learned(examples):
    side = [e for e in examples if e.label != "neutral"]
    scores = fitted("tfidf", side).decision_function(["pressure sanctions regime", "diplomacy negotiations envoy"])
    assert scores.argmax(1).tolist() == [0, 1]


@pytest.mark.parametrize("missing", LABEL_NAMES)
def test_a_label_that_was_not_learned_never_wins(examples, missing):
    classifier = fitted("tfidf", [example for example in examples if example.label != missing])
    assert LABEL_NAMES.index(missing) not in classifier.decision_function([*TEXTS, "", "정상 회담"]).argmax(1)


def test_terms_in_too_few_sentences_are_left_out(examples):
    terms = fitted("tfidf", examples, min_df=2).state().values["word"]
    assert "the" in terms and "centrifuge" not in terms


def test_tfidf_reads_a_language_that_puts_no_blanks_between_words():
    said = {
        "pro-sanctions": "应该加强对朝鲜的制裁",
        "pro-dialogue": "应该与朝鲜恢复对话",
        "neutral": "今天下了一场大雨",
    }
    rows = [
        Example(f"{n}", 0, 0, 9, f"{text}第{n}次", label, "train", f"{n}")
        for n in range(4)
        for label, text in said.items()
    ]
    scores = fitted("tfidf", rows, min_df=2, C=100.0).decision_function(list(said.values()))
    assert scores.argmax(1).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="documents than min_df"):
        fitted("tfidf", rows, min_df=99)


def test_tfidf_keeps_no_files(examples):
    assert fitted("tfidf", examples).state().blobs == {}


def test_tfidf_tells_how_far_it_is(examples):
    told = []
    make("tfidf").fit(examples, LABEL_NAMES, lambda share, words: told.append(share))
    assert told == sorted(told) and 0 <= told[0] < told[-1] <= 1
