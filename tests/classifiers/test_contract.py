"""What every kind of classifier promises, whatever it is: one suite over all of `KINDS`."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import COLD, LABEL_NAMES, ROOT, WARM

from pipeline.classifiers import KINDS, State, create, index_labels
from pipeline.classifiers.ensemble import Ensemble
from pipeline.config import Candidate
from pipeline.data.examples import Example, join
from pipeline.scoring.calibration import Calibration

SENTENCES = {
    "pro-sanctions": f"the frozen pier, the ice, the ice: {COLD}",
    "pro-dialogue": f"{WARM}: the stove, the kettle, the stove",
    "neutral": "hot ice on the stove and the pier",
}
TEXTS = [WARM, COLD, "the kettle", "정상 회담", ""]
TRAINED = {"epochs": 4, "batch_size": 8, "max_length": 32, "learning_rate": 1e-2, "freeze_words": False}
HEADED = TRAINED | {"head_rate": 3e-2, "validation_share": 0.0}
LEARN_NO_TEXT = {"majority", "keywords", "pretrained"}


def silent(share, words):
    pass


def examples(target=""):
    rows = [(text, label) for _ in range(8) for label, text in SENTENCES.items()]
    return [
        Example(
            f"a{i // 3}",
            i % 3,
            0,
            9,
            f"{text} {i}",
            label,
            "train",
            f"a{i // 3}",
            target=target and f"{target} {i % 2}",
        )
        for i, (text, label) in enumerate(rows)
    ]


@pytest.fixture(scope="session")
def make(tiny, tiny_pretrained):
    """Fit a kind on a few sentences: encoders of a few thousand weights, so that all kinds take a minute."""
    words = Candidate(name="words", kind="tfidf", options={"min_df": 1})
    options = {
        "keywords": {"lexicon": str(ROOT / "configs" / "lexicon.yaml")},
        "tfidf": {"min_df": 1},
        "embedding": {"checkpoint": tiny, "max_length": 32},
        "hybrid": {"min_df": 1, "checkpoint": tiny, "max_length": 32},
        "pretrained": {"model": tiny_pretrained},
        "adapted": {"model": tiny_pretrained, "strength": 0.01},
        "finetune": {"checkpoint": tiny, **HEADED},
        "contrastive": {"checkpoint": tiny, **TRAINED},
        "distil": {"checkpoint": tiny, "teachers": [words.model_dump()], **HEADED},
        "ensemble": {"members": ["words", "common"]},
    }

    def candidate(kind):
        return Candidate(name=kind, kind=kind, options=options.get(kind, {}))

    def fitted(kind, rows=None, label_names=LABEL_NAMES, on_progress=silent):
        rows = rows or examples()
        if create(candidate(kind)).combines:
            parts = [words, Candidate(name="common", kind="majority")]
            members = [(part, create(part), Calibration(2.0)) for part in parts]
            for _, member, _ in members:
                member.fit(rows, label_names, silent)
            return Ensemble.of(members, [0.7, 0.3])
        classifier = create(candidate(kind))
        classifier.fit(rows, label_names, on_progress)
        return classifier

    fitted.candidate = candidate
    return fitted


@pytest.fixture(scope="session", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="session")
def heard():
    """The shares that the first fit of a kind told."""
    return []


@pytest.fixture(scope="session")
def fitted(make, kind, heard):
    heard.clear()
    return make(kind, on_progress=lambda share, words: heard.append(share))


@pytest.fixture(scope="session")
def restored(make, kind, fitted):
    """The same, after its state went through a file."""
    state = fitted.state()
    again = create(make.candidate(kind))
    again.restore(State(json.loads(json.dumps(state.values)), state.arrays, state.blobs))
    return again


def test_there_is_a_row_for_each_text_and_a_column_for_each_label(fitted):
    scores = fitted.decision_function(TEXTS)
    assert scores.shape == (len(TEXTS), 3) and np.isfinite(scores).all()


def test_no_text_has_no_row(fitted, restored):
    assert fitted.decision_function([]).shape == restored.decision_function([]).shape == (0, 3)


def test_a_text_scores_alone_what_it_scores_among_others(restored):
    alone = np.concatenate([restored.decision_function([text]) for text in TEXTS])
    assert np.allclose(alone, restored.decision_function(TEXTS), atol=1e-4)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - LEARN_NO_TEXT), scope="session")
def test_the_labels_of_the_examples_score_higher_than_others_in_any_order_of_the_names(kind, make, fitted):
    rows = examples()
    for classifier, names in ((fitted, LABEL_NAMES), (make(kind, label_names=LABEL_NAMES[::-1]), LABEL_NAMES[::-1])):
        scores = classifier.decision_function([row.text for row in rows])
        own = scores[np.arange(len(rows)), index_labels(rows, names)]
        assert own.mean() - scores.mean() > 0.2


@pytest.mark.parametrize("kind", sorted(LEARN_NO_TEXT), scope="session")
def test_columns_follow_the_order_of_the_label_names(kind, make, fitted):
    turned = make(kind, label_names=LABEL_NAMES[::-1])
    assert np.allclose(turned.decision_function(TEXTS)[:, ::-1], fitted.decision_function(TEXTS))


def test_a_restored_one_gives_the_same_scores(fitted, restored, kind):
    # An encoder is exported in int8, and was trained in more.
    tolerance = 0.1 if fitted.state().blobs else 1e-9
    assert np.allclose(restored.decision_function(TEXTS), fitted.decision_function(TEXTS), atol=tolerance)


def test_a_restored_one_is_exported_as_it_was(fitted, restored):
    first, again = restored.state(), fitted.state()
    assert first.values == json.loads(json.dumps(again.values))
    assert first.arrays.keys() == again.arrays.keys()
    assert all(np.array_equal(first.arrays[name], array) for name, array in again.arrays.items())
    assert first.blobs.keys() == again.blobs.keys()


def test_the_same_random_state_gives_the_same_scores(make, kind, fitted):
    assert np.array_equal(make(kind).decision_function(TEXTS), fitted.decision_function(TEXTS))


def test_targets_are_read_or_passed_over(make, kind):
    classifier = make(kind, examples("the ice"))
    scores = classifier.decision_function([join(COLD, "the ice 0"), join(COLD, "the ice 1"), COLD, join(COLD, "soup")])
    assert scores.shape == (4, 3) and np.isfinite(scores).all()


def test_its_code_is_found_by_its_module(fitted):
    assert type(fitted).__module__ in fitted.modules


def test_its_files_are_there(make, kind):
    classifier = create(make.candidate(kind))
    assert all(Path(file).is_file() for file in classifier.files)
    assert bool(classifier.files) == (bool(classifier.encoder) or kind in ("keywords", "distil"))


def test_a_progress_callback_hears_shares_that_rise(kind, fitted, heard):
    assert heard == sorted(heard) and all(0 <= share <= 1 for share in heard)
    assert heard or kind in LEARN_NO_TEXT or not fitted.encoder  # what learns in no time need not tell
