"""Learning from few labels: the loss of pairs by hand, then the whole on a tiny encoder."""

import numpy as np
import pytest
import torch
from conftest import COLD, WARM
from refusals import refused

from pipeline.classifiers import contrastive, create, index_labels
from pipeline.classifiers.encoding import frozen_encoder
from pipeline.config import Candidate
from pipeline.data.dataset import Example

NAMES = ("warm", "cold")
EAST, NORTH = [1.0, 0.0], [0.0, 1.0]


def silent(share, words):
    pass


def examples(number=48):
    rows = [(WARM, "warm"), (COLD, "cold")] * (number // 2)
    return [Example(f"a{i}", 0, 0, 9, f"{text} {i}", label, "train", f"a{i}") for i, (text, label) in enumerate(rows)]


def make(checkpoint, random_state=0, **options):
    options = {"checkpoint": checkpoint, "batch_size": 8, "steps": 6, "freeze_words": False} | options
    return create(Candidate(name="contrastive", kind="contrastive", options=options), random_state)


def fitted(checkpoint, **options):
    classifier = make(checkpoint, **options)
    classifier.fit(examples(), NAMES, silent)
    return classifier


def loss(vectors, targets, weight=None):
    weights = None if weight is None else torch.tensor(weight)
    return float(contrastive.pair_loss(torch.tensor(vectors), torch.tensor(targets), weights))


@pytest.mark.parametrize(
    ("vectors", "targets", "expected"),
    [
        ([EAST, EAST, NORTH, NORTH], [0, 0, 1, 1], 0.0),  # labels together, and apart from each other
        ([EAST, NORTH], [0, 0], 1.0),
        ([EAST, EAST], [0, 1], 1.0),
        ([EAST, EAST, EAST], [0, 0, 0], 0.0),
        ([EAST, EAST, EAST], [0, 0, 1], 1.0),  # two pairs of another label weigh as much as one of the same
        ([EAST, NORTH, EAST], [0, 0, 1], 1.5),
        ([EAST], [0], 0.0),
    ],
)
def test_the_loss_of_pairs_by_hand(vectors, targets, expected):
    assert loss(vectors, targets) == pytest.approx(expected)


def test_a_pair_counts_as_much_as_its_labels_weigh():
    # The pair of label 0 is at fault, that of label 1 is not: weights 3 * 3 and 1 * 1.
    assert loss([EAST, NORTH, EAST, EAST], [0, 0, 1, 1], [3.0, 1.0]) == pytest.approx(0.9 + 0.5)


def test_training_pulls_sentences_of_one_label_together_and_others_apart(tiny):
    classifier = fitted(tiny, steps=60, learning_rate=3e-3)
    warm, cold = [f"{WARM} {i}" for i in range(90, 94)], [f"{COLD} {i}" for i in range(90, 94)]

    def gap(vectors):
        cosines = vectors @ vectors.T
        return cosines[:4, :4].mean() - cosines[:4, 4:].mean()

    after = classifier._onnx.run([*warm, *cold])
    assert gap(after) > gap(frozen_encoder(tiny, 128, "float32").embed([*warm, *cold])) + 0.3
    assert classifier.decision_function([WARM, COLD]).argmax(1).tolist() == [0, 1]


def test_the_exported_form_scores_as_the_trained_one(tiny):
    classifier, restored = fitted(tiny), make(tiny)
    restored.restore(classifier.state())
    assert np.array_equal(restored.decision_function([WARM, COLD]), classifier.decision_function([WARM, COLD]))
    assert restored.state().blobs == classifier.state().blobs


def test_the_same_random_state_gives_the_same_scores_and_another_one_others(tiny):
    found = [fitted(tiny, random_state=state).decision_function([WARM, COLD]) for state in (5, 5, 6)]
    assert np.array_equal(found[0], found[1]) and not np.array_equal(found[0], found[2])


@pytest.mark.parametrize(
    ("steps", "rows", "epochs"),
    [(2, 16, 1), (6, 48, 1), (7, 48, 2), (60, 48, 10), (600, 48, 10)],
)
def test_the_cost_of_the_pairs_is_bounded_by_steps_and_epochs(tiny, monkeypatch, steps, rows, epochs):
    seen = []

    def spy(model, tokenizer, texts, targets, recipe, *args, **options):
        seen.append((len(set(texts)), recipe.epochs))
        return model

    monkeypatch.setattr("pipeline.classifiers.network.train_network", spy)
    fitted(tiny, steps=steps)
    assert seen == [(rows, epochs)]


def test_progress_goes_up_to_the_end(tiny):
    told = []
    make(tiny).fit(examples(), NAMES, lambda share, words: told.append(share))
    assert told == sorted(told) and told[-1] > 0.9


@pytest.mark.parametrize(("option", "value"), [("steps", 0), ("epochs", 0), ("batch_size", 1), ("pairs", 9)])
def test_an_option_that_cannot_be_is_one_line(tiny, option, value):
    error = refused(make, tiny, **{option: value})
    assert error.what.startswith(f"option `{option}`: ") and error.expected.startswith("options of contrastive: ")


FOR = ("praised", "did not condemn", "never rejected", "welcomed", "defended", "did not oppose")
AGAINST = ("condemned", "did not praise", "never welcomed", "rejected", "opposed", "did not defend")
WHO = ("The mayor", "A retired baker", "My aunt", "The ferry union", "The choir", "Our dentist")
WHAT = ("the harbour tunnel", "the longer school day", "the kimchi museum", "the night bus", "the dog park", "the toll")


def sentences(who, what, turn):
    rows = [
        (f"{someone} {verbs[(i + j + turn) % 6]} {something}.", label)
        for i, someone in enumerate(who)
        for j, something in enumerate(what)
        for verbs, label in ((FOR, "warm"), (AGAINST, "cold"))
    ]
    return [Example(f"a{i}", 0, 0, 9, text, label, "train", f"a{i}") for i, (text, label) in enumerate(rows)]


@pytest.mark.slow
def test_few_labels_teach_a_real_encoder_what_to_look_at():
    """A frozen encoder's vectors say who and what, and hardly that a `not` turns the meaning round."""
    few = sentences(WHO[:4], WHAT[:3], turn=0)
    others = sentences(WHO[4:], WHAT[3:], turn=1) + sentences(WHO[:4], WHAT[3:], turn=0)
    right = []
    for kind, options in (("embedding", {}), ("contrastive", {"epochs": 30})):
        classifier = create(Candidate(name=kind, kind=kind, options=options))
        classifier.fit(few, NAMES, silent)
        found = classifier.decision_function([row.text for row in others]).argmax(1)
        right.append(float((found == index_labels(others, NAMES)).mean()))
    assert right[1] > right[0] + 0.1 and right[1] > 0.9, right
