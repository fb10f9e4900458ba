"""Rebuilding the pretrained model that ships, on a few sentences and with one teacher."""

import json
import shutil

import numpy as np
import pytest

from pipeline.classifiers import create
from pipeline.classifiers.checkpoint import ADAPTER, DEFAULT, load_checkpoint, merge_adapter, pretrained_head
from pipeline.classifiers.pretrained import first_stage
from pipeline.config import Candidate, Config, Data
from pipeline.data.dataset import read_corpora
from pipeline.errors import InputError
from pipeline.training import pretrain as adaptation

NAMES = ("pro-sanctions", "pro-dialogue", "neutral")
SENTENCES = {
    "pro-sanctions": "Tighten the screws on the coal trade, delegate number {} demanded at breakfast.",
    "pro-dialogue": "Envoy number {} begged both sides to go back to the talks about talks.",
    "neutral": "Bus number {} crossed the bridge at Dandong with eleven passengers.",
}
FOG = "The harbour at Nampo was foggy all week long. Ships waited, and so did the gulls of Nampo."
RECIPE = adaptation.PretrainRecipe(teachers=1, teacher_epochs=1, epochs=1, rank=2)


def silent(share, words):
    pass


@pytest.fixture
def config(tmp_path):
    rows = [
        {"id": f"{label}{i}", "article": f"doc{i}", "source": "news", "label": label, "text": text.format(i)}
        | {"split": "validation" if i % 4 == 0 else "train"}
        for i in range(16)
        for label, text in SENTENCES.items()
    ]
    file = tmp_path / "corpora.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    candidates = (Candidate(name="majority", kind="majority"),)
    return Config(name="x", label_names=NAMES, candidates=candidates, data=Data(corpora=file), cache=tmp_path / "cache")


@pytest.fixture
def unlabelled(tmp_path):
    """An article of our own, and one that is held out."""
    rows = [
        {
            "id": "fresh",
            "text": FOG,
        },
        {"id": "doc0", "text": "This sentence belongs to a document that nothing may be learned from."},
    ]
    file = tmp_path / "unlabelled.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_a_held_out_document_gives_no_unlabelled_sentence(config, unlabelled):
    rows = read_corpora(config.data.corpora, NAMES)
    assert adaptation.unlabelled_sentences([unlabelled], rows) == [
        "Ships waited, and so did the gulls of Nampo.",
        "The harbour at Nampo was foggy all week long.",
    ]


def test_a_labelled_sentence_is_no_unlabelled_one(config, tmp_path):
    file = tmp_path / "copy.jsonl"
    file.write_text(json.dumps({"id": "copy", "text": SENTENCES["neutral"].format(1)}))
    assert not adaptation.unlabelled_sentences([file], read_corpora(config.data.corpora, NAMES))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_adapter_is_written_whole_and_goes_on_where_it_stopped(config, unlabelled, tmp_path):
    output = tmp_path / "adapter"
    adaptation.adapt(config, [unlabelled], output, silent, RECIPE)
    names = {file.name for file in output.iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "head.json", "head.safetensors", "README.md"}
    head = pretrained_head(output)
    assert head.coefficients.shape == (3, 384)
    assert "36 labelled real sentences" in (output / "README.md").read_text()
    _, plain = load_checkpoint(DEFAULT)
    before = plain.encoder.layer[0].attention.self.query.weight.detach().clone()
    after = merge_adapter(plain, output).encoder.layer[0].attention.self.query.weight
    assert not np.allclose(before.numpy(), after.detach().numpy())

    told = []
    adaptation.adapt(config, [unlabelled], output, lambda share, words: told.append(words), RECIPE)
    assert not any("teacher" in words for words in told)


@pytest.mark.slow
def test_a_first_stage_is_written_beside_the_adapter_it_was_made_for(config, unlabelled, tmp_path):
    folder = shutil.copytree(ADAPTER, tmp_path / "adapter")
    facts = adaptation.adapt_first_stage(config, [unlabelled], folder, silent)
    start = create(Candidate(name="pretrained", kind="pretrained"))
    start.fit([], NAMES, silent)
    stage = first_stage(start, NAMES, folder)
    held_out = [row.text for row in read_corpora(config.data.corpora, NAMES) if row.split == "validation"]
    sure, _ = stage.answer(held_out)
    assert (start.decision_function(held_out)[sure].argmax(1) == 2).all()
    assert (facts["sentences"], facts["answered"]) == (12, round(float(sure.mean()), 3))


def test_without_corpora_there_is_one_line(config):
    with pytest.raises(InputError, match="names no corpora"):
        adaptation.adapt(config.model_copy(update={"data": Data()}), [], config.cache, silent)
