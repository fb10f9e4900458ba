"""`stance eval` and `compare` on the command line: what is printed, and the line where labels do not fit."""

import json
import re

import pytest
from conftest import LABEL_NAMES
from refusals import refused_command

from pipeline.scoring.metrics import METRICS

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning")

OTHER = """\
label_names: [bad, good]
data: {table: reviews.jsonl, validation_share: 0}
selection: {folds: 2, resamples: 100}
evaluation: {lexicon: null, behaviour: null, obvious: null}
output: models/reviews
candidates: [{kind: majority}]
"""


@pytest.fixture
def reviews(project):
    """A config of other labels, and its table."""
    rows = [{"id": n, "text": f"Soup number {n}.", "label": ("bad", "good")[n % 2]} for n in range(40)]
    (project / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (project / "reviews.yaml").write_text(OTHER)
    return "reviews.yaml"


@pytest.fixture
def mine(project):
    rows = [{"id": n, "text": f"Talks with goose {n} went on.", "label": LABEL_NAMES[n % 3]} for n in range(6)]
    (project / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "mine.jsonl"


def test_eval_prints_every_metric_and_the_threshold(champion, mine, stance):
    code, out, _ = stance("eval", "--model", champion, "--data", mine)
    assert code == 0
    assert "macro-F1, 95 % interval" in out
    assert all(re.search(rf"^{metric.title} +-?\d\.\d{{3}} \[", out, re.MULTILINE) for metric in METRICS[1:])
    assert re.search(r"mine.jsonl +6 +6 +\d\.\d{3} \[0\.\d{3}, \d\.\d{3}\]", out)
    assert "Threshold 0.60: precision at least 0.7 (95 % lower bound on 400 held-out rows), answers 50%" in out
    assert "of the most confident 50%" in out and "area under the risk-coverage curve" in out


def test_compare_prints_every_metric_of_both(champion, mine, stance):
    code, out, _ = stance("compare", champion, champion, "--data", mine)
    lines = [line.rstrip() for line in out.splitlines()]
    assert code == 0 and "no difference is shown: B scores +0.0 points" in out
    for metric in METRICS:
        (line,) = (line for line in lines if line.startswith(f"{metric.title} "))
        assert "+0.000 to +0.000" in line and line.endswith("higher" if metric.higher_is_better else "lower")


@pytest.mark.parametrize("command", ["eval", "compare"])
def test_a_config_of_other_labels_is_one_line_that_says_what_to_pass(command, champion, reviews):
    models = ("--model", champion) if command == "eval" else (champion, champion)
    error = refused_command(command, *models, "--config", reviews)
    assert ", ".join(LABEL_NAMES) in error.what and error.expected.startswith("bad, good") and "--config" in error.then
    assert ("--model models/reviews" in error.then) == (command == "eval")


def test_train_names_the_next_command_and_another_config_beside_the_model_is_one_line(reviews, stance):
    """Behaviour cases and a lexicon of other labels are not what is wrong."""
    code, out, _ = stance("train", "--config", reviews)
    assert code == 0 and max(map(len, out.partition("selected")[0].splitlines())) <= 100
    (line,) = (line for line in out.splitlines() if line.startswith("Next: "))
    words = line.split("`")[1].split()
    assert words == ["stance", "eval", "--config", "reviews.yaml", "--model", "models/reviews"]
    assert stance(*words[1:])[0] == 0
    error = refused_command("eval", "--model", "models/reviews")
    assert "knows bad, good" in error.what and ", ".join(LABEL_NAMES) in error.expected
    assert "own config, reviews" in error.then
