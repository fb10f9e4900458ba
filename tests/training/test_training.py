"""The whole river on a small project, with a real MLflow store."""

import json
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import mlflow
import pytest
import yaml
from conftest import ARTICLES, COLD, WARM, write_project
from refusals import refused

from pipeline import tracking
from pipeline.bundle import load_bundle
from pipeline.config import read_config
from pipeline.data.dataset import Dataset, Example
from pipeline.evaluation.evaluate import evaluate
from pipeline.reporting.publishing import publish
from pipeline.training import export, material
from pipeline.training import train as training
from pipeline.training.scores import against_tfidf

SMOKE = """\
label_names: [pro-sanctions, pro-dialogue, neutral]
random_state: 13
selection: {folds: 2, resamples: 100}
evaluation: {lexicon: configs/lexicon.yaml}
candidates:
  - kind: majority
  - kind: keywords
    lexicon: configs/lexicon.yaml
  - kind: tfidf
    min_df: 1
  - kind: ensemble
    members: [keywords, tfidf]
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning"),
]


def silent(share, words):
    pass


@pytest.fixture
def store(project, tables, monkeypatch):
    """The project with its own store, and nothing in it."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(tables, project)
    (project / "configs" / "smoke.yaml").write_text(SMOKE, encoding="utf-8")
    yield project
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tables):
    """A finished training: where it lies, its outcome, and what it announced."""
    folder = tmp_path_factory.mktemp("finished")
    write_project(folder)
    shutil.copy(tables, folder)
    (folder / "configs" / "smoke.yaml").write_text(SMOKE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return folder, train()


@pytest.fixture
def trained(finished, monkeypatch):
    """Stand where a training was finished, and only read or evaluate."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(finished[0])
    return finished[1]


def train(name="smoke"):
    announced = []
    return training.train(read_config(f"configs/{name}.yaml"), silent, announced.append), announced


def runs(parent=None):
    client = mlflow.MlflowClient(tracking.tracking_uri())
    experiment = client.get_experiment_by_name("stance")
    found = client.search_runs([experiment.experiment_id])
    return [run for run in found if run.data.tags.get("mlflow.parentRunId") == parent]


def test_forms_are_compared_on_text_as_it_comes(store, monkeypatch):
    """Groups that differ by little lie near the border: there two forms of one model differ soonest."""
    index = store / "seeds" / "index.csv"
    rows = index.read_text(encoding="utf-8")
    index.write_text(rows.replace("letter-1,letter,", "letter-1,contrast,"), encoding="utf-8")
    compared = []
    monkeypatch.setattr(export, "check_agreement", lambda *given: compared.extend(given[-1]) or {})
    train()
    group = {text for text, _ in ARTICLES["letter-1"][1]}
    assert len(compared) == 15 and not group & set(compared)


def test_a_training_exports_registers_and_tracks(trained):
    outcome, announced = trained
    assert [result.candidate.name for result in announced] == ["majority", "keywords", "tfidf", "ensemble"]
    assert load_bundle(outcome.folder).predict_proba(["Sit down with them."]).shape == (1, 3)
    (parent,) = runs()
    assert parent.info.run_id == outcome.run_id
    assert parent.data.params["selected"] == outcome.selected.candidate.name
    children = {run.info.run_name: run for run in runs(parent.info.run_id)}
    assert set(children) == {"majority", "keywords", "tfidf", "ensemble"}
    assert "macro_f1" in children["tfidf"].data.metrics
    assert all(len(child.data.metrics) <= 14 for child in children.values())
    for run in (parent, *children.values()):
        assert [entry.dataset.name for entry in run.inputs.dataset_inputs] == ["smoke-train"]
    client, child = mlflow.MlflowClient(tracking.tracking_uri()), children["tfidf"].info.run_id
    artifacts = {file.path for file in client.list_artifacts(child)}
    assert artifacts == {
        "confusion.svg",
        "reliability.svg",
        "classes.svg",
        "coverage.svg",
        "config.yaml",
        "requirements.txt",
    }
    config = yaml.safe_load(Path(client.download_artifacts(child, "config.yaml")).read_text())
    assert config["candidates"][2] == {"name": "tfidf", "kind": "tfidf", "options": {"min_df": 1}}


def test_each_other_candidate_says_what_it_gains_over_tfidf(trained):
    outcome, _ = trained
    children = {run.info.run_name: run for run in runs(outcome.run_id)}
    assert {name for name, run in children.items() if "gain_over_tfidf" in run.data.metrics} == {
        "majority",
        "keywords",
        "ensemble",
    }
    words = mlflow.MlflowClient(tracking.tracking_uri()).download_artifacts(
        children["majority"].info.run_id, "against_tfidf.txt"
    )
    (gain, *_) = against_tfidf(outcome.results, read_config("configs/smoke.yaml"))
    assert Path(words).read_text() == f"{gain}\n" and "majority" in str(gain)


def test_the_summary_compares_with_tfidf_and_tells_the_threshold(store, capsys):
    from pipeline.cli.main import app

    app(["train", "--config", "configs/smoke.yaml"], standalone_mode=False)
    out = capsys.readouterr().out
    assert "Macro-F1 against tfidf on the same held-out rows" in out
    assert "majority scores" in out or "majority is worse by" in out
    # 18 rows cannot show a precision of 90 %.
    assert "No threshold is shown to reach a precision of 0.9 on 18 held-out rows." in out


def test_a_model_whose_precision_was_not_reached_cannot_abstain(trained):
    outcome, _ = trained
    bundle = load_bundle(outcome.folder)
    assert bundle.abstention == outcome.abstention and bundle.abstention.confidence is None
    error = refused(bundle.least_confidence)
    assert (error.where, error.what) == (
        "--abstain",
        str(bundle.abstention),
    ) and "lower `abstain.precision`" in error.then
    assert error.what.startswith("no threshold is shown")


def test_the_target_precision_comes_from_the_config(store):
    (store / "configs" / "easy.yaml").write_text(SMOKE + "abstain: {precision: 0.05}\n", encoding="utf-8")
    outcome, _ = train("easy")
    assert outcome.abstention.target_precision == 0.05 and outcome.abstention.coverage == 1.0
    assert load_bundle(outcome.folder).least_confidence() == outcome.abstention.confidence


def test_the_champion_gives_one_row_for_each_row(trained):
    mlflow.set_tracking_uri(tracking.tracking_uri())
    model = mlflow.pyfunc.load_model("models:/stance@champion")
    import pandas as pd

    texts = ["Ease the embargo.", "Close every loophole.", "It rained."]
    found = model.predict(pd.DataFrame({"text": texts}, index=[7, 8, 9]))
    assert found.index.tolist() == [7, 8, 9]
    assert found.columns.tolist() == ["label", "confidence", "p_pro_sanctions", "p_pro_dialogue", "p_neutral"]
    assert found.filter(like="p_").sum(axis=1).tolist() == pytest.approx([1, 1, 1])


def test_an_interrupted_training_does_not_repeat_what_is_finished(store, monkeypatch):
    real = training.cross_validate

    def stopped_at_the_third(candidate, *rest):
        if candidate.name == "tfidf":
            raise KeyboardInterrupt
        return real(candidate, *rest)

    monkeypatch.setattr(training, "cross_validate", stopped_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        train()
    assert not (store / "models").exists()
    monkeypatch.undo()
    monkeypatch.chdir(store)
    told = []
    training.train(read_config("configs/smoke.yaml"), lambda share, words: told.append(words), lambda result: None)
    assert not any("keywords: fold" in words for words in told)
    assert any("tfidf: fold" in words for words in told)


def test_a_student_goes_down_the_river(store, tiny):
    """Its teacher is another candidate, and it reads a letter that nobody labelled."""
    (store / "letter.txt").write_text(f"{WARM.capitalize()}, wrote the keeper. {COLD.capitalize()}, wrote his wife.")
    student = f"  - {{kind: distil, teacher: tfidf, checkpoint: {tiny}, epochs: 1, unlabelled: [letter.txt]}}\n"
    text = SMOKE.partition("  - kind: majority")[0] + "  - {kind: tfidf, min_df: 1}\n" + student
    text = text.replace("resamples: 100", "resamples: 100, prefer_simple: false")
    (store / "configs" / "student.yaml").write_text(text, encoding="utf-8")
    outcome, announced = train("student")
    assert announced[-1].candidate.name == "distil"
    (cut,) = (store / ".cache" / "unlabelled").iterdir()
    assert len(cut.read_text().splitlines()) == 2
    assert load_bundle(outcome.folder).predict_proba(["Sit down with them."]).shape == (1, 3)


def test_the_same_inputs_give_the_same_numbers(finished, store):
    """In another folder, where nothing is remembered."""
    again, _ = train()
    assert (again.selected.scores == finished[1][0].selected.scores).all()


def test_two_trainings_on_a_fresh_store_both_succeed(store):
    (store / "mlflow.db").unlink()
    command = [sys.executable, "-m", "pipeline", "train", "--config", "configs/smoke.yaml"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        assert "selected" in out
    assert len(runs()) == 2


def test_evaluation_scores_the_exported_folder_beside_the_baselines(trained):
    outcome, _ = trained
    config = read_config("configs/smoke.yaml")
    bundle = load_bundle(outcome.folder)
    found = evaluate(bundle, config)
    publish(found, bundle, config)
    assert found.scores.rows == 6
    assert set(found.subsets[0].baselines) == {"majority", "keywords", "tfidf"}
    assert "test_macro_f1" in mlflow.MlflowClient(tracking.tracking_uri()).get_run(outcome.run_id).data.metrics


def test_people_can_score_the_model_on_their_own_labels(trained):
    outcome, _ = trained
    rows = [{"id": i, "text": f"Talk to them, {i}.", "label": "pro-dialogue", "source": "ab"[i % 2]} for i in range(4)]
    Path("mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = evaluate(load_bundle(outcome.folder), read_config("configs/smoke.yaml"), Path("mine.jsonl"))
    assert [(s.name, s.scores.rows) for s in found.subsets] == [("mine.jsonl", 4), ("a", 2), ("b", 2)]


def test_a_class_with_too_few_examples_stops_before_any_run(store):
    (store / "mlflow.db").unlink()
    config = read_config("configs/smoke.yaml")
    more = config.model_copy(update={"selection": config.selection.model_copy(update={"folds": 9})})
    assert refused(training.train, more, silent, lambda result: None).expected.startswith("at least 9,")
    assert not (store / "mlflow.db").exists()


def test_a_store_that_cannot_be_reached_is_one_line(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    error = refused(train)
    assert "127.0.0.1:9" in str(error) and error.then == "check MLFLOW_TRACKING_URI"


def test_nothing_calls_the_network_at_run_time(store, socket_disabled):
    """Train with the shipped encoder, evaluate and predict, with every socket blocked."""
    from pipeline.prediction import predict

    text = SMOKE.replace("  - kind: ensemble\n    members: [keywords, tfidf]\n", "  - kind: pretrained\n")
    (store / "configs" / "offline.yaml").write_text(text, encoding="utf-8")
    outcome, _ = train("offline")
    assert outcome.selected.candidate.kind == "pretrained"
    # 18 real rows are too few: the pretrained model's own threshold stands, as its calibration does.
    assert outcome.abstention.rows == 1094
    evaluate(load_bundle(outcome.folder), read_config("configs/offline.yaml"))
    (store / "a.txt").write_text("Beijing urged all sides to return to talks and ease the sanctions.")
    predict([store / "a.txt"], store / "a.jsonl", load_bundle(outcome.folder))
    assert json.loads((store / "a.jsonl").read_text())["label"] == "pro-dialogue"


# The test part is evaluation's alone


@pytest.fixture
def opened(monkeypatch):
    """The parts that are opened, and those of the examples that are read to be scored."""
    parts = set()
    part, read = Dataset.part, Example.input.fget

    def open_part(dataset, name):
        parts.add(name)
        return part(dataset, name)

    def read_input(example):
        parts.add(example.split)
        return read(example)

    monkeypatch.setattr(Dataset, "part", open_part)
    monkeypatch.setattr(Example, "input", property(read_input))
    return parts


def test_a_training_never_opens_the_test_part(store, stance, opened):
    for words in (["train"], ["train", "--promote"]):
        assert stance(*words, "--config", "configs/smoke.yaml")[0] == 0
    assert opened == {"train", "validation"}


def test_a_training_that_opened_the_test_part_would_be_seen(store, opened, monkeypatch):
    monkeypatch.setattr(material, "PARTS", ("train", "test"))
    train()
    assert "test" in opened


def test_an_evaluation_opens_it(trained, stance, opened):
    assert stance("eval", "--config", "configs/smoke.yaml")[0] == 0 and "test" in opened
