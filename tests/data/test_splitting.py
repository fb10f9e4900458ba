import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.splitting import (
    BOILERPLATE,
    Duplicate,
    assign,
    group,
    leaks,
    link,
    near_duplicates,
    normalize,
    shingles,
)

RECIPE = (
    "The envoy put the sanctions into a pot and stirred them until the communique was thick enough to stand a spoon in"
)
SPEECH = "Nobody in the hall had heard the minister say the word dialogue nine times in a row without coughing once"
SHARES = {"train": 0.8, "test": 0.2}


# Words and shingles


def test_normalizing_keeps_words_alone():
    assert normalize("“Talks,” he said -- TALKS!") == "talks he said talks"


def test_a_text_of_six_words_has_two_shingles():
    assert shingles("one two three four five six") == {"one two three four five", "two three four five six"}


def test_a_short_text_is_one_shingle():
    assert shingles("No relief!") == {"no relief"}


@pytest.mark.parametrize("text", ["", " …!? "])
def test_a_text_without_words_has_no_shingle(text):
    assert shingles(text) == set()


# Near-duplicates


def test_a_copied_text_is_found():
    assert near_duplicates({"a": RECIPE, "b": RECIPE}) == [Duplicate("a", "b", 1.0)]


def test_an_overlap_of_just_the_threshold_is_enough():
    assert near_duplicates({"a": RECIPE, "b": RECIPE}, threshold=1.0) == [Duplicate("a", "b", 1.0)]


def test_a_copy_with_other_punctuation_and_case_is_found():
    assert near_duplicates({"a": RECIPE, "b": RECIPE.upper() + "!"}) == [Duplicate("a", "b", 1.0)]


def test_a_short_text_inside_a_long_one_is_found():
    (found,) = near_duplicates({"long": f"{SPEECH}. {RECIPE}. {SPEECH[::-1]}", "short": RECIPE})
    assert found.overlap == 1


def test_a_text_with_one_word_changed_is_found():
    (found,) = near_duplicates({"a": RECIPE, "b": RECIPE.replace("spoon", "fork")})
    assert 0.4 <= found.overlap < 1


def test_unrelated_texts_are_not_found():
    assert near_duplicates({"a": RECIPE, "b": SPEECH}) == []


def test_texts_without_words_are_not_alike():
    assert near_duplicates({"a": "…", "b": "!"}) == []


def test_a_phrase_that_everybody_uses_makes_no_texts_alike():
    phrase = "the Democratic People's Republic of Korea"
    texts = {str(n): f"{phrase} soup{n} bread{n}" for n in range(BOILERPLATE + 1)}
    assert near_duplicates(texts, threshold=0.2) == []


def test_the_most_alike_come_first():
    texts = {"a": RECIPE, "b": RECIPE.replace("spoon", "fork"), "c": RECIPE}
    assert [pair.overlap for pair in near_duplicates(texts)] == sorted(
        (pair.overlap for pair in near_duplicates(texts)), reverse=True
    )


# Groups


def test_a_chain_of_pairs_is_one_group():
    assert group("abcd", [("b", "c"), ("a", "b")]) == {"a": "a", "b": "a", "c": "a", "d": "d"}


def test_without_pairs_each_is_its_own_group():
    assert group("ab", []) == {"a": "a", "b": "b"}


def test_the_order_of_pairs_does_not_matter():
    pairs = [("d", "c"), ("b", "a"), ("c", "b")]
    assert group("abcd", pairs) == group("abcd", pairs[::-1])


# Parts


def crowd(size, random_state=0):
    """Make many articles with a few labels each."""
    rng = random.Random(random_state)
    labels = ["pro-sanctions"] * 3 + ["pro-dialogue"] * 2 + ["neutral"] * 5
    result = {}
    for number in range(size):
        drawn = rng.choices(labels, k=rng.randint(3, 20))
        result[f"article-{number:03}"] = {label: drawn.count(label) for label in set(drawn)}
    return result


def share(strata, parts, label, part="test"):
    own = sum(rows.get(label, 0) for key, rows in strata.items() if parts[key] == part)
    return own / sum(rows.get(label, 0) for rows in strata.values())


