import csv
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from conftest import ROOT

from pipeline.bundle import load_bundle
from pipeline.config import read_config
from pipeline.errors import InputError
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.slices import score_slices
from pipeline.reporting.evaluation_page import publish, render
from pipeline.reporting.findings import describe_abstention, describe_answers, describe_first_stage, summary

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning")

NASTY = "</blockquote><script>fetch('http://goose.example')</script> Ease <b onclick='honk()'>the</b> embargo now."
ROWS = [
    {"id": "=1+1", "text": NASTY, "label": "neutral", "source": "<script>origin</script>"},
    {"id": "b", "text": "Close every loophole, the goose demanded.", "label": "pro-dialogue", "outlet": "<img src=x>"},
    {"id": "c", "text": "It rained.", "label": "neutral", "outlet": "Honk & Sons"},
]


class Page(HTMLParser):
    """What a browser would see of a page: elements, addresses, words."""

    def __init__(self, content):
        super().__init__()
        self.elements, self.addresses, self.handlers, self.words = set(), [], [], ""
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "action", "data")]
        self.handlers += [name for name, _ in attributes if name.startswith("on")]

    def handle_data(self, words):
        self.words += words


@pytest.fixture
def evaluated(project, champion):
    """An evaluation of a labelled file with nasty text on the shipped behaviour cases, and its page."""
    (project / "nasty.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    shutil.copytree(ROOT / "configs" / "behaviour", "configs/behaviour")
    bundle, config = load_bundle(champion), read_config("configs/default.yaml")
    found = evaluate(bundle, config, project / "nasty.jsonl")
    page, _ = publish(found, bundle, config, project / "nasty.jsonl")
    return found, page


def test_what_is_scored_is_what_predict_says_and_the_first_stage_is_told(project, champion):
    class Neutral:
        """A first stage that takes every sentence for neutral."""

        def answer(self, texts):
            return np.ones(len(texts), bool), np.tile([0.0, 0.0, 1.0], (len(texts), 1))

    (project / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    config = read_config("configs/default.yaml")
    whole = load_bundle(champion)
    found = evaluate(replace(whole, first_stage=Neutral()), config, project / "own.jsonl")
    assert found.probabilities[:, 2].tolist() == [1.0, 1.0, 1.0]
    share, gain = found.first_stage
    exact = evaluate(whole, config, project / "own.jsonl")
    assert share == 1.0 and exact.first_stage is None
    assert gain.value == pytest.approx(exact.tables[0].macro_f1.value - found.tables[0].macro_f1.value)
    assert "answers 100% of these sentences" in describe_first_stage(found)


def test_text_from_outside_is_shown_and_never_runs(evaluated):
    page = Page(evaluated[1].read_text())
    assert page.elements.isdisjoint({"script", "img", "iframe", "object", "b onclick"}) and not page.handlers
    assert "<script>fetch(" in page.words and "<script>origin</script>" in page.words


def test_the_page_asks_for_nothing_from_outside(evaluated):
    content = evaluated[1].read_text()
    assert Page(content).addresses == ["data:,"]
    assert not re.search(r"@import|url\(", content)
    assert "default-src 'none'" in content


def test_the_page_is_light_and_dark_and_says_its_language(evaluated):
    content = evaluated[1].read_text()
    assert "prefers-color-scheme: dark" in content and '<html lang="en">' in content


def test_the_headline_stands_with_its_interval_and_floors(evaluated):
    score = evaluated[0].tables[0].macro_f1
    words = " ".join(Page(evaluated[1].read_text()).words.split())
    assert f"{score.low:.2f} to {score.high:.2f}" in words and "a keyword list" in words


def test_a_slice_that_is_too_small_says_so(evaluated):
    assert "2 sentences: too few to say" in evaluated[1].read_text()


def test_the_numbers_can_be_read_by_a_program(evaluated):
    found, page = evaluated
    numbers = json.loads((page.parent / "evaluation.json").read_text())
    assert numbers["tables"][0]["macro_f1"]["value"] == found.tables[0].macro_f1.value
    assert numbers["behaviour"]["cases"] == len(found.behaviour.trials)


def test_the_numbers_hold_calibration_with_intervals_and_what_abstaining_comes_to(evaluated):
    found, page = evaluated
    numbers = json.loads((page.parent / "evaluation.json").read_text())
    table = numbers["tables"][0]
    assert set(table["ece"]) == set(table["brier"]) == {"value", "low", "high", "unit"}
    assert numbers["abstain"]["confidence"] == 0.6
    sure = found.probabilities.max(1) >= 0.6
    assert table["answered"]["value"] == pytest.approx(sure.mean())
    right = (found.probabilities.argmax(1) == found.y_true)[sure]
    by_label = numbers["abstain"]["right_by_label"]
    assert set(by_label) == {found.label_names[i] for i in found.probabilities.argmax(1)[sure]}
    assert (table["answered_right"] is None) == (not sure.any())
    assert not sure.any() or table["answered_right"]["value"] == pytest.approx(right.mean())
    assert numbers["coverage"]["right_of_surest"]["100%"] == pytest.approx(
        (found.probabilities.argmax(1) == found.y_true).mean()
    )


def test_the_page_says_what_the_threshold_comes_to(evaluated):
    words = " ".join(Page(evaluated[1].read_text()).words.split())
    assert "has the threshold 0.60: precision at least 0.7" in words
    assert "Area under the risk-coverage curve" in words and "Brier score" in words


def test_a_model_without_a_threshold_is_evaluated_all_the_same(evaluated):
    found = replace(evaluated[0], abstention=None, tables=[replace(evaluated[0].tables[0], answered=None)])
    assert "There is no threshold for `--abstain`" in describe_abstention(found)
    assert found.answered_by_label == {}


def test_the_answers_of_each_label_are_scored_apart(evaluated):
    probabilities = np.array([[0.7, 0.2, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.5, 0.4]])
    found = replace(evaluated[0], y_true=np.array([0, 2, 2, 1]), probabilities=probabilities)
    assert found.answered_by_label == {"pro-sanctions": 0.5, "neutral": 1.0}
    assert describe_answers(found) == "pro-sanctions 50%, neutral 100%"


def test_eval_prints_calibration_with_intervals_and_the_threshold(project, champion, capsys):
    from pipeline.cli.main import app

    (project / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    app(["eval", "--model", str(champion), "--data", "mine.jsonl"], standalone_mode=False)
    out = capsys.readouterr().out
    assert re.search(r"mine.jsonl +0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]  +[01]\.\d{3} \[", out)
    assert "Threshold 0.60: precision at least 0.7 (95 % lower bound on 400 held-out rows), answers 50%" in out
    assert "of the surest 50%" in out and "area under the risk-coverage curve" in out


def test_a_spreadsheet_reads_no_formula(evaluated):
    with (evaluated[1].parent / "mistakes.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["text"] for row in rows} >= {NASTY}
    assert not any(value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values())


def test_a_file_of_ones_own_is_reported_under_its_name(evaluated):
    assert evaluated[1].parent.name.endswith("-nasty") and evaluated[1].parent.parent.name == "reports"


def test_a_run_that_is_not_in_the_store_loses_no_report(project, champion, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    bundle, config = load_bundle(champion), read_config("configs/default.yaml")
    page, why = publish(evaluate(bundle, config), bundle, config)
    assert page.exists() and "has no run a-run" in why


def test_the_card_gets_scores_and_weak_places(evaluated):
    words = summary(evaluated[0])
    assert f"macro-F1 {evaluated[0].tables[0].macro_f1}" in words and "behaviour cases pass" in words


def test_an_empty_test_part_is_one_line(project, champion):
    index = project / "seeds" / "index.csv"
    index.write_text(index.read_text().replace(",test,", ",train,"))
    with pytest.raises(InputError, match="no labelled sentence is in the test part; label more"):
        evaluate(load_bundle(champion), read_config("configs/default.yaml"))


def test_a_file_of_one_class_is_scored(project, champion):
    (project / "one.jsonl").write_text("".join(json.dumps(row | {"label": "neutral"}) + "\n" for row in ROWS))
    found = evaluate(load_bundle(champion), read_config("configs/default.yaml"), project / "one.jsonl")
    assert found.tables[0].rows == 3


def test_a_slice_of_few_articles_is_marked(evaluated, champion):
    found, _ = evaluated
    rows = tuple(replace(found.examples[0], article_id="a", origin=origin) for origin in "ab" for _ in range(30))
    y = np.zeros(len(rows), dtype=int)
    marked = replace(found, examples=rows, slices=score_slices(rows, y, y, 3))
    page = render(marked, load_bundle(champion), read_config("configs/default.yaml"))
    assert ">30 †</text>" in page
