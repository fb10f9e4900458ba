import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.sentences import cut, find_title, paragraphs, read_prose

BEFORE = "Sanctions are a slow dinner, the envoy said."
AFTER = "Nobody asked for the bill."


def texts(article):
    return [sentence.text for sentence in cut(article)]


def test_an_article_of_furniture_alone_has_no_sentence():
    assert cut("Advertisement\n\nComments are closed.") == []


@pytest.mark.parametrize("text", ["", " \n\t\n ", "…!?"])
def test_nothing_to_read_is_no_sentence(text):
    assert cut(text) == []


# Where sentences end


def test_a_line_is_a_paragraph():
    assert texts("Talks resume in Geneva\nThe soup was cold.") == ["Talks resume in Geneva", "The soup was cold."]


@pytest.mark.parametrize(
    "sentence",
    [
        "Mr. Kim met Dr. Pak at 5 p.m. to talk about soup.",
        "The U.S. envoy ordered 3.5 litres.",
        "The North Korea-U.S. summit was soup.",
        "“Is it soup?” he asked.",
    ],
)
def test_a_full_stop_inside_a_sentence_does_not_end_it(sentence):
    assert texts(sentence) == [sentence]


def test_sentences_are_numbered_in_order():
    assert [sentence.index for sentence in cut(f"{BEFORE} {AFTER}\n\nThe end.")] == [0, 1, 2]


WRAPPED = (
    "The delegation arrived with forty suitcases, of which\n"
    "thirty-nine held soup. The fortieth held a proposal to\n"
    "ease sanctions.\n"
)


def test_lines_wrapped_at_a_width_are_read_as_one():
    assert [" ".join(text.split()) for text in texts(WRAPPED)] == [
        "The delegation arrived with forty suitcases, of which thirty-nine held soup.",
        "The fortieth held a proposal to ease sanctions.",
    ]


def test_the_span_of_a_wrapped_sentence_holds_its_line_break():
    assert cut(WRAPPED)[0].text == WRAPPED[: WRAPPED.index(" The fortieth")]


def test_line_ends_of_windows_change_no_sentence():
    article = f"{BEFORE} {AFTER}\n\nTalks go on.\nSo does lunch."
    assert texts(article.replace("\n", "\r\n")) == texts(article)


def test_line_ends_of_windows_change_no_wrapped_sentence():
    words = [[text.split() for text in texts(article)] for article in (WRAPPED, WRAPPED.replace("\n", "\r\n"))]
    assert words[0] == words[1]


@pytest.mark.parametrize(("width", "count"), [(39, 3), (40, 1), (100, 1), (101, 3)])
def test_lines_are_wrapped_where_they_are_as_long_as_a_column(width, count):
    assert len(list(paragraphs("\n".join(letter * width for letter in "abc")))) == count


LIST = """The parties agreed on this:

- Sanctions on coal and iron stay for a year.
- Talks on the reactor begin in the spring
- Nobody tests a missile before the snow is gone
"""


def test_the_lines_of_a_list_are_sentences_of_their_own():
    assert texts(LIST)[1:] == [line for line in LIST.splitlines() if line.startswith("-")]
    assert len(texts(LIST.replace("- ", ""))) == 4


def test_the_lines_of_a_list_in_small_letters_are_sentences_of_their_own():
    items = [
        "a treaty under which the North moves its guns;",
        "a freeze on tests, verified by inspectors;",
        "full soup.",
    ]
    assert texts("\n".join(items)) == items


def test_lines_of_uneven_length_are_wrapped_where_they_go_on():
    text = (
        "I extend my warm congratulations to the ambassador on his\n"
        "election to the presidency of this long assembly, which\n"
        "honours his country and its many fine kitchens.\n"
        "Nobody asked for the bill, and that is why we\nhave none.\n"
    )
    assert [" ".join(sentence.split()) for sentence in texts(text)] == [
        "I extend my warm congratulations to the ambassador on his election to the presidency of this long assembly, "
        "which honours his country and its many fine kitchens.",
        "Nobody asked for the bill, and that is why we have none.",
    ]


def test_two_lines_are_no_wrapped_paragraph():
    assert len(list(paragraphs("\n".join(letter * 60 for letter in "ab")))) == 2


def test_a_blank_line_ends_a_wrapped_paragraph():
    assert len(list(paragraphs(WRAPPED + "\n" + WRAPPED))) == 2


def test_a_long_run_of_spaces_at_the_end_is_no_paragraph():
    assert list(paragraphs("Soup.\n" + " " * 100_000)) == [(0, 5)]


@pytest.mark.parametrize(
    "text",
    [
        "The envoy ate 김치. Then he ate 냉면.",
        "Peace 🕊️ is soup 🍲. War is none.",
        "Cafe\u0301 talks go on. İstanbul hosts them.",
        "A space\u00a0that does not break. A line\u2028that does.",
        "Zero\u200bwidth soup. 𝔉raktur soup.",
    ],
)
def test_characters_are_counted_in_any_script(text):
    assert [text[sentence.start : sentence.end] for sentence in cut(text)] == texts(text) != []


PIECES = [
    *("Kim", "talks.", "Sanctions!", "U.S.", "“Soup?”", "Photo: AFP", "…", "(", ")", "1."),
    *(" ", "\n", "\n\n", "\r\n", "\r", "\t", "\u2028", "\x85", "\xa0", "\x1c", "김치.", "🍲", "e\u0301", "İ", "w" * 45),
]
ANY_TEXT = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join))


@given(ANY_TEXT)
def test_every_span_slices_back_to_its_sentence(text):
    assert all(text[sentence.start : sentence.end] == sentence.text for sentence in cut(text))


