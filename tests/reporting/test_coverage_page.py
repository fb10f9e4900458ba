"""The coverage page: what its first sentence says, that hostile names stay words, and that its tables open anywhere."""

import csv
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from pipeline.coverage.actors import Actors
from pipeline.coverage.actors import Table as ActorTable
from pipeline.coverage.drift import EXPECTED_ERROR, Difference, Drift
from pipeline.coverage.holders import Holders
from pipeline.coverage.measure import Coverage, Group, Labelled, Table
from pipeline.coverage.periods import Event
from pipeline.coverage.quotes import Quotes
from pipeline.coverage.rows import Batch
from pipeline.coverage.shares import Sums
from pipeline.reporting.coverage_page import render, write_page
from pipeline.reporting.coverage_words import Source, answer, leaning, percent, span
from pipeline.scoring.bootstrap import Interval

LABEL_NAMES = ("tea", "coffee", "neither")
SIDES = ("coffee", "tea")
HOSTILE = """<script>alert("x")</script>"'&{{ 7 * 7 }}"""
SOURCE = Source("rows.csv", "models/champion")


MORE = Interval(0.6, 0.55, 0.66)


def group(name="all", side=MORE, articles=30, **known):
    shares = (Interval(0.04, 0.03, 0.05), Interval(0.06, 0.05, 0.08), Interval(0.9, 0.88, 0.92))
    facts = {"sentences": 300, "counts": (10, 20, 268, 2), "means": (0.05, 0.07, 0.88), "shares": shares}
    return Group(name, articles, **facts | known, side=side)


def labelled(kind="own"):
    sums = Sums(np.full(50, 10.0), np.zeros((50, 3)), np.zeros((50, 3, 3)), np.full(50, 9.0))
    return Labelled(kind, sums, np.zeros((50, 3)), {}, np.arange(50))


def coverage(overall=None, tables=(), **known):
    facts = {"label_names": LABEL_NAMES, "sides": SIDES, "labelled": labelled()}
    return Coverage(**facts | known, overall=overall or group(), tables=tuple(tables))


def batch(**known):
    return Batch(LABEL_NAMES, ids=["a", "b"], outlets=["Kimchi Times", ""], dates=["2017-08-12", ""], **known)


@pytest.mark.parametrize(
    ("side", "words"),
    [
        (
            Interval(0.6, 0.55, 0.66),
            "Of the sentences that take a side in these 30 articles, 55 to 66 % are coffee: more",
        ),
        (Interval(0.3, 0.25, 0.42), "25 to 42 % are coffee: fewer than are tea."),
        (Interval(0.5, 0.42, 0.58), "42 to 58 % are coffee, the others are tea: neither side is shown to prevail."),
        (Interval(0.5, 0.1, 0.9), "These 30 articles do not say which side prevails"),
        (None, "These 30 articles do not say which side prevails"),
    ],
)
def test_the_first_sentence_answers(side, words):
    assert words in answer(coverage(group(side=side)))


def test_labels_that_begin_with_pro_are_argued_for():
    names = {"label_names": ("pro-tea", "pro-coffee", "neither"), "sides": ("pro-coffee", "pro-tea")}
    assert answer(coverage(**names)).endswith("55 to 66 % argue for coffee: more than for tea.")


def test_the_first_sentence_says_why_there_is_no_answer():
    nothing = group(side=None, shares=())
    assert answer(coverage(nothing, labelled=None)) == (
        "No estimate, because no labelled sentences correct the model: in 30 articles the model calls 10 tea, "
        "20 coffee, 268 neither, 2 uncertain of 300 sentences."
    )
    few = answer(coverage(replace(nothing, articles=1)))
    assert few.startswith("No estimate, because it takes 5 articles: in 1 article the model calls")


def test_without_sides_the_first_sentence_is_about_the_commonest_label():
    assert answer(coverage(sides=())) == "Of all sentences in these 30 articles, 88 to 92 % are neither."


