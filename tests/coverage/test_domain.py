"""Words of two kinds of articles are told apart where they differ, and not where they do not."""

import numpy as np
import pytest

from pipeline.coverage.domain import (
    FEWEST_ARTICLES,
    MOST_ARTICLES,
    Sample,
    hash_words,
    read_words,
    tell_apart,
    write_words,
)

WORDS = "kettle teapot biscuit saucer spoon sugar lemon honey mint ginger clove samovar barley oolong".split()


def articles(count, words, seed):
    rng = np.random.default_rng(seed)
    return hash_words(" ".join(rng.choice(words, 6)) for _ in range(count))


def test_articles_of_the_same_words_cannot_be_told_apart():
    auc = tell_apart(articles(80, WORDS, 0), articles(80, WORDS, 1))
    assert auc.low < 0.55
    assert auc.low < auc.value < auc.high


def test_articles_of_other_words_can():
    assert tell_apart(articles(40, WORDS[:7], 0), articles(40, WORDS[7:], 1)).low > 0.99


def test_too_few_articles_say_nothing():
    assert tell_apart(articles(FEWEST_ARTICLES - 1, WORDS, 0), articles(80, WORDS, 1)) is None


def test_an_article_that_is_in_both_is_left_out():
    both = articles(60, WORDS, 0)
    assert tell_apart(both, both) is None


def test_what_ships_comes_back_and_holds_no_text(tmp_path):
    write_words(tmp_path / "words.npz", ["Kettle, kettle and teapot.", "Samovar!"])
    words = read_words(tmp_path / "words.npz")
    assert words.sum(1).ravel().tolist() == [[2.0, 1.0]] or words.sum(1).ravel().tolist() == [2.0, 1.0]
    assert (words != hash_words(["teapot kettle", "samovar"])).nnz == 0
    assert b"kettle" not in (tmp_path / "words.npz").read_bytes()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_sample_is_the_same_in_any_order_of_articles(seed):
    names = np.random.default_rng(seed).permutation(3 * MOST_ARTICLES)
    sample = Sample()
    for name in names:
        for part in range(2):
            sample.add(f"a{name}", [f"kettle saucer{'abcdefgh'[name % 8]} {'xy'[part]}spoon"])
    words = sample.words()
    other = Sample()
    for name in sorted(names):
        other.add(f"a{name}", [f"kettle saucer{'abcdefgh'[name % 8]} xspoon yspoon"])
    assert words.shape[0] == MOST_ARTICLES
    assert (words != other.words()).nnz == 0
