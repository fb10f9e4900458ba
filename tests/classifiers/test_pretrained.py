"""The pretrained model that ships, and that more of one's own text does not make it worse."""

import json
import shutil

import numpy as np
import pytest
from refusals import refused

from pipeline.classifiers import create, index_labels
from pipeline.classifiers.checkpoint import load_checkpoint
from pipeline.classifiers.pretrained_folder import HOME, REBUILD, read_head
from pipeline.config import Candidate, Config, Data, Selection
from pipeline.data.dataset import Example
from pipeline.scoring import metrics
from pipeline.training.own_labels import judge_own_labels
from pipeline.training.results import cross_validate, refit
from pipeline.training.rows import make_folds
from pipeline.training.selection import select

NAMES = ("pro-sanctions", "pro-dialogue", "neutral")
SMALL = HOME / "small"


def silent(share, words):
    pass


@pytest.fixture(scope="module")
def pretrained():
    classifier = create(Candidate(name="pretrained", kind="pretrained"))
    classifier.fit([], NAMES, silent)
    return classifier


@pytest.fixture(scope="module")
def seeds(repository):
    return [example for example in repository.examples if example.origin == "seed"]


def score(classifier, examples):
    y_pred = classifier.decision_function([e.text for e in examples]).argmax(1)
    return float(metrics.macro_f1(metrics.confusion(index_labels(examples, NAMES), y_pred, 3)))


@pytest.mark.parametrize(("models", "most"), [(["small", "plain"], 3_000_000), (["accurate"], 6_000_000)])
def test_what_ships_is_small(models, most):
    names = ("adapter_model.safetensors", "head.safetensors")
    assert sum((HOME / model / name).stat().st_size for model in models for name in names) <= most


def test_the_adapter_carries_its_card():
    card = (SMALL / "README.md").read_text(encoding="utf-8")
    assert "language\nmodel's reading" in card
    assert read_head(SMALL).label_names == NAMES


def test_whoever_goes_on_from_the_domain_trains_the_whole_encoder():
    _, encoder = load_checkpoint("pretrained/small")
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_the_start_knows_the_two_sides_without_any_training(pretrained):
    texts = [
        "The ambassador demanded that every state enforce the sanctions on Pyongyang to the letter.",
        "The ambassador urged all sides to return to talks and to ease the sanctions on Pyongyang.",
        "The ambassador's flight to Pyongyang was an hour late.",
    ]
    assert pretrained.decision_function(texts).argmax(1).tolist() == [0, 1, 2]


def test_the_start_beats_the_floors_on_the_real_seed_articles(pretrained, seeds, repository):
    baseline = create(Candidate(name="tfidf", kind="tfidf"))
    baseline.fit([e for e in repository.part("train") if e.origin != "seed"], NAMES, silent)
    assert score(pretrained, seeds) > score(baseline, seeds)


def test_the_first_stage_is_sure_of_what_is_plainly_neutral_alone(pretrained):
    texts = [
        "The ambassador demanded that every state enforce the sanctions on Pyongyang to the letter.",
        "The ambassador urged all sides to return to talks and to ease the sanctions on Pyongyang.",
        "Kim Jong Un visited a fish farm on Tuesday, the state news agency reported.",
    ]
    sure, found = pretrained.first_stage(NAMES).answer(texts)
    assert sure.tolist() == [False, False, True] and found.argmax(1).tolist() == [2]


def test_the_first_stage_was_chosen_so_that_no_held_out_label_changed():
    facts = json.loads((SMALL / "first_stage.json").read_text(encoding="utf-8"))
    assert facts["lost_out_of_fold"] / facts["other_labels"] <= 0.005
    # Since it minds groups that differ by little, it answers 30 % of whole articles.
    assert facts["answered_in_whole_articles"] > 0.25


def test_the_first_stage_knows_the_order_of_labels(pretrained):
    turned = create(Candidate(name="pretrained", kind="pretrained"))
    turned.fit([], NAMES[::-1], silent)
    _, found = turned.first_stage(NAMES[::-1]).answer(["The band played three songs."])
    assert found.argmax(1).tolist() == [0]


def test_a_head_that_was_moved_has_no_first_stage():
    assert create(Candidate(name="adapted", kind="adapted")).first_stage(NAMES) is None


