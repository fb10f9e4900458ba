import json

import numpy as np
import pytest

from pipeline.coverage.domain import read_words, write_words
from pipeline.coverage.held_out import NAME, PRETRAINED, WORDS, HeldOut, find_held_out, read_held_out, write_held_out
from pipeline.errors import InputError

FACTS = HeldOut(
    label_names=("kettle", "stove", "neither"),
    ids=("a", "b"),
    outlets=("The Daily Parley", ""),
    dates=("2017-08-12", ""),
    article=np.array([0, 0, 1]),
    label=np.array([0, 2, 1]),
    probabilities=np.array([[0.8, 0.1, 0.1], [0.25, 0.25, 0.5], [0.0, 1.0, 0.0]]),
    probes=("Put the kettle on.",),
    probe_probabilities=np.array([[0.9, 0.05, 0.05]]),
)


def same(one, two):
    return all(
        np.array_equal(mine, theirs) for mine, theirs in zip(vars(one).values(), vars(two).values(), strict=True)
    )


@pytest.fixture
def shipped(tmp_path):
    write_held_out(tmp_path / "small" / NAME, FACTS)
    return tmp_path


def test_what_is_written_comes_back(shipped):
    assert same(read_held_out(shipped / "small" / NAME), FACTS)


def test_labels_in_another_order_are_the_same_labels():
    other = FACTS.reorder(("neither", "kettle", "stove"))
    assert other.label.tolist() == [1, 0, 2]
    assert other.probabilities[0].tolist() == [0.1, 0.8, 0.1]
    assert same(other.reorder(FACTS.label_names), FACTS)


@pytest.mark.parametrize(("shift", "known"), [(0.0, True), (0.02, True), (0.1, False)])
def test_facts_belong_to_the_model_that_thinks_the_same_of_the_probes(shipped, shift, known):
    def predict_proba(texts):
        assert tuple(texts) == FACTS.probes
        return np.array([[0.9 - shift, 0.05 + shift, 0.05]])

    assert (find_held_out(FACTS.label_names, predict_proba, shipped) is not None) == known


def test_the_words_of_the_articles_lie_beside_their_facts(shipped):
    def predict_proba(texts):
        return FACTS.probe_probabilities

    assert find_held_out(FACTS.label_names, predict_proba, shipped).words is None
    write_words(shipped / "small" / WORDS, ["Kettle.", "Stove."])
    assert find_held_out(FACTS.label_names, predict_proba, shipped).words.shape[0] == 2


@pytest.mark.parametrize("file", sorted(PRETRAINED.glob(f"*/{NAME}")), ids=lambda file: file.parent.name)
def test_what_ships_has_the_words_of_each_article(file):
    words = read_words(file.with_name(WORDS))
    assert words.shape[0] == len(read_held_out(file).ids)
    assert words.sum(1).min() > 20


def test_a_model_of_other_labels_has_no_facts(shipped):
    assert find_held_out(("tea", "coffee"), lambda texts: 1 / 0, shipped) is None
    assert find_held_out(FACTS.label_names, lambda texts: 1 / 0, shipped / "small") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("articles"),
        lambda content: content["articles"][0]["labels"].append(1),
        lambda content: content["articles"][0]["labels"].__setitem__(0, 3),
        lambda content: content["articles"][0]["probabilities"][0].append(0.0),
        lambda content: content["articles"][0]["probabilities"].__setitem__(0, [0.9, 0.9, 0.1]),
        lambda content: content["articles"][0]["probabilities"].__setitem__(0, [1.1, -0.1, 0.0]),
        lambda content: content["articles"].clear(),
        lambda content: content.__setitem__("articles", 7),
    ],
)
def test_facts_that_cannot_be_are_one_line(shipped, change):
    file = shipped / "small" / NAME
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="holds no held-out facts"):
        read_held_out(file)


def test_what_ships_holds_no_text_of_others():
    facts = read_held_out(PRETRAINED / "small" / NAME)
    assert len(facts.ids) > 100
    assert len(facts.label) > 3000
    content = json.loads((PRETRAINED / "small" / NAME).read_text(encoding="utf-8"))
    assert {key for row in content["articles"] for key in row} == {
        "article",
        "outlet",
        "date",
        "labels",
        "probabilities",
    }
    ours = (PRETRAINED.parents[1] / "labels" / "single.jsonl").read_text(encoding="utf-8")
    assert [probe for probe in facts.probes if json.dumps(probe, ensure_ascii=False) not in ours] == []
