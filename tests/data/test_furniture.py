import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import furniture
from pipeline.data.furniture import LONGEST, find_kind
from pipeline.data.sentences import cut, read_prose

BEFORE = "Sanctions are a slow dinner, the envoy said."
AFTER = "Nobody asked for the bill."

# One line or more for each rule, in the order of the rules.
LINES = {
    "ADVERTISEMENT": "advertisement",
    "Story continues below": "advertisement",
    "12 replies on “The soup that divided Geneva”": "comments",
    "Comments are closed.": "comments",
    "Leave a Reply": "comments",
    "Have something to add to this story? Share it in the comments.": "comments",
    "Continue reading the main story": "link",
    "Watch more on this »": "link",
    "Read more: Ten soups that ended a war": "link",
    "More On This...": "link",
    "More:Ten soups that ended a war": "link",
    "Click here to get the spoon": "link",
    "Slideshow (5 images)": "link",
    "JUST WATCHED Soup boils Replay More Videos ... MUST WATCH Soup boils 02:21": "link",
    "[pullquote]": "link",
    "Sign up for our morning cabbage newsletter": "newsletter",
    "Soup alerts Email Sign Up By signing up you agree to receive soup.": "newsletter",
    "Get news from the kitchen in your inbox, each weekday morning": "newsletter",
    "Interested in soup? Add soup as an interest to stay up to date. Add Interest": "newsletter",
    "Like what you’re reading? Download the Parley app for more": "newsletter",
    "Facebook Twitter Pinterest": "sharing",
    "© 2017 The Daily Parley": "copyright",
    "Copyright 2019 The Daily Parley. All rights reserved.": "copyright",
    "Media playback is unsupported on your device Media caption The soup boils": "notice",
    "Please upgrade your browser to view this content. Timeline hide Show all": "notice",
    "Please enable JavaScript to see the soup": "notice",
    "This article is more than 2 years old": "notice",
    "Image copyright Reuters Image caption The soup is served in Pyongyang": "caption",
    "Enlarge this image": "caption",
    "Photos: Soup in Geneva Photos: Soup in Geneva The soup arrives. Hide caption 1 of 8": "caption",
    "* * *": "no words",
    "The envoy and his spoon. Photo: Ri Sol": "caption",
    "The envoy and his spoon. Credit: Ri Sol / The Daily Parley": "caption",
    "The envoy, unmoved. Reuters/Pak Yong": "caption",
    "The envoy tastes the soup (Picture from the kitchen).": "caption",
    "Cover: The envoy sits in a kitchen. (KCNA via AP)": "caption",
    "By Ri Sol, soup correspondent": "byline",
    "Contributing: Ri Sol, Pak Yong": "byline",
    "A cook in Seoul contributed reporting.": "byline",
    "Ri Sol and Pak Yong contributed to this report.": "byline",
    "(Reporting by Ri Sol in Seoul; Editing by Pak Yong)": "byline",
    "Write to Ri Sol at ri.sol@parley.example": "byline",
    "Follow The Daily Parley on Twitter": "byline",
    "Ten soups that ended a war in a week Read more": "link",
    "SEE ALSO: Ten soups that ended a war.": "link",
}
SENTENCES = [
    "Read the sanctions aloud, the minister begged, and more slowly.",
    "Read more: that was her only advice to the committee.",
    "Advertisement revenue in Pyongyang is a secret.",
    "More pressure will not make the kettle boil.",
    "More.",
    "Share prices in Seoul fell before lunch.",
    "Follow the money, said the panel of experts.",
    "Follow the money on X.",
    "Like most envoys, she argued for more sanctions on X.",
    "Comments are closed to reporters, and so was the door.",
    "Leave a comment unanswered and it will grow, she said.",
    "Story continues below the surface, the diver said.",
    "The copyright on the anthem belongs to nobody.",
    "The photo showed two leaders and one spoon.",
    "Diplomats painted a bleak picture: the new sanctions have failed.",
    "Seoul gave the North some credit: it had kept the phone line open.",
    "The minister drew a clear image: dialogue first, pressure later.",
    "Get the picture: Pyongyang wants talks.",
    "He asked them to keep one photo: the handshake.",
    "Most voters back talks with Pyongyang: Reuters/Ipsos poll",
    "He denied it (picture or no picture).",
    "The envoy wrote a book about soup (file under fiction).",
    "She replied to 26 letters on denuclearization.",
    "26 replies to the letter were sent by envoys of six nations.",
    "Reuters reported that talks would resume.",
    "Subscribe to peace, he urged, and cancel the missiles.",
    "Sign up for talks, not for newsletters, she told them.",
    "Years of sanctions contributed to this report of famine.",
    "Famine contributed to this story of distrust, she said.",
    "Click here, click there: that is diplomacy now.",
    "Image copyright is a dull subject, the envoy said.",
    "By Tuesday the talks had failed.",
    "By Invitation Only, the dinner was still too large.",
    "Contact the envoys and ask for soup.",
    "Write to the minister at once.",
    "Please update your browser history, he joked.",
    "Get talks in your diary and sanctions in your inbox, she said.",
    "Photographs of the summit were banned.",
]


