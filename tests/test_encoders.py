"""Pretrained encoders: a tiny one made here, and the default one that ships as a package."""

import dataclasses
import json

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from pipeline.calibration import Calibration
from pipeline.classifiers import checkpoint, create
from pipeline.classifiers.agreement import check_agreement, exported_form
from pipeline.classifiers.onnx import OnnxModel, length_batches
from pipeline.config import Candidate, read_config
from pipeline.dataset import Example
from pipeline.errors import InputError

NAMES = ("warm", "cold")
WARM, COLD = "the kettle sings and the stove is hot", "the ice creaks under the frozen pier"


def silent(share, words):
    pass


def examples(number=48):
    rows = [(WARM, "warm"), (COLD, "cold")] * (number // 2)
    return [
        Example(f"a{i // 2}", i % 2, 0, 9, f"{text} {i}", label, "train", f"a{i // 2}")
        for i, (text, label) in enumerate(rows)
    ]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A real encoder of a few thousand weights, saved as a hub model is."""
    folder = tmp_path_factory.mktemp("tiny")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(set(f"{WARM} {COLD}".split()))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    settings = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), **settings)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tuned(tiny):
    options = {"checkpoint": tiny, "epochs": 15, "learning_rate": 3e-3, "head_rate": 1e-2, "batch_size": 8}
    options |= {"freeze_words": False, "validation_share": 0.2}
    classifier = create(Candidate(name="finetune", kind="finetune", options=options))
    classifier.fit(examples(), NAMES, silent)
    return classifier


def test_fine_tuning_learns_what_tells_the_classes_apart(tuned):
    assert tuned.decision_function([WARM, COLD]).argmax(1).tolist() == [0, 1]


def test_the_exported_form_scores_as_the_trained_one(tuned):
    texts = [row.text for row in examples()] + ["pier", "the " * 300]
    exported = create(Candidate(name="finetune", kind="finetune"))
    exported.restore(tuned.state())
    assert np.allclose(exported.decision_function(texts), tuned.decision_function(texts), atol=0.05)


def test_a_float32_export_is_what_the_config_may_ask_for(tuned):
    assert b"MatMulIntegerToFloat" in tuned.state().blobs["model.onnx"]
    asked = dataclasses.replace(tuned, precision="float32")
    asked.__dict__ |= {"_model": tuned._model, "_tokenizer": tuned._tokenizer}
    assert b"MatMulIntegerToFloat" not in asked.state().blobs["model.onnx"]


def test_how_many_labels_the_export_keeps_is_told(tuned):
    candidate, texts = Candidate(name="finetune", kind="finetune"), [row.text for row in examples()]
    exported = exported_form(candidate, tuned)
    found = check_agreement(candidate, tuned, exported, Calibration(), texts)
    assert found == {"label_agreement": 1.0, "sentences": 48}


def test_an_export_that_changes_labels_is_refused(tuned):
    candidate, texts = Candidate(name="soup", kind="finetune"), [row.text for row in examples()]
    turned = exported_form(candidate, tuned)
    scores = turned.decision_function
    turned.decision_function = lambda texts: np.vstack([scores(texts[:-1]), -scores(texts[-1:])])
    with pytest.raises(InputError, match=r"candidate 'soup'.*97\.9% of 48 held-out.*precision: float32"):
        check_agreement(candidate, tuned, turned, Calibration(), texts)


def test_an_embedding_is_compared_with_torch_in_float32(tiny):
    candidate = Candidate(name="embedding", kind="embedding", options={"checkpoint": tiny})
    trained = create(candidate)
    trained.fit(examples(), NAMES, silent)
    exported = trained.decision_function([WARM, COLD])
    with checkpoint.exact():
        exact = trained.decision_function([WARM, COLD])
    assert 0 < np.abs(exact - exported).max() < 0.2


def test_a_classifier_without_an_encoder_has_no_other_form():
    candidate = Candidate(name="tfidf", kind="tfidf", options={"least_articles": 1})
    trained = create(candidate)
    trained.fit(examples(), NAMES, silent)
    assert check_agreement(candidate, trained, exported_form(candidate, trained), Calibration(), [WARM]) == {}


def test_what_was_exported_can_be_exported_again(tuned):
    exported = create(Candidate(name="finetune", kind="finetune"))
    exported.restore(tuned.state())
    assert exported.state().blobs.keys() == {"model.onnx", "tokenizer.json"}


def test_the_same_random_state_gives_the_same_weights(tiny):
    options = {"checkpoint": tiny, "epochs": 1, "batch_size": 8}
    scores = []
    for _ in range(2):
        classifier = create(Candidate(name="finetune", kind="finetune", options=options), random_state=5)
        classifier.fit(examples(), NAMES, silent)
        scores.append(classifier.decision_function([WARM, COLD]))
    assert np.array_equal(*scores)


def test_progress_tells_the_epoch(tiny):
    told = []
    options = {"checkpoint": tiny, "epochs": 2, "batch_size": 8}
    create(Candidate(name="finetune", kind="finetune", options=options)).fit(
        examples(), NAMES, lambda share, words: told.append((share, words))
    )
    assert told[0][1] == "epoch 1 of 2"
    assert told[-1] == (1.0, "epoch 2 of 2")


@pytest.mark.parametrize("kind", ["embedding", "hybrid"])
def test_a_linear_model_ships_with_its_encoder(tiny, kind):
    options = {"checkpoint": tiny}
    if kind == "hybrid":
        options["least_articles"] = 1
    candidate = Candidate(name=kind, kind=kind, options=options)
    trained = create(candidate)
    trained.fit(examples(), NAMES, silent)
    again = create(candidate)
    again.restore(trained.state())
    assert np.allclose(trained.decision_function([WARM, COLD]), again.decision_function([WARM, COLD]), atol=1e-5)


def test_a_sentence_scores_the_same_whatever_stands_beside_it(tuned):
    model = OnnxModel(tuned.state().blobs)
    alone = model.run([WARM])
    among = model.run([COLD, "the " * 90, WARM, "hot"])
    assert np.allclose(alone[0], among[2], atol=1e-5)


def test_no_text_gives_no_row(tuned):
    assert OnnxModel(tuned.state().blobs).run([]).shape == (0, 2)


def test_a_checkpoint_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot be loaded.*safetensors"):
        checkpoint.load_checkpoint(str(tmp_path / "nothing"))


def test_the_default_checkpoint_is_refused_when_a_byte_has_changed(monkeypatch):
    monkeypatch.setattr(checkpoint, "DEFAULT_SHA256", "0" * 64)
    checkpoint.find_checkpoint.cache_clear()
    with pytest.raises(InputError, match="has sha256 53aa51172d14.*reinstall"):
        checkpoint.find_checkpoint(checkpoint.DEFAULT)
    checkpoint.find_checkpoint.cache_clear()


def test_an_adapter_of_another_encoder_is_refused(tmp_path):
    card = {"encoder_sha256": "f" * 64}
    (tmp_path / "head.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="trained on the encoder ffffffffffff.*make adapter"):
        checkpoint.domain_head(tmp_path)


def test_batches_hold_each_position_once_and_are_of_like_length():
    lengths = np.random.default_rng(0).integers(3, 128, 500)
    batches = list(length_batches(lengths, 32))
    assert sorted(i for batch in batches for i in batch) == list(range(500))
    ordered = [lengths[i] for batch in batches for i in batch]
    assert ordered == sorted(ordered)


@pytest.mark.parametrize("config", ["full", "hub"])
def test_each_shipped_config_builds_its_candidates(config):
    from pathlib import Path

    from pipeline.selection import check_candidates

    check_candidates(read_config(Path(__file__).parents[1] / "configs" / f"{config}.yaml").candidates)
