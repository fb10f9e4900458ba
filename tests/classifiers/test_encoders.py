"""Pretrained encoders: a tiny one made here, and the default one that ships as a package."""

import dataclasses

import numpy as np
import pytest
from conftest import COLD, WARM
from refusals import refused

from pipeline.classifiers import checkpoint, create, encoding
from pipeline.classifiers.agreement import check_agreement, exported_form
from pipeline.classifiers.folds import fit_and_score
from pipeline.classifiers.onnx import OnnxModel, length_batches
from pipeline.config import Candidate
from pipeline.data.dataset import Example
from pipeline.progress import on_epoch
from pipeline.scoring.calibration import Calibration, softmax

NAMES = ("warm", "cold")


def silent(share, words):
    pass


def examples(number=48):
    rows = [(WARM, "warm"), (COLD, "cold")] * (number // 2)
    return [
        Example(f"a{i // 2}", i % 2, 0, 9, f"{text} {i}", label, "train", f"a{i // 2}")
        for i, (text, label) in enumerate(rows)
    ]


@pytest.fixture(scope="session")
def tuned(tiny):
    options = {"checkpoint": tiny, "epochs": 15, "learning_rate": 3e-3, "head_rate": 1e-2, "batch_size": 8}
    options |= {"freeze_words": False, "validation_share": 0.2}
    classifier = create(Candidate(name="finetune", kind="finetune", options=options))
    told = []
    token = on_epoch.set(told.append)
    classifier.fit(examples(), NAMES, silent)
    on_epoch.reset(token)
    # A score on held-out articles after each epoch, till two are no better than the best.
    assert 2 < len(told) <= 15 and all(0 <= score <= 1 for score in told)
    return classifier


KILLABLE = {"epochs": 4, "learning_rate": 3e-3, "batch_size": 8, "validation_share": 0.2, "restarts": 2}


def test_a_fit_that_was_killed_goes_on_by_epoch(tiny, tmp_path):
    candidate = Candidate(name="finetune", kind="finetune", options=KILLABLE | {"checkpoint": tiny})

    def fit(cache, fatal=0):
        """Fit; what is scored, what each epoch scored and what was trained. It is killed after some epoch."""
        told, trained = [], []

        def after_epoch(score):
            told.append(score)
            if len(told) == fatal:
                raise KeyboardInterrupt

        token = on_epoch.set(after_epoch)
        try:
            given = candidate, examples(), [WARM, COLD], NAMES, 5, tmp_path / cache
            found = fit_and_score(*given, lambda _, words: trained.append(words))
            return found.scores, told, list(dict.fromkeys(trained[1:]))
        finally:
            on_epoch.reset(token)

    scores, told, trained = fit("whole")
    assert len(trained) == len(told) >= 6
    for fatal in (2, len(told)):
        with pytest.raises(KeyboardInterrupt):
            fit("killed", fatal)
        (folder,) = (tmp_path / "killed").iterdir()
        (folder / "5" / "checkpoint-99").mkdir()  # a kill while one was written
    found, again, rest = fit("killed")
    assert (again, rest) == (told, trained[-1:]) and np.array_equal(found, scores)
    assert [path.suffix for path in (tmp_path / "killed").iterdir()] == [".npz"]


def test_what_ends_with_an_error_leaves_nothing_to_go_on_from(tiny, tmp_path):
    candidate = Candidate(name="finetune", kind="finetune", options=KILLABLE | {"checkpoint": tiny})

    def stop(score):
        raise ValueError("soup")

    token = on_epoch.set(stop)
    with pytest.raises(ValueError, match="soup"):
        fit_and_score(candidate, examples(), [WARM], NAMES, 5, tmp_path / "cache", silent)
    on_epoch.reset(token)
    assert not list((tmp_path / "cache").iterdir())


def test_fine_tuning_learns_what_tells_the_classes_apart(tuned):
    assert tuned.decision_function([WARM, COLD]).argmax(1).tolist() == [0, 1]


def test_the_exported_form_scores_as_the_trained_one(tuned):
    texts = [row.text for row in examples()] + ["pier", "the " * 300]
    exported = create(Candidate(name="finetune", kind="finetune"))
    exported.restore(tuned.state())
    assert np.allclose(exported.decision_function(texts), tuned.decision_function(texts), atol=0.05)


def test_a_target_is_read_as_a_segment_of_its_own(tiny, tuned):
    tokenizer, _ = checkpoint.load_checkpoint(tiny)
    (tokens,) = encoding.encode(tokenizer, ["the kettle\nthe ice"], 16)
    assert tokenizer.convert_ids_to_tokens(tokens) == ["[CLS]", "the", "kettle", "[SEP]", "the", "ice", "[SEP]"]
    restored = create(Candidate(name="finetune", kind="finetune"))
    restored.restore(tuned.state())
    given = [f"the kettle\n{COLD}", f"the ice\n{COLD}", COLD]
    scores = restored.decision_function(given)
    assert np.allclose(scores, tuned.decision_function(given), atol=0.05)
    assert not np.allclose(scores[0], scores[2], atol=1e-3) and not np.allclose(scores[0], scores[1], atol=1e-3)


def test_a_float32_export_is_what_the_config_may_ask_for(tuned):
    assert b"MatMulIntegerToFloat" in tuned.state().blobs["model.onnx"]
    asked = dataclasses.replace(tuned, precision="float32")
    asked._trained = tuned._trained
    assert b"MatMulIntegerToFloat" not in asked.state().blobs["model.onnx"]


def test_how_many_labels_the_export_keeps_is_told(tuned):
    candidate, texts = Candidate(name="finetune", kind="finetune"), [row.text for row in examples()]
    exported = exported_form(candidate, tuned)
    found = check_agreement(candidate, tuned, exported, Calibration(), texts)
    assert found == {"label_agreement": 1.0, "sentences": 48}


def test_an_export_that_is_shown_to_change_labels_is_refused_and_few_sentences_show_nothing(tuned):
    candidate, texts = Candidate(name="soup", kind="finetune"), [row.text for row in examples()]
    turned = exported_form(candidate, tuned)
    scores = turned.decision_function
    wrong = 2
    turned.decision_function = lambda texts: np.vstack([scores(texts[:-wrong]), -scores(texts[-wrong:])])
    assert check_agreement(candidate, tuned, turned, Calibration(), texts)["label_agreement"] == 46 / 48
    wrong = 3
    error = refused(check_agreement, candidate, tuned, turned, Calibration(), texts)
    assert (
        error.where == "candidate 'soup'"
        and "93.8% of 48 held-out" in error.what
        and "precision: float32" in error.then
    )


def test_an_embedding_is_compared_with_torch_in_float32(tiny):
    candidate = Candidate(name="embedding", kind="embedding", options={"checkpoint": tiny})
    trained = create(candidate)
    trained.fit(examples(), NAMES, silent)
    exported = trained.decision_function([WARM, COLD])
    with encoding.exact():
        exact = trained.decision_function([WARM, COLD])
    assert 0 < np.abs(exact - exported).max() < 0.2


def test_a_classifier_without_an_encoder_has_no_other_form():
    candidate = Candidate(name="tfidf", kind="tfidf", options={"min_df": 1})
    trained = create(candidate)
    trained.fit(examples(), NAMES, silent)
    assert check_agreement(candidate, trained, exported_form(candidate, trained), Calibration(), [WARM]) == {}


def test_what_was_exported_can_be_exported_again(tuned):
    exported = create(Candidate(name="finetune", kind="finetune"))
    exported.restore(tuned.state())
    assert exported.state().blobs.keys() == {"model.onnx", "tokenizer.json"}


@pytest.fixture(scope="module")
def thrice(tiny):
    options = {"checkpoint": tiny, "epochs": 1, "learning_rate": 3e-3, "batch_size": 8, "restarts": 3}
    classifier = create(Candidate(name="finetune", kind="finetune", options=options), random_state=5)
    classifier.fit(examples(), NAMES, silent)
    return classifier


def test_several_restarts_answer_with_their_mean_log_probability(thrice):
    single = [encoding.run(n, thrice._trained.tokenizer, [WARM, COLD], 128) for n in thrice._trained.network.networks]
    assert not np.allclose(single[0], single[1]) and not np.allclose(single[1], single[2])
    expected = np.mean([np.log(softmax(logits)) for logits in single], axis=0)
    assert np.allclose(thrice.decision_function([WARM, COLD]), expected, atol=1e-5)


def test_the_first_of_several_restarts_is_the_one_that_stands_alone(thrice, tiny):
    options = {"checkpoint": tiny, "epochs": 1, "learning_rate": 3e-3, "batch_size": 8}
    alone = create(Candidate(name="finetune", kind="finetune", options=options), random_state=5)
    alone.fit(examples(), NAMES, silent)
    first = encoding.run(thrice._trained.network.networks[0], thrice._trained.tokenizer, [WARM, COLD], 128)
    assert np.array_equal(alone.decision_function([WARM, COLD]), first)


def test_several_restarts_are_exported_as_one_model(thrice):
    exported = create(Candidate(name="finetune", kind="finetune"))
    state = thrice.state()
    exported.restore(state)
    texts = [row.text for row in examples()]
    assert state.blobs.keys() == {"model.onnx", "tokenizer.json"}
    assert np.allclose(exported.decision_function(texts), thrice.decision_function(texts), atol=0.05)


def test_low_rank_adapters_of_the_upper_blocks_leave_the_others_as_they_were(shallow):
    _, before = checkpoint.load_checkpoint(shallow)
    options = {"checkpoint": shallow, "epochs": 2, "learning_rate": 3e-3, "batch_size": 8, "rank": 2, "blocks": 1}
    classifier = create(Candidate(name="finetune", kind="finetune", options=options))
    classifier.fit(examples(), NAMES, silent)
    after = classifier._trained.network.encoder.state_dict()
    changed = {name for name, tensor in before.state_dict().items() if not tensor.equal(after[name])}
    assert changed and all(name.startswith("encoder.layer.1.") for name in changed)
    exported = create(Candidate(name="finetune", kind="finetune"))
    exported.restore(classifier.state())
    texts = [row.text for row in examples()]
    assert np.allclose(exported.decision_function(texts), classifier.decision_function(texts), atol=0.1)


def test_no_fit_at_all_is_refused():
    error = refused(create, Candidate(name="finetune", kind="finetune", options={"restarts": 0}))
    assert error.what.startswith("option `restarts`: Input should be greater than or equal to 1")


def test_restarts_that_would_not_fit_into_one_file_are_refused_before_training(tiny, monkeypatch):
    monkeypatch.setattr("pipeline.classifiers.finetuning.LARGEST", 20_000)
    told = []
    classifier = create(Candidate(name="finetune", kind="finetune", options={"checkpoint": tiny, "restarts": 3}))
    error = refused(classifier.fit, examples(), NAMES, lambda share, words: told.append(words))
    assert error.what.startswith("3 restarts of it take ") and "the largest ONNX file" in str(error)
    assert error.then.startswith("lower `restarts`")
    assert not told


def test_progress_tells_the_epoch(tiny):
    told = []
    options = {"checkpoint": tiny, "epochs": 2, "batch_size": 8}
    create(Candidate(name="finetune", kind="finetune", options=options)).fit(
        examples(), NAMES, lambda share, words: told.append((share, words))
    )
    assert told[0][1] == "epoch 1 of 2"
    assert told[-1] == (1.0, "epoch 2 of 2")


def test_a_sentence_scores_the_same_whatever_stands_beside_it(tuned):
    model = OnnxModel(tuned.state().blobs)
    alone = model.run([WARM])
    among = model.run([COLD, "the " * 90, WARM, "hot"])
    assert np.allclose(alone[0], among[2], atol=1e-5)


def test_no_text_gives_no_row(tuned):
    assert OnnxModel(tuned.state().blobs).run([]).shape == (0, 2)


def test_batches_hold_each_position_once_and_are_of_like_length():
    lengths = np.random.default_rng(0).integers(3, 128, 500)
    batches = list(length_batches(lengths, 32))
    assert sorted(i for batch in batches for i in batch) == list(range(500))
    ordered = [lengths[i] for batch in batches for i in batch]
    assert ordered == sorted(ordered)


def test_some_blocks_are_joined_in_place_of_the_last(shallow):
    texts = [WARM, f"{COLD} {WARM}", "the"]
    tokenizer, encoder = checkpoint.load_checkpoint(shallow)
    with encoding.exact():
        each = [encoding.run(encoding.Embedder(encoder, True, [layer]), tokenizer, texts, 32) for layer in (1, 2)]
        last = encoding.run(encoding.Embedder(encoder, True), tokenizer, texts, 32)
    assert not np.allclose(each[0], each[1]) and np.allclose(each[1], last, atol=1e-6)
    found = encoding.frozen_encoder(shallow, 32, "float32", layers=(1, 2)).embed(texts)
    assert np.allclose(found, np.hstack(each) / np.sqrt(2), atol=1e-5)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("layers", [(3,), (1, 99)])
def test_a_block_that_is_not_there_is_named(shallow, layers):
    error = refused(encoding.FrozenEncoder, shallow, 32, "float32", layers=layers)
    assert error.what == "has 2 blocks" and error.expected == "`layers` from 1 to 2"


@pytest.mark.parametrize("kind", ["embedding", "hybrid"])
def test_a_classifier_over_some_blocks_comes_back_as_it_was(kind, shallow):
    options = {"checkpoint": shallow, "layers": [1, 2], "precision": "float32"}
    model = create(Candidate(name="one", kind=kind, options=options))
    model.fit(examples(), NAMES, lambda share, words: None)
    assert model._encoder_blobs()["model.onnx"] and model._embed([WARM]).shape[1] == 2 * 384
    other = create(Candidate(name="two", kind=kind))
    other.restore(model.state())
    assert np.allclose(other.decision_function([WARM, COLD]), model.decision_function([WARM, COLD]), atol=1e-6)