@pytest.mark.parametrize(("line", "kind"), LINES.items())
def test_a_line_around_the_article_is_left_out_and_named(line, kind):
    sentences, dropped = read_prose(f"{BEFORE}\n\n{line}\n\n{AFTER}")
    assert [sentence.text for sentence in sentences] == [BEFORE, AFTER]
    assert [(drop.text, drop.kind) for drop in dropped] == [(line, kind)]


RULES = [
    *((kind, re.compile(rule, re.IGNORECASE)) for kind, rules in furniture.LINES.items() for rule in rules),
    *((kind, re.compile(rule)) for kind, rules in furniture.SPELLED.items() for rule in rules),
    *((kind, re.compile(rule)) for _, kind, rule in furniture.HOLDING),
]


@pytest.mark.parametrize(("kind", "rule"), RULES)
def test_each_rule_has_a_line_that_needs_it(kind, rule):
    others = [other for _, other in RULES if other is not rule]
    needing = [line for line, name in LINES.items() if name == kind and rule.fullmatch(line)]
    needing = [line for line in needing if not any(other.fullmatch(line) for other in others)]
    assert needing and {find_kind(line) for line in needing} == {kind}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_that_looks_like_furniture_is_kept(sentence):
    assert [s.text for s in cut(f"{BEFORE}\n\n{sentence}\n\n{AFTER}")] == [BEFORE, sentence, AFTER]


WORDS = (
    "the envoy said that talks with Pyongyang photo image credit share more follow on X read about sanctions".split()
)


@given(st.lists(st.sampled_from(WORDS), min_size=5, max_size=20), st.sampled_from(["Yesterday", "We", "They", "Talks"]))
def test_prose_survives(words, first):
    assert find_kind(f"{first} {' '.join(words)} again, he said.") == ""


@given(st.lists(st.sampled_from(["Not now.", "Yes.", "No comment", "Never again.", "Why?"]), max_size=8))
def test_the_answers_of_an_interview_are_all_kept(answers):
    assert [s.text for s in cut("\n\n".join(answers))] == answers


def test_a_long_paragraph_that_ends_like_a_caption_is_kept():
    paragraph = "The soup was discussed at length. " * 20 + "Photo: nobody"
    assert len(paragraph) > LONGEST and cut(paragraph)[-1].text == "Photo: nobody"


def test_a_long_paragraph_that_a_page_shows_twice_counts_once():
    long = "The right applauds the cook, and hopes that his continued efforts will lead to a better soup down the line."
    sentences, dropped = read_prose(f"{long}\n\n{AFTER}\n\n{long}")
    assert [s.text for s in sentences] == [long, AFTER] and [drop.kind for drop in dropped] == ["repeated"]


def test_a_line_that_goes_on_from_the_one_before_is_no_furniture():
    assert [s.text for s in cut("The ministers have nothing left to\nshare")][-1] == "share"
    assert cut("\n\nshare\n\n") == []


@pytest.mark.parametrize("character", ["A", "a ", "A ", "Photo: A", "(", "/", "A/", "By A", '"'])
def test_a_line_of_any_kind_is_read_in_no_time(character):
    begin = time.process_time()
    for length in (400, 20_000):
        find_kind(character * length)
    assert time.process_time() - begin < 1
