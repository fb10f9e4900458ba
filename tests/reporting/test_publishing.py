import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import NASTY

from pipeline import tracking
from pipeline.bundle import load_bundle
from pipeline.config import read_config
from pipeline.reporting.publishing import publish

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning")


@pytest.fixture
def numbers(evaluated):
    return json.loads((evaluated[1].parent / "evaluation.json").read_text())


def test_the_numbers_can_be_read_by_a_program(evaluated, numbers):
    whole = numbers["subsets"][0]
    for metric, interval in evaluated[0].scores:
        assert whole[metric.key] == {"value": interval.value, "low": interval.low, "high": interval.high} | {
            "unit": "sentences"
        }
    assert numbers["behaviour"]["cases"] == len(evaluated[0].behaviour.results) > 100
    assert set(whole["baselines"]) == {"majority", "keywords", "tfidf"}


def test_the_numbers_say_what_abstaining_comes_to(evaluated, numbers):
    predictions = evaluated[0].rows.predictions
    answered = predictions.confidence >= numbers["abstention"]["confidence"]
    assert answered.sum() == 2 and predictions.hits[answered].sum() == 1
    assert numbers["subsets"][0]["answered"]["value"] == pytest.approx(2 / 3)
    assert numbers["subsets"][0]["answered_right"]["value"] == pytest.approx(predictions.hits[answered].mean())
    by_label = numbers["abstention"]["right_by_label"]
    assert set(by_label) == {evaluated[0].label_names[label] for label in predictions.y_pred[answered]}
    assert numbers["risk_coverage"]["right_of_most_confident"]["100%"] == pytest.approx(predictions.hits.mean())


def test_a_spreadsheet_reads_no_formula(evaluated):
    with (evaluated[1].parent / "mistakes.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["text"] for row in rows} >= {NASTY}
    assert "'=1+1" in {row["id"].partition(":")[0] for row in rows}
    assert not any(value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values())


def test_a_file_of_ones_own_is_reported_under_its_name(evaluated):
    assert evaluated[1].parent.name.endswith("-nasty") and evaluated[1].parent.parent.name == "reports"


def test_scores_on_a_file_of_ones_own_are_not_logged(evaluated, champion, monkeypatch):
    logged = []
    monkeypatch.setattr(tracking, "run", lambda *_, run_id: logged.append(run_id))
    bundle, config = load_bundle(champion), read_config("configs/default.yaml")
    assert "not logged" in publish(evaluated[0], bundle, config, Path("nasty.jsonl"))[1] and not logged
    with pytest.raises(TypeError):  # the spy is no run: it is asked for one where there is no file
        publish(evaluated[0], bundle, config)
    assert logged == ["a-run"]


def test_a_run_that_is_not_in_the_store_loses_no_report(evaluated, champion, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    bundle, config = load_bundle(champion), read_config("configs/default.yaml")
    page, why = publish(evaluated[0], bundle, config)
    assert page.exists() and "has no run a-run" in why


def test_a_model_without_a_mistake_has_an_empty_table(evaluated, champion):
    perfect = replace(evaluated[0], mistakes=(), unsure=())
    page, _ = publish(perfect, load_bundle(champion), read_config("configs/default.yaml"), evaluated[1])
    assert (page.parent / "mistakes.csv").read_text() == "" and "There is none." in page.read_text()
