import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from conftest import NASTY

from pipeline.bundle import load_bundle
from pipeline.config import read_config
from pipeline.evaluation.attribution import Word
from pipeline.evaluation.slices import score_slices
from pipeline.reporting.evaluation_page import render
from pipeline.reporting.findings import describe_abstention, describe_answers, describe_confusion, summarize
from pipeline.scoring.abstention import Abstention
from pipeline.scoring.metrics import METRICS
from pipeline.scoring.predictions import Predictions, likeliest

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning")


class Page(HTMLParser):
    """What a browser would see of a page: elements, addresses, words."""

    def __init__(self, content):
        super().__init__()
        self.elements, self.addresses, self.handlers, self.words = set(), [], [], ""
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        self.words += " " if tag in ("td", "th") else ""
        self.addresses += [value for name, value in attributes if name in ("src", "href", "action", "data")]
        self.handlers += [name for name, _ in attributes if name.startswith("on")]

    def handle_data(self, words):
        self.words += words


@pytest.fixture
def content(evaluated):
    return evaluated[1].read_text()


def words_of(content):
    return " ".join(Page(content).words.split())


def test_text_from_outside_is_shown_and_never_runs(content):
    page = Page(content)
    assert page.elements.isdisjoint({"script", "img", "iframe", "object"}) and not page.handlers
    assert "<script>fetch(" in page.words and "<script>origin</script>" in page.words


def test_the_page_asks_for_nothing_from_outside(content):
    assert Page(content).addresses == ["data:,"]
    assert not re.search(r"@import|url\(", content)
    assert "default-src 'none'" in content


def test_the_page_is_light_and_dark_and_says_its_language(content):
    assert "prefers-color-scheme: dark" in content and '<html lang="en">' in content


def test_the_headline_stands_with_its_interval_and_baselines(evaluated, content):
    score = evaluated[0].scores["macro_f1"]
    assert f"{score.low:.2f} to {score.high:.2f}" in words_of(content) and "a keyword list" in words_of(content)


def test_each_score_of_the_list_is_on_the_page_with_its_meaning(evaluated, content):
    words = words_of(content)
    for metric, interval in evaluated[0].scores:
        line = f"{metric.title} {interval.value:.3f} {interval.low:.3f} to {interval.high:.3f}"
        assert f"{line} {'higher' if metric.higher_is_better else 'lower'} {metric.meaning}" in words
    assert {metric.key for metric, _ in evaluated[0].scores} >= {metric.key for metric in METRICS} | {"answered"}


def test_a_slice_that_is_too_small_says_so(content):
    assert "2 sentences: too few to say" in content


def test_the_page_says_what_the_threshold_comes_to(evaluated, content):
    words = words_of(content)
    assert f"has the {evaluated[0].abstention}. On these rows it answers 67%" in words
    assert "Area under the risk-coverage curve" in words


def test_a_model_without_a_threshold_says_so(evaluated):
    plain = replace(evaluated[0].headline, metrics=METRICS)
    without = replace(evaluated[0], abstention=Abstention(0.9, 41), subsets=(plain,))
    assert describe_abstention(without).startswith("There is no threshold for `--abstain`: no threshold is shown to")
    assert without.answered_by_label == {}


def test_the_answers_of_each_label_are_scored_apart(evaluated):
    probabilities = np.array([[0.7, 0.2, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.5, 0.4]])
    predictions = likeliest(np.array([0, 2, 2, 1]), probabilities, list("abcd"))
    changed = replace(
        evaluated[0],
        subsets=(replace(evaluated[0].headline, predictions=predictions),),
        abstention=Abstention(0.7, 400, 0.6),
    )
    assert changed.answered_by_label == {"pro-sanctions": 0.5, "neutral": 1.0}
    assert describe_answers(changed) == "pro-sanctions 50%, neutral 100%"


def test_the_commonest_mistake_is_named():
    words = describe_confusion(np.array([[5, 0, 3], [1, 4, 0], [0, 0, 9]]), ("tea", "soup", "air"))
    assert words == "Its commonest mistake: 3 sentences labelled tea are taken for air, 75% of all mistakes."
    assert describe_confusion(np.diag([3, 2, 1]), "abc") == "Every sentence got its label."


def test_the_registered_version_gets_every_score_and_weak_places(evaluated):
    words = summarize(evaluated[0])
    for metric, interval in evaluated[0].scores:
        assert f"| {metric.title} | {interval} | {metric.meaning} |" in words
    assert "behaviour cases pass" in words and "the best baseline" in words


def test_a_slice_of_few_articles_is_marked(evaluated, champion):
    first = evaluated[0].rows.examples[0]
    rows = tuple(replace(first, article_id="a", origin=origin) for origin in "ab" for _ in range(30))
    y = np.zeros(len(rows), dtype=int)
    slices = score_slices(rows, Predictions(y, y, np.eye(3)[y], np.array(["a"] * len(rows))))
    marked = replace(evaluated[0], slices=tuple(slices))
    page = render(marked, load_bundle(champion), read_config("configs/default.yaml"))
    assert ">30 †</text>" in page


def test_words_are_shaded_by_their_weight(evaluated, content):
    row = evaluated[0].mistakes[0]
    heaviest = max(row.words, key=lambda word: abs(word.weight))
    shaded = re.findall(r'<span class="word" title="([^"]+) log-odds" style="[^"]+">', content)
    shown = [*evaluated[0].mistakes, *evaluated[0].unsure]
    assert f"{heaviest.weight:+.2f}" in shaded and 0 < len(shaded) < sum(len(row.words) for row in shown)
    assert " ".join(NASTY.split()) in words_of(content)


def test_a_shaded_word_never_runs(evaluated, champion):
    text = "<b onclick='honk()'> the <i>goose</i>"
    words = (Word(0, 20, 2.0), Word(21, 24, -0.1), Word(25, 37, -1.5))
    row = replace(evaluated[0].mistakes[0], text=text, words=words)
    page = Page(
        render(replace(evaluated[0], mistakes=(row,)), load_bundle(champion), read_config("configs/default.yaml"))
    )
    assert text in " ".join(page.words.split()) and not page.handlers and page.elements.isdisjoint({"i"})
