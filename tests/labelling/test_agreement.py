import krippendorff
import numpy as np
import pytest
from conftest import LABEL_NAMES
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.annotations import ADJUDICATED, Annotation
from pipeline.labelling.agreement import compare_annotators, measure_agreement, measure_by, measure_by_label


def annotation(label="neutral", annotator="ann", article_id="soup", start=0, end=5, text="Soup."):
    return Annotation(article_id, start, end, text, label, annotator, "soup.jsonl:1")


def test_without_a_second_opinion_there_is_no_agreement():
    assert measure_agreement([annotation(), annotation(start=6, end=12, text="Bread.")], LABEL_NAMES) is None


def test_annotators_who_always_agree_have_an_alpha_of_one():
    rows = [annotation(label, who, article_id=label) for label in LABEL_NAMES for who in ("ann", "bob")]
    found = measure_agreement(rows, LABEL_NAMES)
    assert (found.alpha, found.low, found.high, found.spans, found.differ) == (1, 1, 1, 3, 0)


def test_annotators_who_know_one_label_alone_agree():
    assert measure_agreement([annotation(annotator="ann"), annotation(annotator="bob")], LABEL_NAMES).alpha == 1


def test_the_adjudication_is_no_opinion():
    rows = [annotation("neutral", "ann"), annotation("neutral", ADJUDICATED)]
    assert measure_agreement(rows, LABEL_NAMES) is None


def test_the_interval_of_alpha_holds_it():
    rng = np.random.default_rng(0)
    rows = []
    for number in range(60):
        first = LABEL_NAMES[rng.integers(3)]
        second = first if rng.random() < 0.8 else LABEL_NAMES[rng.integers(3)]
        rows += [annotation(first, "ann", f"soup-{number}"), annotation(second, "bob", f"soup-{number}")]
    found = measure_agreement(rows, LABEL_NAMES)
    assert found.low < found.alpha < found.high


def test_the_interval_of_alpha_is_fixed_by_the_random_state():
    rows = rows_of(PUBLISHED, "012345")
    first, again, other = (measure_agreement(rows, "012345", random_state=state) for state in (3, 3, 4))
    assert first == again != other


# The published worked example: Krippendorff (2011), C. Nominal data, any number of observers, missing data.
PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]


def rows_of(opinions, names):
    return [
        annotation(names[label], f"annotator {who}", article_id=f"soup-{unit}")
        for who, labels in enumerate(opinions)
        for unit, label in enumerate(labels)
        if label is not None
    ]


def test_alpha_is_that_of_the_published_example():
    found = measure_agreement(rows_of(PUBLISHED, "012345"), "012345", resamples=2)
    assert round(found.alpha, 3) == 0.743


@given(
    st.integers(2, 12).flatmap(
        lambda units: st.lists(
            st.lists(st.sampled_from([None, 0, 1, 2]), min_size=units, max_size=units), min_size=2, max_size=4
        )
    )
)
def test_alpha_is_that_of_the_krippendorff_package(opinions):
    counts = np.array([[sum(label == k for label in unit) for k in range(3)] for unit in zip(*opinions, strict=True)])
    counts = counts[counts.sum(1) > 1]
    found = measure_agreement(rows_of(opinions, LABEL_NAMES), LABEL_NAMES, resamples=2)
    if (counts.sum(0) > 0).sum() > 1:
        expected = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
        assert found.alpha == pytest.approx(expected)
    else:
        # The package refuses what is annotated twice nowhere, or with one label alone.
        assert found is None or found.alpha == 1


# Pairs, labels, months


def test_kappa_is_that_of_a_worked_example():
    # Cohen (1960): agreement of 70 % where 50 % is chance.
    opinions = [("neutral", "neutral")] * 35 + [("pro-dialogue", "pro-dialogue")] * 35
    opinions += [("neutral", "pro-dialogue")] * 15 + [("pro-dialogue", "neutral")] * 15
    rows = [
        annotation(label, who, f"soup-{number}")
        for number, both in enumerate(opinions)
        for who, label in zip(("ann", "bob"), both, strict=True)
    ]
    assert compare_annotators(rows, LABEL_NAMES)[0].kappa == pytest.approx(0.4)


def test_the_confusion_of_a_pair_has_the_first_annotator_in_its_rows():
    rows = [annotation("pro-sanctions", "ann"), annotation("neutral", "bob")]
    found = compare_annotators(rows, LABEL_NAMES)[0]
    assert (found.first, found.second, found.matrix.tolist()) == ("ann", "bob", [[0, 0, 1], [0, 0, 0], [0, 0, 0]])


def test_each_two_annotators_are_a_pair_and_the_adjudication_is_none():
    rows = [annotation("neutral", who) for who in ("ann", "bob", "cho", ADJUDICATED)]
    assert [(pair.first, pair.second) for pair in compare_annotators(rows, LABEL_NAMES)] == [
        ("ann", "bob"),
        ("ann", "cho"),
        ("bob", "cho"),
    ]


def test_those_who_share_most_come_first():
    shared = {"ann": 1, "bob": 3, "cho": 3}
    rows = [annotation("neutral", who, f"soup-{n}") for who, number in shared.items() for n in range(number)]
    pairs = compare_annotators(rows, LABEL_NAMES)
    assert [(pair.first, pair.second) for pair in pairs] == [("bob", "cho"), ("ann", "bob"), ("ann", "cho")]


def test_annotators_who_know_one_label_alone_have_a_kappa_of_one():
    rows = [annotation("neutral", "ann"), annotation("neutral", "bob")]
    assert compare_annotators(rows, LABEL_NAMES)[0].kappa == 1


def test_agreement_on_a_label_forgets_the_quarrel_about_others():
    rows = []
    for number, (first, second) in enumerate(
        [("pro-sanctions", "pro-sanctions"), ("neutral", "pro-dialogue"), ("pro-dialogue", "neutral")]
    ):
        rows += [annotation(first, "ann", f"soup-{number}"), annotation(second, "bob", f"soup-{number}")]
    found = measure_by_label(rows, LABEL_NAMES)
    assert found["pro-sanctions"].alpha == 1 and found["neutral"].alpha < 0


def test_agreement_is_measured_by_any_key():
    rows = [annotation("neutral", "ann", "may"), annotation("neutral", "bob", "may")]
    rows += [annotation("neutral", "ann", "june"), annotation("pro-dialogue", "bob", "june")]
    rows += [annotation("neutral", "ann", "july")]
    found = measure_by(lambda row: row.article_id, rows, LABEL_NAMES)
    assert {name: value.differ for name, value in found.items()} == {"june": 1, "may": 0}
