"""Whose position a sentence gives; every sentence is invented."""

import time

import pytest
from conftest import ROOT

from pipeline.coverage.actors import read_actors
from pipeline.coverage.speakers import find_speakers

ACTORS = read_actors(ROOT / "configs" / "actors.yaml")


def find(*texts, at=-1):
    at %= len(texts)
    return find_speakers(texts, [at], ACTORS)[at]


@pytest.mark.parametrize(
    ("text", "words", "actor", "quotation"),
    [
        # Quotations.
        ("“Talks are the only soup on the table,” said John Kerry.", "John Kerry", "us-government", "direct"),
        ('"We will keep the pot boiling," Wang Yi told reporters.', "Wang Yi", "china", "direct"),
        ("Abe said the lid needs “more pressure” to stay on.", "Abe", "japan", "mixed"),
        (
            '"No soup for anybody, ever again," the ministry said, Reuters reported.',
            "the ministry",
            "unknown",
            "direct",
        ),
        # Somebody says or wants it.
        ("Seoul urged the North to come back to the table.", "Seoul", "south-korea", "indirect"),
        ("Lee Moo, a professor at Noodle University, said sanctions work.", "Lee Moo", "expert", "indirect"),
        (
            "A senior diplomat who deals with the South said talks were near.",
            "A senior diplomat",
            "unknown",
            "indirect",
        ),
        ("Sanctions must bite harder, said Sen. Lindsey Graham.", "Sen. Lindsey Graham", "us-legislator", "indirect"),
        ("The paper says Tillerson’s call for sanctions came late.", "Tillerson", "us-government", "indirect"),
        ("According to Reuters, Putin wants talks.", "Putin", "russia", "indirect"),
        ("Sanctions will stay, according to the White House.", "the White House", "us-government", "indirect"),
        ("The Kremlin issued a statement calling for talks.", "The Kremlin", "russia", "indirect"),
        (
            "In Berlin, Angela Merkel, speaking slowly, said Germany wanted talks.",
            "Angela Merkel",
            "other-state",
            "indirect",
        ),
        ("Pence said Trump and Kim agreed to meet again.", "Trump and Kim", "us-government", "indirect"),
        ("Kim said he wanted sanctions to go.", "Kim", "north-korea", "indirect"),
        ("Kim came to the door and asked for sanctions to go.", "Kim", "north-korea", "indirect"),
        ("Kerry Warns Cooks, Holds Out Hope For Soup", "Kerry", "us-government", "indirect"),
        ("WASHINGTON, May 3 (Reuters) - Kerry urged China to press harder.", "Kerry", "us-government", "indirect"),
        ("Kerry (D-Mass.) has been at pains to stress talks.", "Kerry", "us-government", "indirect"),
        ("The agency quoted Kim as saying sanctions must go.", "Kim", "north-korea", "indirect"),
        ("Kim's critics said talks are soup.", "Kim's critics", "us-other", "indirect"),
        ("He said China wanted talks, and added: “Soup is not enough for us.”", "He", "unknown", "direct"),
        ("Many say that talks are soup.", "Many", "unknown", "indirect"),
        (
            "Trump’s adviser, John Bolton, said sanctions stay.",
            "Trump’s adviser, John Bolton",
            "us-government",
            "indirect",
        ),
        ("Nuclear want sanctions.", "", "writer", "voice"),
        # Somebody does it.
        ("The Security Council tightened sanctions on coal.", "The Security Council", "un", "act"),
        # Nobody but the writer.
        ("Broad support would help the talks.", "", "writer", "voice"),
        ("Sanctions have never made anybody cook better.", "", "writer", "voice"),
        ("We must not lift the lid too early.", "", "writer", "voice"),
        ("If China pressed harder, the lid would hold.", "", "writer", "voice"),
    ],
)
def test_one_sentence(text, words, actor, quotation):
    speaker = find(text)
    assert (speaker.words, speaker.actor, speaker.quotation) == (words, actor, quotation)
    assert text[speaker.start : speaker.end] == words


