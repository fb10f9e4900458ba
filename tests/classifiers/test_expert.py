"""An expert beside a model: which texts it reads, that the others never meet it, and how both are stored."""

import json
import shutil

import numpy as np
import pytest
from conftest import LABEL_NAMES, make_manifest
from refusals import refused
from tokenizers import Tokenizer, models, pre_tokenizers

from pipeline.bundle import load_bundle, write_bundle
from pipeline.classifiers import create
from pipeline.classifiers.cascade import SecondStage
from pipeline.classifiers.expert import MOST_NEWS, Expert, fit_router, restore_router
from pipeline.classifiers.pretrained import write_expert
from pipeline.classifiers.pretrained_folder import HOME, REBUILD
from pipeline.config import Candidate
from pipeline.data.examples import Example

WORDS = ["lift", "keep", "stop", "them", "reporters", "said", "ministers", "met", "late", "monday"]
PLAIN, NEWS = WORDS[:4], WORDS[4:]


def silent(share, words):
    pass


def draw(words, number, random_state):
    rng = np.random.default_rng(random_state)
    return [" ".join(rng.choice(words, 4)) for _ in range(number)]


@pytest.fixture(scope="module")
def tokenizer():
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["[UNK]", *WORDS])}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made.to_str().encode()


@pytest.fixture(scope="module")
def router(tokenizer):
    return fit_router(tokenizer, draw(PLAIN, 200, 0), draw(NEWS, 200, 1), draw(NEWS, 200, 2))


class Says:
    """A classifier that gives each text the same logits, and remembers what it was asked."""

    def __init__(self, *logits):
        self.logits, self.heard = logits, []

    def decision_function(self, texts):
        self.heard += texts
        return np.array([self.logits] * len(texts))


def test_it_takes_plain_texts_and_hardly_any_news(router):
    assert router.takes(draw(PLAIN, 100, 3)).mean() > 0.9
    assert router.takes(draw(NEWS, 1000, 4)).mean() <= 2 * MOST_NEWS
    assert router.takes([]).shape == (0,)


def test_each_text_is_read_by_one_of_both_and_stays_in_its_place(router):
    expert, model = Says(1.0, 0.0), Says(0.0, 1.0)
    texts = ["ministers met late monday", "lift them", "reporters said", "keep them keep them"]
    found = Expert(router, expert).read(texts, model.decision_function)
    assert found.argmax(1).tolist() == [1, 0, 1, 0]
    assert (expert.heard, model.heard) == ([texts[1], texts[3]], [texts[0], texts[2]])


@pytest.mark.parametrize(("texts", "who"), [(["lift them"], 0), (["ministers met"], 1)])
def test_whom_no_text_concerns_is_not_asked(router, texts, who):
    both = Says(1.0, 0.0), Says(0.0, 1.0)
    assert Expert(router, both[0]).read(texts, both[1].decision_function).argmax(1).tolist() == [who]
    assert both[1 - who].heard == []


def test_a_router_that_is_stored_takes_the_same(router, tokenizer):
    texts = draw(WORDS, 100, 5)
    again = restore_router(router.to_dict(), router.weights, tokenizer)
    assert np.array_equal(again.takes(texts), router.takes(texts))
    with pytest.raises(ValueError, match="another tokenizer's"):
        restore_router(router.to_dict(), router.weights[:-1], tokenizer)


@pytest.fixture
def folders(tiny_pretrained, tmp_path):
    """A model and its expert, whose head was turned round, over the tiny encoder."""
    from safetensors.numpy import load_file, save_file

    model, expert = (shutil.copytree(tiny_pretrained, tmp_path / name) for name in ("model", "expert"))
    head = load_file(expert / "head.safetensors")
    save_file({name: array[::-1].copy() for name, array in head.items()}, expert / "head.safetensors")
    alone = create(Candidate(name="x", kind="pretrained", options={"model": str(model)}))
    alone.fit([], LABEL_NAMES, silent)
    router = fit_router(alone.tokenizer, ["hot tea"] * 5, ["cold ice"] * 5, ["cold ice"] * 5)
    write_expert(str(expert), router, {}, model)
    return model, expert, alone


def fitted(folder, names=LABEL_NAMES):
    classifier = create(Candidate(name="x", kind="pretrained", options={"model": str(folder)}))
    classifier.fit([], names, silent)
    return classifier


