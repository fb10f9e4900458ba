from collections import Counter

import numpy as np
import pytest
from conftest import LABEL_NAMES, ROOT
from refusals import refused

from pipeline.evaluation.behaviour import read_cases, try_cases

SHIPPED = ROOT / "configs" / "behaviour"


@pytest.fixture
def cases(tmp_path):
    """Write a file of cases and read it."""

    def written(content):
        (tmp_path / "mine.yaml").write_text(content, encoding="utf-8")
        return read_cases(tmp_path, LABEL_NAMES)

    return written


def by_length(texts):
    """A model that finds short texts neutral, and longer ones the more for sanctions."""
    share = np.array([min(len(text) / 40, 1.0) for text in texts])
    return np.stack([share, np.zeros_like(share), 1 - share], axis=1)


def tried(cases):
    return try_cases(cases, by_length, LABEL_NAMES)


def test_a_sentence_must_get_its_label(cases):
    found = tried(cases("geese: [{text: Honk., label: neutral}, {text: Honk., label: pro-dialogue}]"))
    assert [result.passed for result in found.results] == [True, False]


def test_sentences_that_say_the_same_must_get_the_same_label(cases):
    found = tried(cases(f"geese:\n - same: [Honk., Honk!]\n - same: [Honk., {'Honk ' * 9}]"))
    assert [result.passed for result in found.results] == [True, False]


def test_a_change_must_move_the_probability(cases):
    found = tried(cases("geese:\n - {text: Honk honk., than: Honk., more: pro-sanctions}"))
    assert found.results[0].passed
    assert not tried(cases("geese:\n - {text: Honk., than: Honk., more: pro-sanctions}")).results[0].passed


def test_rates_are_counted_by_capability(cases):
    found = tried(cases("a: [{text: Honk., label: neutral}]\nb: [{text: Honk., label: pro-dialogue}, {same: [x, y]}]"))
    assert found.capabilities == {"a": (1, 1), "b": (1, 2)} and found.rate == 2 / 3
    assert [result.case.wanted for result in found.failures] == ["is pro-dialogue"]


def test_no_case_is_no_suite(tmp_path):
    assert try_cases(read_cases(tmp_path, LABEL_NAMES), by_length, LABEL_NAMES) is None


@pytest.mark.parametrize(
    ("content", "place", "what", "expected"),
    [
        (
            "geese: [{text: Honk., label: angry}]",
            ": 'geese', case 1",
            "unknown label 'angry'",
            "pro-sanctions, pro-dialogue, ",
        ),
        ("geese: [{text: Honk.}]", ": 'geese', case 1", "has the keys text", "{label, text} or {same}"),
        ("geese: [Honk.]", ": 'geese', case 1", "has the keys none", "{label, text} or {same}"),
        ("geese: [{same: [Honk.]}]", ": 'geese', case 1", "`same` holds 1 sentence", "two or more"),
        ("geese: [{text: 7, label: neutral}]", ": 'geese', case 1", "holds something that is no text", "sentences"),
        ("- Honk.", "", "not a mapping", "capability: list of cases"),
        ("geese: [", "", "invalid YAML", ""),
    ],
)
def test_a_broken_case_is_named(cases, content, place, what, expected):
    error = refused(cases, content)
    assert error.where.endswith(f"mine.yaml{place}") and what in error.what and error.expected.startswith(expected)


def test_the_shipped_cases_are_many_and_of_many_kinds():
    found = read_cases(SHIPPED, LABEL_NAMES)
    assert len(found) >= 150 and len({case.capability for case in found}) >= 12
    labels = Counter(case.label for case in found if case.kind == "minimum")
    assert min(labels.values()) >= 30


def test_no_shipped_sentence_is_a_duplicate():
    texts = [case.texts[0] for case in read_cases(SHIPPED, LABEL_NAMES) if case.kind == "minimum"]
    assert len(texts) == len(set(texts))


def test_a_trained_model_passes_more_than_one_that_always_says_neutral(bundle):
    cases = read_cases(SHIPPED, LABEL_NAMES)
    always = try_cases(cases, lambda texts: np.tile([0.2, 0.2, 0.6], (len(texts), 1)), LABEL_NAMES)
    assert try_cases(cases, bundle.predict_proba, LABEL_NAMES).rate > always.rate


def test_a_rule_of_the_model_decides_the_label(cases):
    shy = cases("geese: [{text: Honk., label: pro-sanctions}]")
    assert not try_cases(shy, by_length, LABEL_NAMES).results[0].passed
    assert try_cases(shy, by_length, LABEL_NAMES, lambda probabilities: np.zeros(1, int)).results[0].passed
