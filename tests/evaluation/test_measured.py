"""What ships of the real test documents: it comes back as it was measured, and counts for that very model alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import LABEL_NAMES, ROOT, make_manifest
from refusals import refused
from safetensors.numpy import save_file

from pipeline.bundle import Bundle
from pipeline.classifiers import State, pretrained_folder
from pipeline.classifiers.pretrained import calibrated_weights
from pipeline.classifiers.pretrained_folder import ADAPTER, EXPERT, HEAD, read_head
from pipeline.data.examples import Example
from pipeline.evaluation.measured import NAME, digest_folder, measured_subsets, read_measured, write_measured
from pipeline.evaluation.rows import ScoredRows
from pipeline.reporting.model_card import write_card
from pipeline.scoring.decision import DecisionRule
from pipeline.scoring.predictions import likeliest

SHIPPED = sorted(file.parent for file in (ROOT / "pipeline" / "pretrained").glob(f"*/{NAME}"))


class Same:
    """A classifier that is known by its weights alone."""

    def __init__(self, weights, *, with_expert=False):
        self.weights, self.router = weights, {"router": np.zeros(1)} if with_expert else {}

    def state(self):
        return State(arrays=dict(zip(("coefficients", "intercepts"), self.weights, strict=True)) | self.router)


def bundle_of(folder, label_names=LABEL_NAMES):
    head = read_head(folder)
    offsets = dict(zip(head.label_names, head.facts["decision"].get("offsets", ()), strict=False))
    decision = DecisionRule(tuple(offsets[name] for name in label_names if offsets))
    manifest = make_manifest(label_names=label_names, decision=decision)
    with_expert = (folder / EXPERT[0]).exists()
    return Bundle(manifest, Same(calibrated_weights(head, label_names), with_expert=with_expert))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A pretrained model whose head is real and whose adapter is soup."""
    place = tmp_path / "pretrained" / "small"
    place.mkdir(parents=True)
    head = {"encoder": "soup", "encoder_sha256": "0", "label_names": LABEL_NAMES, "abstain": None, "decision": {}}
    (place / HEAD[0]).write_text(json.dumps(head | {"calibration": {"temperature": 1.7, "bias": [0.1, 0.2, 0.0]}}))
    weights = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    save_file({"coefficients": weights, "intercepts": weights[:, 0].copy()}, place / HEAD[1])
    for name in ADAPTER:
        (place / name).write_bytes(b"soup")
    monkeypatch.setattr(pretrained_folder, "HOME", place.parent)
    return place


@pytest.fixture
def rows():
    """Six sentences of three documents of two sources."""
    rng = np.random.default_rng(1)
    places = zip("aabbbc", ("news", "news", "un", "un", "un", "news"), strict=True)
    examples = [
        Example(key, n, n, n + 1, "Soup.", "neutral", "test", key, origin) for n, (key, origin) in enumerate(places)
    ]
    probabilities, y_true = rng.dirichlet([1, 1, 1], 6), np.array([0, 1, 2, 2, 1, 0])
    groups = [example.article_id for example in examples]
    guess = likeliest(y_true, np.eye(3)[[2] * 6], groups)
    return ScoredRows(tuple(examples), likeliest(y_true, probabilities, groups), {"majority": guess}, np.zeros(6, bool))


@pytest.fixture
def written(folder, rows):
    return write_measured(rows, rows.take([0, 1]), bundle_of(folder))


def test_what_is_written_comes_back_with_a_part_for_each_source(folder, rows, written):
    sampled, news, un, whole = measured_subsets(bundle_of(folder))
    assert [subset.name for subset in (sampled, news, un, whole)] == ["real documents", "news", "un", "whole articles"]
    assert sampled.real and sampled.measured and not sampled.nested and news.nested
    assert sampled.predictions.y_true.tolist() == rows.predictions.y_true.tolist()
    np.testing.assert_allclose(sampled.predictions.probabilities, rows.predictions.probabilities, atol=2e-4)
    assert sampled.scores["macro_f1"] == replace(sampled, predictions=rows.predictions).scores["macro_f1"]
    assert sampled.baselines["majority"].y_pred.tolist() == [2] * 6
    assert [subset.scores.rows for subset in (news, un, whole)] == [3, 3, 2]
    assert set(sampled.predictions.groups) == set("abc")