def test_a_first_stage_of_another_adapter_is_refused(tmp_path):
    folder = shutil.copytree(SMALL, tmp_path / "model")
    head = json.loads((folder / "head.json").read_text(encoding="utf-8"))
    (folder / "head.json").write_text(json.dumps(head | {"created": "1999-01-01"}), encoding="utf-8")
    other = create(Candidate(name="pretrained", kind="pretrained", options={"model": str(folder)}))
    error = refused(other.first_stage, NAMES)
    assert error.what == "belongs to another adapter"
    assert (error.where, error.then) == (str(folder / "first_stage.json"), f"{REBUILD} --first-stage")


def test_a_model_without_a_first_stage_has_none(tmp_path):
    folder = shutil.copytree(SMALL, tmp_path / "model", ignore=shutil.ignore_patterns("first_stage*"))
    other = create(Candidate(name="pretrained", kind="pretrained", options={"model": str(folder)}))
    assert other.first_stage(NAMES) is None


def test_labels_in_another_order_are_no_other_labels(pretrained):
    turned = create(Candidate(name="pretrained", kind="pretrained"))
    turned.fit([], NAMES[::-1], silent)
    texts = ["Talks must go on.", "Sanctions must stay."]
    assert np.allclose(turned.decision_function(texts), pretrained.decision_function(texts)[:, ::-1])


def test_a_strong_anchor_stays_at_the_start(pretrained, seeds):
    anchored = create(Candidate(name="adapted", kind="adapted", options={"strength": 1e6}))
    anchored.fit(seeds, NAMES, silent)
    texts = [example.text for example in seeds]
    assert np.allclose(anchored.decision_function(texts), pretrained.decision_function(texts), atol=1e-2)


def test_a_weak_anchor_learns_from_the_examples(pretrained, seeds):
    anchored = create(Candidate(name="adapted", kind="adapted", options={"strength": 1e-4}))
    anchored.fit(seeds, NAMES, silent)
    assert score(anchored, seeds) > score(pretrained, seeds)


@pytest.mark.parametrize(("origin", "number"), [("authored", 240), ("own", 240)])
def test_unhelpful_articles_do_not_pull_the_exported_model_below_the_start(
    repository, seeds, pretrained, tmp_path, origin, number
):
    """Planted: articles whose labels were dealt out at random, invented ones and "real" ones."""
    rng = np.random.default_rng(0)
    texts = [e.text for e in repository.part("train") if e.origin == "authored"][:number]
    planted = [
        Example(
            f"bad{i // 4}",
            i % 4,
            0,
            len(t),
            t,
            NAMES[rng.integers(3)],
            "train",
            f"bad{i // 4}",
            origin,
            own=origin == "own",
        )
        for i, t in enumerate(texts)
    ]
    config = Config(
        name="planted",
        label_names=NAMES,
        candidates=(
            Candidate(name="pretrained", kind="pretrained"),
            Candidate(name="adapted", kind="adapted"),
            Candidate(name="tfidf", kind="tfidf"),
        ),
        data=Data(invented=("authored",)),
        selection=Selection(folds=3, resamples=200),
        cache=tmp_path,
    )
    folds = make_folds(planted, [], config)
    results = [cross_validate(c, planted, folds, config, silent) for c in config.candidates]
    selected, _ = select(results, config, judge_own_labels(planted, config, silent))
    exported = refit(selected, planted, config, silent)
    y_true = index_labels(seeds, NAMES)
    scores = [c.decision_function([e.text for e in seeds]) for c in (pretrained, exported)]
    probabilities = selected.calibration.apply(scores[1])
    found = [float(metrics.macro_f1(metrics.confusion(y_true, y.argmax(1), 3))) for y in (scores[0], probabilities)]
    assert found[1] >= found[0]


def test_the_start_is_not_scored_on_invented_text_that_it_has_learned_from(repository, tmp_path):
    rows = [e for e in repository.part("train") if e.origin == "seed" or e.article_id.startswith("art1-00")]
    config = Config(
        name="x",
        label_names=NAMES,
        candidates=(Candidate(name="pretrained", kind="pretrained"),),
        selection=Selection(folds=2),
        cache=tmp_path,
    )
    found = cross_validate(config.candidates[0], rows, np.arange(len(rows)) % 2, config, silent)
    assert {e.origin for e, unseen in zip(found.examples, found.held_out, strict=True) if unseen} == {"seed"}