def test_outlets_that_lean_are_named_the_clearest_first():
    outlets = [
        group("Kimchi Times", Interval(0.7, 0.55, 0.8)),
        group("Noodle Post", Interval(0.8, 0.65, 0.9)),
        group("The Daily Parley", Interval(0.3, 0.2, 0.45)),
        group("The Last Page", Interval(0.5, 0.4, 0.6)),
        group("", Interval(0.9, 0.8, 0.95)),
    ]
    said = leaning(coverage(tables=[Table("outlet", tuple(outlets)), Table("month", (group("2017-01"),))]))
    assert said == "Noodle Post and Kimchi Times lean to coffee, The Daily Parley leans to tea."
    assert (
        leaning(coverage(tables=[Table("outlet", tuple(outlets[3:] * 2))])) == "No outlet is shown to lean to a side."
    )
    assert leaning(coverage()) == ""


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0 %"), (0.004, "0.4 %"), (0.0994, "9.9 %"), (0.0996, "10 %"), (0.555, "56 %"), (1, "100 %")],
)
def test_shares_have_two_digits(value, words):
    assert percent(value) == words
    assert span(Interval(value, value, 0.5)).endswith("50 %")


class Tags(HTMLParser):
    """Which tags a page has, and whether each is closed."""

    def __init__(self):
        super().__init__()
        self.opened, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)
        if tag not in ("meta", "link", "line", "circle", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("line", "circle"):
            assert self.open.pop() == tag


def test_hostile_names_stay_words():
    tables = [
        Table("outlet", (group(HOSTILE), group("", None, 3), group("x" * 500, None))),
        Table("month", (group("2017-01"), Group("2017-02 to 2017-03"), group("2017-04"))),
    ]
    names = coverage(tables=tables)
    rejected = batch()
    rejected.rejects[HOSTILE] = 3
    rejected.first_reject = HOSTILE
    page = render(names, rejected, Source(HOSTILE, HOSTILE, rejected={HOSTILE: 2}))
    assert "<script" not in page
    assert "{{ 7 * 7 }}" in page  # nothing is rendered twice
    assert page.count("&lt;script&gt;") >= 5
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert set(tags.opened) & {"script", "iframe", "img", "object"} == set()
    assert re.findall(r'(?:src|href)="(?!data:,|#)', page) == []


def test_the_page_says_what_was_left_out():
    tables = [
        Table("outlet", (group("Kimchi Times"), group("The Last Page", articles=3), group("", articles=4))),
        Table("month", (group("", articles=7),)),
    ]
    rejected = batch()
    rejected.rejects["no `article_id`"] = 1200
    rejected.off_topic.update({"a": 2, "b": 3})
    page = render(
        coverage(tables=tables),
        rejected,
        Source(
            "rows.csv",
            "models/champion",
            rejected={"is in Dutch": 9, "is empty": 1} | {f"why {n}": 1 for n in range(9)},
        ),
    )
    for words in (
        ("1,200 rows", "no `article_id`: in no number here"),
        ("5 sentences", "off topic, in 2 articles: in no number here"),
        ("9 articles", "is in Dutch: no rows were made of them"),
        ("1 article", "is empty: no rows were made of it"),
        ("3 articles", "for other reasons: no rows were made of them"),
        ("4 articles", "with no outlet: in the totals alone"),
        ("3 articles", "of 1 outlet with fewer than 5: in the totals alone"),
        ("7 articles", "with no date: in the totals alone"),
        ("2 sentences", "labelled uncertain: their probabilities count, their label does not"),
    ):
        assert '<td>{}</td><td class="words">{}</td>'.format(*words) in page


def test_the_page_says_what_its_correction_assumes():
    assert "drawn at random, whose own labels count as they are" in render(coverage(), batch(), SOURCE)
    held_out = render(coverage(labelled=labelled("held-out")), batch(), replace(SOURCE, asked_labels=12))
    assert "the articles here are like those" in held_out
    assert "Of your 12 sentences labelled at random too few stand in this batch" in held_out
    nothing = render(coverage(group(side=None, shares=()), labelled=None), batch(), SOURCE)
    assert "Nothing corrects the model here" in nothing


@pytest.mark.parametrize(
    ("kind", "errors", "here", "words"),
    [
        ("own", 1.0, 0.06, "Alike: the model says the same of this batch as of the tea rooms"),
        (
            "own",
            -3.5,
            0.04,
            "Somewhat unlike: the batch differs from the tea rooms: tea 4.0 % here, 5.0 % there",
        ),
        ("own", 9.0, 0.2, "If your labelled sentences had been drawn at random, that would be rare"),
        ("held-out", 9.0, 0.2, "tea 20 % here, 5.0 % there. So the correction may not hold"),
    ],
)
def test_the_page_says_whether_the_batch_is_like_what_corrects_it(kind, errors, here, words):
    differences = (Difference("tea", here, 0.05, errors), Difference(EXPECTED_ERROR, 0.1, 0.2, 0.0))
    drift = Drift(differences, there="the tea rooms", shares=(("steeped", 0.3, None),))
    page = render(coverage(labelled=labelled(kind), drift=drift), batch(), SOURCE)
    assert words in page
    assert "expected to be labelled right</th><td>90 %</td><td>80 %</td>" in page
    assert ("as far as 30 articles can show" in page) == ("Alike: " in words)
    many = render(coverage(group(articles=40), labelled=labelled(kind), drift=drift), batch(), SOURCE)
    assert "articles can show" not in many
    assert "steeped</th><td>30 %</td><td>–</td>" in page
    assert "not measured</td>" in page


def test_tables_open_in_a_spreadsheet_and_hold_all_numbers(tmp_path):
    tables = [Table("outlet", (group("=1+1"), group("", None, 3, shares=()))), Table("month", (Group("2017-02"),))]
    page = write_page(coverage(tables=tables), batch(), SOURCE, tmp_path / "page")
    assert page.name == "index.html"
    assert sorted(file.name for file in page.parent.iterdir()) == [
        "index.html",
        "month.csv",
        "outlet.csv",
        "overall.csv",
    ]
    content = (page.parent / "outlet.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    first, second = csv.DictReader(content.decode("utf-8-sig").splitlines())
    assert first["outlet"] == "'=1+1"
    assert (first["share coffee"], first["share coffee low"], first["share coffee high"]) == (
        "0.0600",
        "0.0500",
        "0.0800",
    )
    assert first["balance coffee minus tea"] == "0.2000"
    assert (second["articles"], second["labelled coffee"], second["share coffee"]) == ("3", "20", "")
    (gap,) = csv.DictReader((page.parent / "month.csv").read_text(encoding="utf-8-sig").splitlines())
    assert (gap["articles"], gap["labelled coffee"], gap["balance coffee minus tea"]) == ("0", "", "")


def test_half_a_character_in_a_name_breaks_no_page(tmp_path):
    page = write_page(coverage(tables=[Table("outlet", (group("Noodle \ud83d"),))]), batch(), SOURCE, tmp_path)
    assert "Noodle ?" in page.read_text(encoding="utf-8")
    assert "Noodle ?" in (tmp_path / "outlet.csv").read_text(encoding="utf-8-sig")


def test_a_chart_has_a_line_for_each_outlet_up_to_forty():
    outlets = tuple(group(f"Outlet {number}") for number in range(45))
    page = render(coverage(tables=[Table("outlet", outlets)]), batch(), SOURCE)
    assert page.count('class="range"') == 40
    assert "5 more stand in <code>outlet.csv</code>" in page


def test_without_sides_there_are_tables_and_no_charts():
    tables = [Table("outlet", (group("Kimchi Times", None),)), Table("month", (group("2017-01", None),))]
    page = render(coverage(group(side=None), tables=tables, sides=()), batch(), SOURCE)
    assert "Of all sentences in these 30 articles, 88 to 92" in page
    assert page.count("<details open>") == 2
    assert "<svg" not in page and 'class="range"' not in page


def test_outlets_stand_from_one_side_to_the_other_and_those_that_say_little_last():
    outlets = {"Noodle Post": 0.4, "Kimchi Times": 0.9, "The Daily Parley": 0.6}
    groups = [group(name, Interval(side, side - 0.1, side + 0.1)) for name, side in outlets.items()]
    groups.append(group("The Last Page", Interval(0.95, 0.2, 1)))
    page = render(coverage(tables=[Table("outlet", tuple(groups))]), batch(), SOURCE)
    names = re.findall(r'<th scope="row">([^<]*)</th><td><span class="range"', page)
    assert names == ["Kimchi Times", "The Daily Parley", "Noodle Post", "The Last Page"]
    assert page.count('<tr class="grey"><th scope="row">The Last Page') == 2


def test_who_takes_a_side_stands_with_the_names_and_counts_of_each_actor(tmp_path):
    actors = Actors(ActorTable(actors={"noodles": {"title": "<b>Noodle makers</b>", "people": ["Udon SOBA"]}}))
    holders = Holders(actors, SIDES)
    text = "Udon Soba said that coffee must stay."
    rows = [{"article_id": f"a{i}", "sentence_index": 0, "start": 0, "label": "coffee", "text": text} for i in range(3)]
    nobody = rows[0] | {"article_id": "c", "text": "Jim Nobody said that coffee must stay."}
    holders.add([*rows, nobody, rows[0] | {"article_id": "b", "label": "tea", "text": "Ease the tea ban."}])
    read = batch(holders=holders)
    page = write_page(coverage(), read, SOURCE, tmp_path).read_text(encoding="utf-8")
    assert (
        "Who takes these positions: &lt;b&gt;Noodle makers&lt;/b&gt; (60\N{NO-BREAK SPACE}%), the writers (20" in page
    )
    assert "somebody else or unknown</th>" in page and "Jim Nobody" not in page
    assert "Udon Soba\N{NO-BREAK SPACE}3" in page
    assert 'style="width:100.0%"' in page
    lines = (tmp_path / "actors.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines == ["actor,coffee,tea", "<b>Noodle makers</b>,3,0", "the writers,0,1", "somebody else or unknown,1,0"]
    assert "Who says it" not in render(coverage(), batch(holders=Holders(actors, SIDES)), SOURCE)


def test_events_of_the_time_shown_are_numbered_and_named():
    events = [Event(day, f"Tea party of {day}") for day in ("2016-12-31", "2017-01-02", "2017-04", "2017-05-01")]
    months = [group("2017-01"), Group("2017-02 to 2017-03"), group("2017-04"), group("", articles=2)]
    page = render(coverage(tables=[Table("month", tuple(months))]), batch(), replace(SOURCE, events=events))
    assert re.findall(r"<li>(Tea party of [^,]*),", page) == ["Tea party of 2017-01-02", "Tea party of 2017-04"]
    assert page.count('class="event"') == 2 * 2 * 3  # a line and a circle, in three widths


def test_what_is_said_stands_with_where_and_how_sure():
    row = {"article_id": "a", "text": HOSTILE, "label": "coffee", "outlet": "Kimchi Times", "date": "2017-08-12"}
    read = batch(quotes=Quotes(LABEL_NAMES, SIDES))
    read.quotes.add([row | {"title": HOSTILE}], np.array([1]), np.array([[0.2, 0.7, 0.1]]))
    page = render(coverage(), read, SOURCE)
    assert "most confident, 70 % sure" in page
    assert "70 % coffee, 20 % tea" in page
    assert "Kimchi Times · <span>2017-08-12</span> · <cite>&lt;script&gt;" in page
    assert "What they actually say" not in render(coverage(), batch(), SOURCE)
