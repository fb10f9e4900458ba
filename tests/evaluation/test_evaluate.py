"""What is scored is what `stance predict` says, and each row is asked once."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import LABEL_NAMES, make_manifest
from refusals import refused

from pipeline.bundle import Bundle, load_bundle
from pipeline.classifiers.rules import Majority
from pipeline.cli.evaluation import show_evaluation
from pipeline.config import read_config
from pipeline.data.dataset import load_dataset
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.subsets import Subset, metrics_of
from pipeline.reporting.evaluation_page import render
from pipeline.reporting.findings import describe_first_stage, describe_real, describe_rows, describe_title, summarize
from pipeline.scoring.decision import DecisionRule
from pipeline.scoring.metrics import METRICS
from pipeline.scoring.predictions import Predictions

TEXTS = ["Ease the embargo now.", "Close every loophole, the goose demanded.", "It rained."]


class Counting:
    """A classifier that counts how often it reads a text."""

    def __init__(self, classifier):
        self.classifier, self.read = classifier, Counter()

    def decision_function(self, texts):
        self.read.update(texts)
        return self.classifier.decision_function(texts)

    def second_stage(self):
        return None


class FirstStage:
    """A first stage that takes the sentences it knows for neutral."""

    def __init__(self, known):
        self.known = known

    def answer(self, texts):
        sure = np.array([text in self.known for text in texts], bool)
        return sure, np.tile([0.0, 0.0, 1.0], (int(sure.sum()), 1))


@pytest.fixture
def config(project):
    return read_config("configs/default.yaml")


@pytest.fixture
def own(project):
    """A labelled file of one's own."""
    labels = ("neutral", "pro-dialogue", "neutral")
    rows = [{"id": n, "text": text, "label": label} for n, (text, label) in enumerate(zip(TEXTS, labels, strict=True))]
    (project / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return project / "own.jsonl"


def test_what_is_scored_is_what_predict_says_and_the_first_stage_has_its_price(config, own, champion):
    whole = load_bundle(champion)
    quick = evaluate(replace(whole, first_stage=FirstStage(TEXTS)), config, own)
    assert quick.rows.predictions.probabilities[:, 2].tolist() == [1.0, 1.0, 1.0]
    exact = evaluate(whole, config, own)
    assert quick.first_stage.share == 1.0 and exact.first_stage is None
    gain = exact.scores["macro_f1"].value - quick.scores["macro_f1"].value
    assert quick.first_stage.exact_gain.value == pytest.approx(gain)
    assert "answers 100% of these sentences" in describe_first_stage(quick)


def test_the_model_reads_each_row_once_and_what_the_first_stage_answered_once_too(config, own, champion):
    """Also where obvious words are hidden: a row that holds none is not read again."""
    Path("obvious.yaml").write_text("- embargo")
    tried_on = config.evaluation.model_copy(update={"obvious": Path("obvious.yaml")})
    config, whole = config.model_copy(update={"evaluation": tried_on}), load_bundle(champion)
    counting = Counting(whole.classifier)
    evaluate(replace(whole, classifier=counting, first_stage=FirstStage(TEXTS[:2])), config, own)
    assert [counting.read[text] for text in TEXTS] == [1, 1, 1] and counting.read["Ease the something now."] == 1


def test_the_test_part_and_whole_articles_are_read_once(config, champion):
    whole = load_bundle(champion)
    counting = Counting(whole.classifier)
    bundle = replace(whole, classifier=counting)
    assert evaluate(bundle, config).rows.predictions.probabilities.shape == (6, 3)
    test = load_dataset(config).part("test")
    assert [counting.read[text] for text in bundle.read_examples(test)] == [1] * 6


def test_a_rule_of_the_model_decides_what_is_scored(config, own, champion):
    whole = load_bundle(champion)
    stubborn = whole.manifest.model_copy(update={"decision": DecisionRule((30.0, 0.0, 0.0))})
    evaluation = evaluate(replace(whole, manifest=stubborn), config, own)
    assert evaluation.rows.predictions.y_pred.tolist() == [0, 0, 0]
    assert evaluation.scores.matrix.tolist() == [[0, 0, 0], [1, 0, 0], [2, 0, 0]]


def test_every_metric_is_scored_and_baselines_by_their_labels_alone(config, own, champion):
    whole = evaluate(load_bundle(champion), config, own).subsets[0]
    assert [metric.key for metric, _ in whole.scores][: len(METRICS)] == [metric.key for metric in METRICS]
    about_labels = [metric for metric in METRICS if metric.about_labels]
    assert all([metric for metric, _ in scores] == about_labels for scores in whole.baseline_scores.values())


def give_origin(project, article, origin):
    index = project / "seeds" / "index.csv"
    index.write_text(index.read_text().replace(f"{article},letter,", f"{article},{origin},"))


def test_invented_and_real_text_have_their_own_scores_and_real_text_comes_first(config, project, champion):
    bundle = load_bundle(champion)
    assert [subset.name for subset in evaluate(bundle, config).subsets] == ["real documents"]
    give_origin(project, "letter-5", "authored")
    evaluation = evaluate(bundle, config)
    assert [(subset.name, subset.real) for subset in evaluation.subsets] == [
        ("real documents", True),
        ("invented text", False),
    ]
    assert [subset.scores.rows for subset in evaluation.subsets] == [3, 3] and len(evaluation.rows.examples) == 6
    assert describe_title(evaluation).partition(" on ")[2].startswith("real documents, and right on")
    assert describe_real(evaluation.main).startswith("On 3 sentences of 1 real documents: macro-F1 ")
    assert describe_rows(evaluation, config).endswith("6 sentences whose text is here, 3 of which are invented")


def test_where_there_is_enough_real_text_it_alone_is_looked_into(config, project, champion):
    give_origin(project, "letter-5", "authored")
    few = config.model_copy(update={"selection": config.selection.model_copy(update={"real_rows": 3})})
    assert {row.article_id for row in evaluate(load_bundle(champion), few).rows.examples} == {"letter-6"}


def test_groups_that_differ_by_little_are_scored_by_themselves(config, project, champion):
    give_origin(project, "letter-6", "contrast")
    evaluation = evaluate(load_bundle(champion), config)
    contrast = evaluation.contrast
    assert [subset.scores.rows for subset in evaluation.subsets] == [3] and contrast.scores.rows == 3
    assert contrast.scores["groups_right"].value == float(contrast.predictions.hits.all())
    assert all(set(scores.intervals) == {"macro_f1", "groups_right"} for scores in contrast.baseline_scores.values())
    assert "1 groups that differ by little (contrast)" in summarize(evaluation)


def measured(bundle, hits):
    """A kind of rows that was measured when the model was made: 40 articles, of which so many are right."""
    y_true = np.arange(40) % 3
    y_pred = np.where(np.arange(40) < hits, y_true, (y_true + 1) % 3)
    rows = Predictions(y_true, y_pred, np.eye(3)[y_pred], np.array([f"d{n}" for n in range(40)]))
    guess = replace(rows, y_pred=np.full(40, 2))
    return Subset("real documents", rows, {"majority": guess}, metrics_of(bundle), real=True, measured=True)


def test_what_was_measured_comes_first_where_real_text_is_not_here(config, project, champion, monkeypatch):
    bundle = load_bundle(champion)
    monkeypatch.setattr("pipeline.evaluation.evaluate.measured_subsets", lambda model: iter([measured(model, 36)]))
    assert not evaluate(bundle, config).headline.measured, "all text is here, and none is invented"
    give_origin(project, "letter-5", "single")
    evaluation = evaluate(bundle, config)
    names = ["real documents", "real text that is here", "invented text"]
    assert [subset.name for subset in evaluation.subsets] == names
    assert [subset.name for subset in evaluation.main] == names[::2]
    assert describe_title(evaluation) == "Better than its baselines on real documents, and right on 90% of sentences"
    lead = describe_real(evaluation.main)
    assert lead.startswith("On 40 sentences of 40 real documents: macro-F1 0.9")
    assert lead.endswith("], measured when the model was made.")
    assert summarize(evaluation).startswith("40 sentences of 40 real documents, measured when the model was made:")
    page = render(evaluation, bundle, config)
    assert lead in page and "<h1>Better than its baselines on real documents" in page


def test_the_tables_fit_into_a_hundred_columns(config, project, champion, monkeypatch, capsys):
    monkeypatch.setattr("pipeline.evaluation.evaluate.measured_subsets", lambda model: iter([measured(model, 36)]))
    give_origin(project, "letter-5", "single")
    give_origin(project, "letter-6", "contrast")
    bundle = load_bundle(champion)
    aimed = bundle.manifest.model_copy(update={"positive": LABEL_NAMES[:2]})
    show_evaluation(evaluate(replace(bundle, manifest=aimed), config), config)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("On 40 sentences of 40 real documents: macro-F1 ")
    tables = [line for line in lines if "  " in line.strip()]
    assert len(tables) > 20 and max(map(len, tables)) <= 100
    assert any(line.startswith("keywords ") for line in tables) and any("wholly right" in line for line in tables)


def test_an_empty_test_part_is_one_line(config, project, champion):
    index = project / "seeds" / "index.csv"
    index.write_text(index.read_text().replace(",test,", ",train,"))
    error = refused(evaluate, load_bundle(champion), config)
    assert (error.where, error.what) == ("seeds/index.csv", "no labelled sentence is in the test part")
    assert error.then.startswith("label more") and "`stance split`" in error.then


def test_a_file_of_one_class_is_scored(config, own, champion):
    own.write_text("".join(json.dumps({"id": text, "text": text, "label": "neutral"}) + "\n" for text in TEXTS))
    assert evaluate(load_bundle(champion), config, own).scores.rows == 3


# Labels of another config


def test_a_model_of_other_labels_is_one_line_that_names_both(config):
    manifest = make_manifest(label_names=("bad", "good"), config="easy2", selection=make_manifest().selection)
    error = refused(evaluate, Bundle(manifest, Majority()), config)
    assert "knows bad, good" in error.what and error.expected.startswith(", ".join(LABEL_NAMES))
    assert "--model models/champion" in error.then and "--config" in error.then and "easy2" in error.then


def test_labels_in_another_order_are_the_same_labels(config, champion):
    turned = config.model_copy(update={"label_names": LABEL_NAMES[::-1]})
    bundle = load_bundle(champion)
    assert evaluate(bundle, turned).scores.intervals == evaluate(bundle, config).scores.intervals
