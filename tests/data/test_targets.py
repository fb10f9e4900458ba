"""Stances toward targets, all the way: what is learned of each, a training on a table, its scores, its predictions."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest

from pipeline import tracking
from pipeline.bundle import load_bundle
from pipeline.classifiers import create
from pipeline.config import Candidate, TopicWords, read_config
from pipeline.data.dataset import Example, load_dataset
from pipeline.errors import InputError
from pipeline.evaluation.evaluate import evaluate
from pipeline.prediction import predict
from pipeline.reporting.findings import summarize
from pipeline.reporting.publishing import publish
from pipeline.training import gate
from pipeline.training import train as training

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning")

NAMES = ("against", "none", "favor")
# The same words take opposite sides on two targets; "hooray" and "never" take the same side on both.
SIDES = {"tea": {"hot": "favor", "cold": "against"}, "ice": {"hot": "against", "cold": "favor"}}
CONFIG = """\
topic: stance of guests toward what is served
label_names: [against, none, favor]
positive: [favor, against]
data: {table: guests.jsonl}
selection: {folds: 2, resamples: 100, prefer_simple: false, metric: positive_f1}
output: models/guests
candidates:
  - kind: majority
  - kind: tfidf
    min_df: 1
"""


def sentences(number=120):
    """Rows of target, text and label."""
    rows = []
    for n in range(number):
        target = ("tea", "ice")[n % 2]
        word = ("hot", "cold", "hooray", "never", "table")[n // 2 % 5]
        label = SIDES[target].get(word, {"hooray": "favor", "never": "against"}.get(word, "none"))
        rows.append({"id": str(n), "target": target, "text": f"guest {n} says {word}", "label": label})
    return rows


def examples(number=120):
    rows = sentences(number)
    return [Example(r["id"], 0, 0, 9, r["text"], r["label"], "train", r["id"], target=r["target"]) for r in rows]


def silent(share, words):
    pass


def fitted(kind, rows, **options):
    classifier = create(Candidate(name=kind, kind=kind, options=options))
    classifier.fit(rows, NAMES, silent)
    return classifier


def said(classifier, *texts):
    return [NAMES[best] for best in classifier.decision_function(list(texts)).argmax(1)]


# What is learned


@pytest.fixture(scope="module")
def learned():
    return fitted("tfidf", examples(), min_df=1)


def test_the_same_word_takes_another_side_on_another_target(learned):
    texts = [f"{target}\nguest says {word}" for target, sides in SIDES.items() for word in sides]
    assert said(learned, *texts) == [side for sides in SIDES.values() for side in sides.values()]


def test_what_targets_share_carries_over_to_a_target_that_is_new(learned):
    assert said(learned, "soup\nguest says hooray", "soup\nguest says never") == ["favor", "against"]


def test_a_target_that_is_new_gets_the_scores_of_the_general_copy_alone(learned):
    scores = learned.decision_function(["soup\nguest says hot", "guest says hot", "tea\nguest says hot"])
    assert np.array_equal(scores[0], scores[1]) and not np.allclose(scores[0], scores[2])


def test_without_targets_nothing_is_copied():
    rows = [Example(**{**row.__dict__, "target": ""}) for row in examples()]
    state = fitted("tfidf", rows, min_df=1).state()
    terms = len(state.values["word"]) + len(state.values["char_wb"])
    assert state.values["targets"] == [] and state.arrays["coefficients"].shape == (3, terms)


def test_each_target_has_its_copy_of_each_feature_and_a_constant(learned):
    state = learned.state()
    terms = len(state.values["word"]) + len(state.values["char_wb"])
    assert state.arrays["coefficients"].shape == (3, terms + 2 * (terms + 1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tfidf", "embedding", "hybrid"])
def test_a_restored_linear_model_knows_its_targets(kind):
    classifier, restored = fitted(kind, examples()), create(Candidate(name=kind, kind=kind))
    restored.restore(classifier.state())
    texts = ["tea\nguest says hot", "ice\nguest says hot", "soup\nguest says hot"]
    scores = restored.decision_function(texts)
    assert np.allclose(scores, classifier.decision_function(texts), atol=1e-5)
    assert not np.allclose(scores[0], scores[1])


# The whole river


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training on a table with targets, with its own store."""
    folder = tmp_path_factory.mktemp("guests")
    (folder / "configs").mkdir()
    (folder / "configs" / "guests.yaml").write_text(f"{CONFIG}topic_words: words.yaml\nlanguage: en\n")
    (folder / "words.yaml").write_text("topic: ['guests?']\n")
    (folder / "guests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in sentences()))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        outcome = training.train(read_config("configs/guests.yaml"), silent, lambda result: None)
    return folder, outcome


@pytest.fixture
def guests(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return load_bundle(Path("models/guests"))


def write(name, *rows):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def labelled(bundle, *rows, **options):
    predict([write("in.jsonl", *rows)], Path("out.jsonl"), bundle, unit="sentence", **options)
    return [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]


def test_a_training_chooses_by_the_metric_of_the_config(trained):
    outcome = trained[1]
    assert outcome.selected.candidate.name == "tfidf"
    assert "tfidf has the highest positive F1 on" in outcome.reason


def test_the_manifest_knows_targets_positive_labels_and_topic(guests):
    assert (guests.targets, guests.manifest.positive) == (("ice", "tea"), ("favor", "against"))
    assert guests.manifest.topic == "stance of guests toward what is served"
    assert (guests.manifest.language, guests.manifest.topic_words) == ("en", TopicWords(topic=("guests?",)))
    assert guests.manifest.selection.held_out["positive_f1"] > 0.9


def test_words_that_cannot_be_read_are_refused_before_a_training(guests):
    config = read_config("configs/guests.yaml").model_copy(update={"topic_words": Path("soup.yaml")})
    with pytest.raises(InputError, match="soup.yaml: No such file"):
        training.train(config, silent, lambda result: pytest.fail("it had begun"))


def test_the_card_speaks_of_the_table_and_of_nothing_else(guests):
    card = Path("models/guests/README.md").read_text()
    assert "# Model card: stance of guests toward what is served" in card
    assert "toward a target (ice, tea)" in card and "those of the table `guests.jsonl`" in card
    assert "Korea" not in card and "CODEBOOK" not in card and "invented" not in card


def test_each_row_gets_a_row_with_its_target(guests):
    rows = [{"id": str(n), "text": "guest says hot", "target": target} for n, target in enumerate(["tea", "ice"])]
    assert [(row["article_id"], row["target"], row["label"]) for row in labelled(guests, *rows)] == [
        ("0", "tea", "favor"),
        ("1", "ice", "against"),
    ]


def test_one_text_may_be_asked_about_several_targets(guests):
    rows = [{"id": "1", "text": "guest says hot", "target": target} for target in ("tea", "ice")]
    assert [row["label"] for row in labelled(guests, *rows)] == ["favor", "against"]


def test_the_target_is_a_column_of_a_csv(guests):
    predict([write("in.jsonl", {"id": "1", "text": "hot", "target": "tea"})], Path("out.csv"), guests, unit="sentence")
    with open("out.csv", newline="") as stream:
        assert [row["target"] for row in csv.DictReader(stream)] == ["tea"]


def test_a_text_with_a_line_break_is_not_taken_for_a_target(guests):
    rows = [{"id": str(n), "text": text, "target": "tea"} for n, text in enumerate(["ice says\nhot", "ice says hot"])]
    first, second = labelled(guests, *rows)
    assert first["p_favor"] == second["p_favor"] and first["target"] == "tea"


def test_a_target_that_was_not_learned_is_labelled_and_reported(guests, stance):
    rows = [{"id": str(n), "text": "guest says hooray", "target": t} for n, t in enumerate(["soup", "tea", "soup"])]
    options = ["--output", "new.jsonl", "--model", "models/guests", "--unit", "sentence"]
    code, out, err = stance("predict", write("in.jsonl", *rows), *options)
    assert code == 0 and "3 articles, 3 sentences" in out
    assert "the model has not learned the targets 'soup' (2): labelled by what its targets share" in err
    assert [json.loads(line)["label"] for line in Path("new.jsonl").read_text().splitlines()] == ["favor"] * 3


def test_a_row_without_a_target_is_a_reject_among_others(guests):
    rows = [{"id": "1", "text": "hot"}, {"id": "2", "text": "hot", "target": "tea"}]
    assert [row["article_id"] for row in labelled(guests, *rows)] == ["2"]
    (reject,) = map(json.loads, Path("out.jsonl.rejected.jsonl").read_text().splitlines())
    assert reject == {"where": "1", "why": "no `target`, which this model reads with each text"}


@pytest.mark.parametrize("unit", ["sentence", "article"])
def test_a_model_that_reads_targets_and_is_given_none_is_one_line(guests, stance, unit):
    name = write("none.jsonl", {"id": "1", "text": "Hot. Cold."})
    code, _, err = stance("predict", name, "--output", "none.csv", "--model", "models/guests", "--unit", unit)
    wanted = "stance: no target: the model reads one with each text (ice, tea); expected a `target` column"
    assert code == 2 and err.splitlines()[-1] == wanted
    assert not Path("none.csv").exists() and not Path(".none.csv.partial").exists()


def test_a_model_without_targets_passes_them_over(project, bundle):
    (row,) = labelled(bundle, {"id": "1", "text": "Ease the embargo.", "target": "tea"})
    (plain,) = labelled(bundle, {"id": "1", "text": "Ease the embargo."}, restart=True)
    assert row == plain and "target" not in row


def test_probabilities_of_texts_without_their_targets_are_refused(guests):
    with pytest.raises(InputError, match="no target: the model reads one with each text"):
        guests.predict_proba(["guest says hot"])


def test_an_evaluation_says_what_was_not_tried(guests, stance):
    code, out, _ = stance("eval", "--model", "models/guests", "--config", "configs/guests.yaml")
    assert (
        code == 0
        and "positive F1: the mean F1 of favor and against alone." in out
        and "keywords" not in out.partition("All")[0]
    )
    assert "Not tried, because the config names none: a keyword list, behaviour cases, a list of obvious words." in out
    assert "codebook" not in out


def test_an_evaluation_shows_both_metrics_and_the_targets(guests):
    config = read_config("configs/guests.yaml")
    found = evaluate(guests, config)
    page, _ = publish(found, guests, config)
    score = found.scores["positive_f1"]
    assert f"| positive F1 | {score} | the mean F1 of favor and against alone |" in summarize(found)
    content = page.read_text()
    assert "the mean F1 of favor and against alone" in content and "Stance of guests toward what is served" in content
    assert "Korea" not in content and "CODEBOOK" not in content
    numbers = json.loads((page.parent / "evaluation.json").read_text())
    assert numbers["subsets"][0]["positive_f1"]["value"] == score.value
    assert {part["value"] for part in numbers["slices"] if part["dimension"] == "target"} == {"tea", "ice"}


def test_a_table_without_a_test_part_points_to_a_file(guests, stance, tmp_path):
    rows = [row | {"split": "train"} for row in sentences(30)]
    write(tmp_path / "train.jsonl", *rows)
    config = tmp_path / "train.yaml"
    config.write_text(CONFIG.replace("guests.jsonl", str(tmp_path / "train.jsonl")))
    code, _, err = stance("eval", "--model", "models/guests", "--config", config)
    assert code == 2 and "no labelled sentence is in the test part; score a labelled file with --data" in err


def test_the_gate_compares_by_the_metric_of_the_model(guests):
    rows = load_dataset(read_config("configs/guests.yaml")).part("train")
    stored = guests.manifest.model_copy(update={"out_of_fold": {row.key: (0.2, 0.3, 0.5) for row in rows}})
    both = replace(guests, manifest=stored)
    assert gate.compare(both, both, rows, [], None)[0].words.startswith("positive F1 +0.0 points")


def test_the_registered_model_takes_a_target_column(guests, trained):
    import pandas as pd

    mlflow.set_tracking_uri(tracking.tracking_uri())
    model = mlflow.pyfunc.load_model(f"models:/guests/{trained[1].model_version}")
    found = model.predict(pd.DataFrame({"text": ["guest says hot"] * 2, "target": ["tea", "ice"]}))
    assert found["label"].tolist() == ["favor", "against"]


# What stops before any training


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([row | {"label": "none"} for row in sentences()], "only 'none' occurs in the train part; expected all of"),
        (
            [*(row for row in sentences() if row["label"] != "favor"), sentences()[0] | {"id": "x"}],
            "'favor' has examples in 1 articles of the train part, and that is a single one; expected at least 2",
        ),
        ([row | {"label": "maybe"} for row in sentences(2)], "unknown label 'maybe'; expected against, none, favor"),
        ([row | {"text": float("nan")} for row in sentences(2)], "no text; expected id, text, label"),
        (
            [row | {"split": ("train", "test")[row["target"] == "ice"]} for row in sentences()],
            "target 'ice' is in the test part and not in the train part; expected tea",
        ),
        (
            [row | {"split": "train"} for row in sentences()] + [sentences()[0] | {"id": "v", "split": "validation"}],
            "the validation part holds 1 articles; expected at least 2, one for each fold",
        ),
    ],
    ids=["one class", "a single example", "another label", "no text", "an unknown target", "more folds than articles"],
)
def test_bad_input_is_one_line_before_anything_runs(stance, tmp_path, monkeypatch, rows, why):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    # All in one part, where the rows say nothing of parts: what is rare must not leave it.
    write("guests.jsonl", *({"split": "train"} | row for row in rows))
    Path("guests.yaml").write_text(CONFIG)
    code, _, err = stance("train", "--config", "guests.yaml")
    assert code == 2 and why in err and err.count("stance: ") == 1
    assert not Path("mlflow.db").exists()


def test_an_ensemble_of_an_unknown_candidate_stops_before_the_data_is_read(stance, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("guests.yaml").write_text(CONFIG + "  - {kind: ensemble, members: [tfidf, oracle]}\n")
    code, _, err = stance("train", "--config", "guests.yaml")
    assert code == 2 and "candidate 'ensemble': refers to oracle; expected candidates before it" in err