@pytest.mark.parametrize("label", ["pro-sanctions", "pro-dialogue", "neutral"])
def test_each_label_comes_near_its_share(label):
    strata = crowd(200)
    assert share(strata, assign(strata, SHARES), label) == pytest.approx(0.2, abs=0.02)


def test_every_article_gets_one_of_the_parts():
    strata = crowd(50)
    parts = assign(strata, SHARES)
    assert parts.keys() == strata.keys() and set(parts.values()) == {"train", "test"}


def test_the_same_random_state_gives_the_same_parts():
    assert assign(crowd(60), SHARES, random_state=3) == assign(crowd(60), SHARES, random_state=3)


def test_another_random_state_gives_other_parts():
    assert assign(crowd(60), SHARES, random_state=3) != assign(crowd(60), SHARES, random_state=4)


def test_the_order_of_the_articles_does_not_matter():
    strata = crowd(60)
    assert assign(strata, SHARES) == assign(dict(reversed(strata.items())), SHARES)


CROWD = st.integers(0, 2**32).map(lambda state: crowd(30, state))


@given(CROWD, st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=20))
def test_a_group_is_never_divided(strata, pairs):
    names = sorted(strata)
    groups = group(names, [(names[a], names[b]) for a, b in pairs])
    parts = assign(strata, SHARES, groups=groups)
    assert all(parts[name] == parts[root] for name, root in groups.items())


@given(CROWD, st.dictionaries(st.integers(0, 29), st.sampled_from(["train", "test"])))
def test_what_has_a_part_never_moves(strata, places):
    names = sorted(strata)
    fixed = {names[place]: part for place, part in places.items()}
    assert fixed.items() <= assign(strata, SHARES, fixed=fixed).items()


def test_a_group_follows_its_fixed_member():
    strata = {"old": {"neutral": 1}, "copy": {"neutral": 9}}
    parts = assign(strata, SHARES, groups={"old": "old", "copy": "old"}, fixed={"old": "test"})
    assert parts == {"old": "test", "copy": "test"}


def test_a_group_follows_a_fixed_member_that_has_no_rows():
    groups = {"old": "copy", "copy": "copy"}
    assert assign({"copy": {"neutral": 9}}, SHARES, groups=groups, fixed={"old": "test"}) == {"copy": "test"}


def test_the_free_make_up_for_what_the_fixed_lack():
    strata = {name: {"neutral": 10} for name in "abcde"}
    parts = assign(strata, SHARES, fixed=dict.fromkeys("abcd", "train"))
    assert parts["e"] == "test"


# Leaks


def test_a_sentence_that_stands_on_both_sides_is_a_leak():
    assert leaks([("a", "train", RECIPE), ("b", "test", RECIPE)]) == [Duplicate("a", "b", 1.0)]


def test_a_sentence_that_stands_twice_on_one_side_is_none():
    assert leaks([("a", "train", RECIPE), ("b", "train", RECIPE)]) == []


def test_other_sentences_are_no_leak():
    assert leaks([("a", "train", RECIPE), ("b", "test", SPEECH)]) == []


def test_a_few_words_are_a_leak_as_a_whole_and_not_as_the_beginning_of_another_text():
    short, longer = ("a", "train", "The talks will go on."), ("b", "test", "The talks will go on, she said at noon.")
    assert leaks([short, longer]) == []
    assert [(pair.first, pair.second) for pair in leaks([short, ("c", "test", "the talks WILL go on")])] == [("a", "c")]


def test_of_equal_sentences_each_one_is_in_a_leak():
    many = [(f"{part} {n}", part, "The talks will go on.") for part in ("train", "test") for n in range(60)]
    found = {key for pair in leaks(many) for key in (pair.first, pair.second)}
    assert found == {key for key, _, _ in many}


def test_equal_texts_are_one_group_however_many_they_are():
    _, groups = link({f"text {n}": "No more tea!" if n % 2 else "no more TEA" for n in range(100)})
    assert len(set(groups.values())) == 1
