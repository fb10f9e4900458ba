"""The first stage: what it is sure of, that it never touches the rest, and how it is stored."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from pipeline.classifiers import cascade, pieces

MENU = ["soup", "noodles", "kimchi", "tea", "dumplings", "rice"]
SIDES = ["sanctions", "talks"]


@pytest.fixture(scope="module")
def tokenizer():
    words = {word: i for i, word in enumerate(["[UNK]", "[CLS]", "[SEP]", "the", *MENU, *SIDES])}
    made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    return made.to_str().encode()


def draw(number, random_state):
    """Menus, every fourth with a side; and probabilities of (side one, dinner, side two)."""
    rng = np.random.default_rng(random_state)
    texts, probabilities = [], []
    for n in range(number):
        words = ["the", *rng.choice(MENU, 4)]
        side = n % 8 // 4 if n % 4 == 0 else None
        texts.append(" ".join(words if side is None else [*words, SIDES[side]]))
        probabilities.append([0.02, 0.96, 0.02] if side is None else [0.9 - 0.8 * side, 0.05, 0.05 + 0.8 * side])
    return texts, np.array(probabilities)


@pytest.fixture(scope="module")
def stage(tokenizer):
    fitted = cascade.fit(tokenizer, *draw(200, 0))
    texts, probabilities = draw(60, 1)
    threshold = cascade.choose_threshold(fitted.scores(texts), probabilities.argmax(1) != 1)
    return cascade.FirstStage(**fitted.__dict__ | {"threshold": threshold})


def test_it_is_sure_of_most_plain_sentences_and_of_no_other(stage):
    texts, probabilities = draw(80, 2)
    plain = probabilities.argmax(1) == 1
    sure, _ = stage.answer(texts)
    assert not sure[~plain].any() and sure[plain].mean() > 0.9


def test_what_it_answers_is_the_commonest_label_with_probabilities_that_add_up(stage):
    sure, found = stage.answer(draw(80, 2)[0])
    assert found.shape == (sure.sum(), 3) and (found.argmax(1) == 1).all()
    assert np.allclose(found.sum(1), 1)


def test_below_the_threshold_lies_no_held_out_text_with_another_label():
    scores, others = np.array([-3.0, -2.0, 1.0, -2.5]), np.array([False, True, True, False])
    threshold = cascade.choose_threshold(scores, others)
    assert (scores < threshold).tolist() == [True, False, False, True]


def test_without_another_label_nothing_is_sure():
    scores = np.array([-3.0, -2.0])
    assert not (scores < cascade.choose_threshold(scores, np.zeros(2, bool))).any()


def test_a_sentence_scores_the_same_whatever_stands_beside_it(stage):
    texts = draw(40, 3)[0]
    assert stage.scores(texts)[7] == stage.scores([texts[7]])[0]


def test_a_piece_and_a_pair_count_once_a_text(stage):
    rows, features, lengths = pieces.count_pieces(stage.tokenizer, ["tea tea tea", "tea"], 12)
    # [CLS] tea [SEP], and the pairs ([CLS], tea), (tea, tea), (tea, [SEP]); no pair goes over a border.
    assert lengths.tolist() == [6, 5] and np.bincount(rows).tolist() == [6, 5]
    assert (np.sort(features[rows == 0])[:3] == [1, 2, 7]).all() and set(features[rows == 1]) < set(features[rows == 0])


def test_what_is_stored_answers_the_same(stage, tokenizer):
    again = cascade.restore(stage.to_dict(), stage.weights, tokenizer)
    texts = draw(40, 3)[0]
    for a, b in zip(stage.answer(texts), again.answer(texts), strict=True):
        assert np.array_equal(a, b)


def test_no_text_gives_no_answer(stage):
    sure, found = stage.answer([])
    assert (sure.shape, found.shape) == ((0,), (0, 3))


# A smaller model before the full one


def test_a_smaller_model_answers_from_the_confidence_on_where_it_costs_nothing():
    y_true = np.array([0, 1] * 50)
    full = np.eye(2)[y_true] * 0.8 + 0.1
    small, sure = full.copy(), np.linspace(0.5, 0.99, 100)
    wrong = (sure > 0.6) & (sure < 0.7)
    for row in range(100):
        label = 1 - y_true[row] if wrong[row] else y_true[row]
        small[row] = 1 - sure[row]
        small[row, label] = sure[row]
    least = cascade.choose_confidence(y_true, small, full, lambda probabilities: probabilities.argmax(1))
    assert least == 0.7
    assert not (wrong & (sure >= least)).any()


def test_a_smaller_model_that_is_wrong_where_it_is_surest_never_answers():
    y_true = np.array([0, 1] * 20)
    full = np.eye(2)[y_true]
    assert cascade.choose_confidence(y_true, 1 - full, full, lambda probabilities: probabilities.argmax(1)) == 1.0