@pytest.mark.parametrize(
    ("texts", "words", "name", "actor"),
    [
        (["Moon Jae-in met cooks in Seoul.", "He said talks help."], "He", "Moon Jae-in", "south-korea"),
        (["Trump met Nikki Haley.", "She wants no talks."], "She", "Nikki Haley", "us-government"),
        (["Pompeo spoke to Kim.", "He said it went well.", "He wants talks."], "He", "Mike Pompeo", "us-government"),
        (["Foreign Minister Kim Soup arrived.", "The minister wants talks."], "The minister", "Kim Soup", "unknown"),
        (["Ann Ladle, an analyst in Seoul, nodded.", "Ladle said talks help."], "Ladle", "Ann Ladle", "expert"),
        (["China spoke first.", "It urged everybody to hold talks."], "It", "China", "china"),
        (["Jo Ladle said: “It is cold.", "We need talks.", "We need soup.”"], "Jo Ladle", "Jo Ladle", "unknown"),
        (["“It is cold,” Xi said.", "“Talks would warm us.”"], "Xi", "Xi Jinping", "china"),
        (["Mr. Moon came.", "His brother wants talks."], "His brother", "His brother", "south-korea"),
        (["Trump met Kim.", "Both leaders want talks."], "Both leaders", "Both leaders", "us-government"),
        (["The minister of Japan, Jo Ladle, came.", "Ladle wants talks."], "Ladle", "Jo Ladle", "japan"),
        (["“Talks would warm us,” it said.", "Ann Soup, Washington Post"], "it", "", "unknown"),
        (["“Talks would warm us.”", "Ann Soup, Washington Post"], "Ann Soup", "Ann Soup", "us-other"),
        (["Ann Ladle said: “", "It is cold.", "Talks would warm us.”"], "Ann Ladle", "Ann Ladle", "unknown"),
        (
            ["Talks would warm us all.", "— Bernie Sanders (@noodles) May 3"],
            "Bernie Sanders",
            "Bernie Sanders",
            "us-legislator",
        ),
    ],
)
def test_who_that_is_stands_in_another_sentence(texts, words, name, actor):
    at = next(i for i, text in enumerate(texts) if "talks" in text.lower())
    speaker = find(*texts, at=at)
    assert (speaker.words, speaker.name, speaker.actor) == (words, name, actor)
    assert texts[speaker.sentence][speaker.start : speaker.end] == words


def test_in_a_transcript_whoever_has_the_turn_speaks():
    texts = ["Ann Soup: Is it cold?", "John Kerry: It is.", "I want talks.", "Ann Soup: Why?", "John Kerry: They help."]
    speaker = find(*texts, at=2)
    assert (speaker.words, speaker.name, speaker.actor, speaker.quotation) == (
        "I",
        "John Kerry",
        "us-government",
        "direct",
    )


def test_in_an_opinion_what_somebody_does_is_told_in_the_voice_of_the_writer():
    news = ["Kerry came.", "It is cold.", "Trump lifted sanctions."]
    assert find(*news).quotation == "act"
    assert find("We know better.", *news).quotation == "voice"
    assert find("We know better.", "Kerry said so.", *news).quotation == "act"


def test_a_quotation_that_nobody_speaks_is_unknown():
    speaker = find("“Talks would warm us.”")
    assert (speaker.words, speaker.actor, speaker.quotation) == ("", "unknown", "direct")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "“",
        "”””",
        '"',
        "'s said",
        "he he he he said said said",
        "said",
        "— (@",
        "金正恩说 “好”",
        "old " * 9000 + "said",
    ],
)
def test_no_text_is_too_odd(text):
    assert find(text, text, at=1).quotation in ("direct", "indirect", "mixed", "act", "voice")


def test_a_thousand_sentences_a_second():
    texts = ["Foreign Minister Kim Soup of South Korea met cooks, old friends and John Kerry in the kitchen."] * 3
    texts += ["“Talks,” he said, “are the only soup on the table, and the North knows that they will be served.”"] * 2
    find_speakers(texts, [3], ACTORS)
    began = time.process_time()
    for _ in range(100):
        find_speakers(texts, [3, 4], ACTORS)
    assert 200 / (time.process_time() - began) > 1000


def test_time_does_not_grow_with_how_often_somebody_is_named():
    texts = ["Ann Ladle met him."] * 5000 + ["Ladle wants talks."] * 50
    began = time.process_time()
    find_speakers(texts, range(5000, 5050), ACTORS)
    assert time.process_time() - began < 1