@given(ANY_TEXT)
def test_spans_are_in_order_and_do_not_overlap(text):
    ends = [place for sentence in cut(text) for place in (sentence.start, sentence.end)]
    assert ends == sorted(ends)


@given(ANY_TEXT)
def test_no_sentence_is_blank_or_has_space_around_it(text):
    assert all(sentence.text == sentence.text.strip() != "" for sentence in cut(text))


@given(ANY_TEXT)
def test_paragraphs_hold_all_that_is_not_space(text):
    kept = "".join(text[start:end] for start, end in paragraphs(text))
    assert "".join(kept.split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The plan: 1. Stop all tests. 2. Send soup.", ["The plan: 1. Stop all tests.", "2. Send soup."]),
        ("2.\n\n38\n\n01:41\n\nSoup for 2.", ["Soup for 2."]),
        ("The plan has three parts: 1. Stop. 2. Go.", ["The plan has three parts: 1. Stop.", "2. Go."]),
        ("1. Salt stays.\n2. Pepper goes.", ["1. Salt stays.", "2. Pepper goes."]),
        ("They met at 5 p.m. Seoul time. Nobody ate.", ["They met at 5 p.m. Seoul time.", "Nobody ate."]),
        ("They met at 9 a.m. EST on Monday.", ["They met at 9 a.m. EST on Monday."]),
        ("They ate at 5 p.m. Kim left.", ["They ate at 5 p.m.", "Kim left."]),
        ("The envoy was 12. The cook was 13.", ["The envoy was 12.", "The cook was 13."]),
    ],
)
def test_numbers_and_hours_are_no_sentences(text, expected):
    assert texts(text) == expected


# Titles

BODY = "The envoys of six nations agreed on soup. Nobody agreed on sanctions."


@pytest.mark.parametrize(
    "title",
    ["Envoys agree on soup", "ENVOYS AGREE: SOUP", "“Soup”, say envoys", "Envoys agree on soup | The Daily Parley"],
)
def test_a_title_is_the_first_sentence_and_marked_wherever_it_stands(title):
    inside, outside = cut(f"Envoys agree on soup\n\n{BODY}", "Envoys agree on soup"), cut(BODY, title)
    assert [(s.index, s.is_title) for s in inside] == [(s.index, s.is_title) for s in outside]
    assert [s.is_title for s in outside] == [True, False, False] and outside[0].text == title
    assert (outside[0].start, outside[0].end) == (0, len(title)) and outside[1].start == 0


def test_a_title_behind_which_a_page_names_itself_is_not_there_twice():
    found = cut(f"Envoys agree on soup\n\n{BODY}", "Envoys agree on soup - The Daily Parley")
    assert [(s.text, s.is_title) for s in found][:1] == [("Envoys agree on soup", True)] and len(found) == 3


def test_a_title_stands_alone_where_the_text_is_furniture():
    assert [(s.text, s.is_title) for s in cut("Advertisement", "Envoys agree")] == [("Envoys agree", True)]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (f"Envoys agree on soup\n\n{BODY}", "Envoys agree on soup"),
        (f"Envoys agree on soup\n{BODY}", "Envoys agree on soup"),
        (f"{BODY}\n\nThe end.", ""),
        ("Envoys agree on soup", ""),
        (f"- Envoys agree on soup\n\n{BODY}", ""),
        (f"Q: Should they agree?\n\n{BODY}", ""),
        (f"Advertisement\n\n{BODY}", ""),
        (f"By Ri Sol, cook\n\n{BODY}", ""),
        ("Salt\nPepper\nBread", ""),
        ("", ""),
    ],
)
def test_a_headline_is_a_first_line_that_is_no_sentence(text, title):
    assert find_title(text) == title


# The two real articles, each in another form


def seed(name):
    return (ROOT / "seeds" / name).read_bytes().decode("utf-8")


CLASH, VETO = seed("000_b9c68dfbacdd035b.txt"), seed("004_f539c37ecbe7f26d.txt")


@pytest.mark.parametrize("words", ["Photo: AFP", "26 replies on", "Comments are closed."])
def test_what_stands_around_the_real_article_is_left_out(words):
    assert words in CLASH and not any(words in text for text in texts(CLASH))


def test_the_repeated_caption_of_the_real_article_is_left_out():
    caption = CLASH.split("\n", 1)[0]
    assert CLASH.count(caption) == 2 and not any(text in caption for text in texts(CLASH))


def test_the_headings_of_the_real_article_are_kept():
    assert {"China, Russia challenge US line", "Next summit in Seoul"} <= set(texts(CLASH))


def test_the_dateline_of_the_real_article_is_kept():
    assert texts(VETO)[1].startswith("UNITED NATIONS (Dispatches) — China and Russia have vetoed")


def test_the_headline_of_the_real_article_is_a_sentence():
    assert texts(VETO)[0] == VETO.split("\n", 1)[0]


@pytest.mark.parametrize(("article", "last"), [(CLASH, "busily occupied."), (VETO, "strong signal to Pyongyang.”")])
def test_the_last_sentence_of_a_real_article_is_its_own(article, last):
    assert texts(article)[-1].endswith(last)


def test_a_title_that_comes_after_another_line_is_there_once():
    sentences, dropped = read_prose("The Daily Soup\n\nEnvoys meet\n\nNobody ate.", "Envoys meet")
    assert [(s.text, s.is_title) for s in sentences] == [
        ("Envoys meet", True),
        ("The Daily Soup", False),
        ("Nobody ate.", False),
    ]
    assert [(line.text, line.kind) for line in dropped] == [("Envoys meet", "repeated")]
