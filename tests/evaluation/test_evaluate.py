"""What is scored is what `stance predict` says, and each row is asked once."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import LABEL_NAMES, make_manifest

from pipeline.bundle import Bundle, load_bundle
from pipeline.classifiers.rules import Majority
from pipeline.config import read_config
from pipeline.data.dataset import load_dataset
from pipeline.errors import InputError
from pipeline.evaluation.evaluate import evaluate
from pipeline.reporting.findings import describe_first_stage
from pipeline.scoring.abstention import Abstention
from pipeline.scoring.decision import DecisionRule
from pipeline.scoring.metrics import METRICS

TEXTS = ["Ease the embargo now.", "Close every loophole, the goose demanded.", "It rained."]


class Counting:
    """A classifier that counts how often it reads a text."""

    def __init__(self, classifier):
        self.classifier, self.read = classifier, Counter()

    def decision_function(self, texts):
        self.read.update(texts)
        return self.classifier.decision_function(texts)


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
    assert all([metric for metric, _ in scores] == about_labels for scores in whole.baselines.values())


def test_the_threshold_is_not_tested_on_the_rows_that_chose_it(config, champion):
    whole = load_bundle(champion)
    train = load_dataset(config).part("train")
    stored = {row.key: (0.1, 0.2, 0.7) for row in train}
    update = {"out_of_fold": stored, "abstention": Abstention(0.7, 400, 0.2)}
    evaluation = evaluate(replace(whole, manifest=whole.manifest.model_copy(update=update)), config)
    names = {subset.name: subset.scores for subset in evaluation.subsets}
    assert "answered" in names["test part"].intervals
    pooled = names["real text, test and out of fold"]
    assert "answered" not in pooled.intervals and pooled.rows == 6 + len(train)


def test_invented_and_real_text_have_their_own_scores_where_there_are_both(config, project, champion):
    assert [subset.name for subset in evaluate(load_bundle(champion), config).subsets] == ["test part"]
    index = project / "seeds" / "index.csv"
    index.write_text(index.read_text().replace("letter-5,letter,", "letter-5,authored,"))
    whole, invented, real = evaluate(load_bundle(champion), config).subsets
    assert (whole.nested, invented.nested, real.nested) == (False, True, True)
    assert (invented.name, real.name) == ("authored (invented text)", "real text")
    assert (whole.scores.matrix == invented.scores.matrix + real.scores.matrix).all() and real.scores.rows == 3


def test_an_empty_test_part_is_one_line(config, project, champion):
    index = project / "seeds" / "index.csv"
    index.write_text(index.read_text().replace(",test,", ",train,"))
    with pytest.raises(InputError, match="no labelled sentence is in the test part; label more"):
        evaluate(load_bundle(champion), config)


def test_a_file_of_one_class_is_scored(config, own, champion):
    own.write_text("".join(json.dumps({"id": text, "text": text, "label": "neutral"}) + "\n" for text in TEXTS))
    assert evaluate(load_bundle(champion), config, own).scores.rows == 3


# Labels of another config


def test_a_model_of_other_labels_is_one_line_that_names_both(config):
    manifest = make_manifest(label_names=("bad", "good"), config="easy2", selection=make_manifest().selection)
    with pytest.raises(InputError) as error:
        evaluate(Bundle(manifest, Majority()), config)
    line = str(error.value)
    assert "knows bad, good" in line and ", ".join(LABEL_NAMES) in line
    assert "--model models/champion" in line and "--config" in line and "easy2" in line and "\n" not in line


def test_labels_in_another_order_are_the_same_labels(config, champion):
    turned = config.model_copy(update={"label_names": LABEL_NAMES[::-1]})
    bundle = load_bundle(champion)
    assert evaluate(bundle, turned).scores.intervals == evaluate(bundle, config).scores.intervals