def test_a_model_with_an_expert_is_exported_and_loaded(folders, tmp_path):
    model, expert, alone = folders
    texts = ["hot tea", "cold ice", "hot tea"]
    both = fitted(model)
    takes = both._expert.router.takes(texts)
    assert takes.tolist() == [True, False, True]
    expected = np.where(takes[:, None], fitted(expert).decision_function(texts), alone.decision_function(texts))
    np.testing.assert_allclose(both.decision_function(texts), expected, atol=1e-5)
    assert np.abs(expected - alone.decision_function(texts)).max() > 0.01
    candidate = Candidate(name="pretrained", kind="pretrained", options={"model": str(model)})
    write_bundle(tmp_path / "m", both, make_manifest(label_names=LABEL_NAMES, candidate=candidate), "", None)
    loaded = load_bundle(tmp_path / "m").classifier
    np.testing.assert_allclose(loaded.decision_function(texts), expected, atol=1e-5)
    # A model that has this one beside it takes its expert along.
    alone._second = SecondStage(both, 1.0, 1.0)
    write_bundle(tmp_path / "n", alone, make_manifest(label_names=LABEL_NAMES, candidate=candidate), "", None)
    loaded = load_bundle(tmp_path / "n").classifier
    np.testing.assert_allclose(loaded.decision_function(texts).argmax(1), expected.argmax(1))
    np.testing.assert_allclose(loaded.second_stage().classifier.decision_function(texts), expected, atol=1e-5)


def test_labels_in_another_order_are_no_other_labels(folders):
    texts = ["hot tea", "cold ice"]
    turned = fitted(folders[0], LABEL_NAMES[::-1]).decision_function(texts)[:, ::-1]
    np.testing.assert_allclose(turned, fitted(folders[0]).decision_function(texts), atol=1e-5)


def test_a_moved_head_keeps_the_expert(folders):
    adapted = create(Candidate(name="x", kind="adapted", options={"model": str(folders[0])}))
    adapted.fit([], LABEL_NAMES, silent)
    np.testing.assert_allclose(
        adapted.decision_function(["hot tea"]), fitted(folders[1]).decision_function(["hot tea"]), atol=1e-5
    )


def test_labels_of_ones_own_move_the_head_of_whoever_reads_them(folders):
    texts = ["hot tea", "cold ice"]
    before = fitted(folders[0]).decision_function(texts)
    label = LABEL_NAMES[before[0].argmin()]
    own = [Example("a", i, 0, 7, "hot tea", label, "train", "a") for i in range(20)]
    adapted = create(Candidate(name="x", kind="adapted", options={"model": str(folders[0]), "strength": 0.01}))
    adapted.fit(own, LABEL_NAMES, silent)
    after = adapted.decision_function(texts)
    assert LABEL_NAMES[after[0].argmax()] == label
    np.testing.assert_allclose(after[1], before[1], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("expert.json", b'{"model": '),
        ("expert.json", b"{}"),
        ("expert.safetensors", b"short"),
        ("expert.safetensors", None),
    ],
)
def test_a_damaged_expert_is_one_line(folders, name, content):
    file = folders[0] / name
    file.write_bytes(content) if content is not None else file.unlink()
    error = refused(fitted, folders[0])
    assert error.where == str(folders[0] / "expert.json") and error.what.startswith("names no expert")
    assert error.then == REBUILD


@pytest.mark.parametrize("changed", [0, 1])
def test_an_expert_of_another_adapter_is_refused(folders, changed):
    file = folders[changed] / "head.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"created": "1999-01-01"}), encoding="utf-8")
    error = refused(fitted, folders[0])
    assert (error.where, error.what) == (str(folders[0] / "expert.json"), "belongs to other adapters")
    assert error.then == REBUILD


def test_what_ships_sends_plain_sentences_to_its_expert_and_news_to_the_model(repository):
    small = create(Candidate(name="x", kind="pretrained"))
    small.fit([], ("pro-sanctions", "pro-dialogue", "neutral"), silent)
    plain = ["Don't lift the sanctions on North Korea.", "China should stop enforcing the sanctions."]
    news = [row.text for row in repository.examples if row.origin == "seed"]
    assert small._expert.router.takes(plain).all() and len(news) > 20
    assert small._expert.router.takes(news).mean() <= 0.1
    assert small.decision_function(plain).argmax(1).tolist() == [0, 1]
    takes = json.loads((HOME / "small/expert.json").read_text(encoding="utf-8"))["takes"]
    assert max(takes["validation"], takes["full-article-validation"]) <= 0.02