def test_labels_in_another_order_are_the_same_labels(folder, written):
    turned = LABEL_NAMES[::-1]
    one, other = next(measured_subsets(bundle_of(folder))), next(measured_subsets(bundle_of(folder, turned)))
    assert other.predictions.y_true.tolist() == (2 - one.predictions.y_true).tolist()
    np.testing.assert_allclose(other.predictions.probabilities, one.predictions.probabilities[:, ::-1])
    assert other.scores["macro_f1"] == one.scores["macro_f1"]
    assert other.baseline_scores["majority"]["macro_f1"] == one.baseline_scores["majority"]["macro_f1"]


def test_the_card_leads_with_it(folder, written):
    bundle = bundle_of(folder)
    card = write_card(bundle.manifest, measured=list(measured_subsets(bundle)))
    line = "On 6 sentences of 3 real documents and 2 sentences of 1 whole articles: macro-F1 "
    assert card.partition("## Scores\n")[2].startswith(line)


def test_a_model_whose_head_differs_in_one_bit_is_another_model(folder, written):
    bundle = bundle_of(folder)
    coefficients, intercepts = bundle.classifier.weights
    moved = replace(bundle, classifier=Same((np.nextafter(coefficients, 1), intercepts)))
    assert list(measured_subsets(bundle)) and not list(measured_subsets(moved))
    error = refused(write_measured, None, None, moved)
    assert error.where == bundle.manifest.candidate.name and "is no pretrained model as it ships" in error.what


@pytest.mark.parametrize("name", [*ADAPTER, "first_stage.json"])
def test_what_was_measured_of_another_adapter_or_first_stage_does_not_count(folder, written, name):
    (folder / name).write_bytes(b"another soup")
    assert not list(measured_subsets(bundle_of(folder)))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("sampled"),
        lambda content: content["whole"][0]["labels"].append(1),
        lambda content: content["whole"][0]["labels"].__setitem__(0, 3),
        lambda content: content["whole"][0]["baselines"]["majority"].pop(),
        lambda content: content["whole"][0]["probabilities"].__setitem__(0, [0.9, 0.9, 0.1]),
        lambda content: content["whole"][0]["probabilities"].__setitem__(0, [1.1, -0.1, 0.0]),
        lambda content: content.__setitem__("sampled", 7),
    ],
)
def test_a_file_that_cannot_be_is_one_line(written, change):
    content = json.loads(written.read_text())
    change(content)
    written.write_text(json.dumps(content))
    error = refused(read_measured, written)
    assert (error.where, error.then) == (str(written), "install the package again")


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda folder: folder.name)
def test_each_model_that_ships_was_measured_and_holds_no_text(shipped):
    measured = read_measured(shipped / NAME)
    assert measured.digest == digest_folder(shipped), "the model has changed: `make measure`"
    sampled, *sources, whole = measured_subsets(bundle_of(shipped))
    assert (sampled.scores.rows, sampled.scores.articles) == (1086, 349) and len(sources) == 6
    assert (whole.scores.rows, whole.scores.articles) == (1613, 66)
    assert {"majority", "keywords", "tfidf"} == set(sampled.baselines) and sampled.gain.value > 0
    words = {word for row in (*measured.sampled, *measured.whole) for word in (row.article, row.source)}
    assert max(map(len, words)) < 300 and not any(" " in word for word in words)


def test_an_export_of_the_same_head_without_the_expert_is_another_model():
    folder = ROOT / "pipeline" / "pretrained" / "small"
    alone = Same(calibrated_weights(read_head(folder), LABEL_NAMES))
    assert not list(measured_subsets(Bundle(make_manifest(label_names=LABEL_NAMES), alone)))


def test_the_figures_of_the_readme_are_those_that_ship():
    sampled, *_, whole = measured_subsets(bundle_of(ROOT / "pipeline" / "pretrained" / "small"))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for subset in (sampled, whole):
        score = subset.scores["macro_f1"]
        value, low, high = (f"{number:.3f}"[1:] for number in (score.value, score.low, score.high))
        assert f"{value} [{low}, {high}]" in text
