"""Rebuilding the pretrained model that ships, on a few sentences and with one teacher."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from refusals import refused
from safetensors.numpy import load_file, save_file
from transformers import MPNetConfig, MPNetModel

from pipeline.classifiers import create
from pipeline.classifiers.adapter import AdapterOptions, _build
from pipeline.classifiers.checkpoint import load_adapter, load_checkpoint, merge_adapter, save_adapter
from pipeline.classifiers.pretrained_folder import HOME, REBUILD, read_head
from pipeline.config import Candidate, Config, Data, EvaluationSettings
from pipeline.data.dataset import load_dataset, read_corpora
from pipeline.training.material import unlabelled_sentences
from pipeline.training.pretrain import (
    RECIPES,
    PretrainRecipe,
    Stage,
    _choose,
    _patterns,
    pretrain,
    pretrain_expert,
    pretrain_first_stage,
    pretrain_second_stage,
)

NAMES = ("pro-sanctions", "pro-dialogue", "neutral")
SENTENCES = {
    "pro-sanctions": "Tighten the screws on the coal trade, delegate number {} demanded at breakfast.",
    "pro-dialogue": "Envoy number {} begged both sides to go back to the talks about talks.",
    "neutral": "Bus number {} crossed the bridge at Dandong with eleven passengers.",
}
FOG = "The harbour at Nampo was foggy all week long. Ships waited, and so did the gulls of Nampo."
STAGES = (Stage(1, 1e-3, invented=False, most_common=4), Stage(1, 1e-3, unlabelled=True))


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
    return Config(
        name="x", label_names=NAMES, candidates=candidates, data=Data(corpora=file, limit=1), cache=tmp_path / "cache"
    )


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
    assert unlabelled_sentences([unlabelled], rows) == [
        "Ships waited, and so did the gulls of Nampo.",
        "The harbour at Nampo was foggy all week long.",
    ]


def test_a_labelled_sentence_is_no_unlabelled_one(config, tmp_path):
    file = tmp_path / "copy.jsonl"
    file.write_text(json.dumps({"id": "copy", "text": SENTENCES["neutral"].format(1)}))
    assert not unlabelled_sentences([file], read_corpora(config.data.corpora, NAMES))


@pytest.fixture(params=["bert", "mpnet"])
def encoder(request, tiny, tiny_mpnet):
    return {"bert": tiny, "mpnet": tiny_mpnet}[request.param]


def test_a_model_is_written_whole_and_its_making_goes_on_where_it_stopped(config, unlabelled, encoder, tmp_path):
    teacher, output = tmp_path / "teacher", tmp_path / "model"
    recipe = PretrainRecipe(encoder, STAGES, rank=2, layers=(0,), patterns=5)
    pretrain(config, recipe, [], teacher, silent)
    pupil, heard = replace(recipe, teacher=str(teacher), layers=()), []
    for _ in range(2):
        pretrain(config, pupil, [unlabelled], output, lambda share, words: heard.append(words))
        heard.append("again")
    assert any(words.startswith("the teacher reads sentence 1 of ") for words in heard)
    assert any("epoch" in words for words in heard)
    assert not any("epoch" in words for words in heard[heard.index("again") :])  # all that was learned is remembered
    names = {file.name for file in output.iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "head.json", "head.safetensors", "README.md"}
    card, head = (output / "README.md").read_text(encoding="utf-8"), read_head(output)
    real = [row for row in load_dataset(config).part("train") if row.origin not in config.data.invented]
    assert f"{len(real)} labelled real sentences" in card and len(real) >= 36
    own = len(load_dataset(config).part("train")) - len(real) + 5
    assert f"{own} invented sentences" in card
    assert "2 sentences of the domain" in card and f"for {encoder}" in card
    assert head.coefficients.shape == (3, 16) and head.label_names == NAMES
    assert len(head.facts["decision"]["offsets"]) in (0, 3)
    _, plain = load_checkpoint(encoder)
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    after = merge_adapter(plain, output).state_dict()
    assert any(not np.array_equal(before[name], after[name]) for name in before)
    # What was written is a model to predict with, and to go on from.
    for kind, options in (("pretrained", {"model": str(output)}), ("embedding", {"checkpoint": str(output)})):
        classifier = create(Candidate(name=kind, kind=kind, options=options))
        classifier.fit(read_corpora(config.data.corpora, NAMES), NAMES, silent)
        assert classifier.decision_function(["Envoy number 7 begged."]).shape == (1, 3)


def test_no_sentence_made_of_parts_is_held_out_or_a_case_of_behaviour(config, tmp_path):
    recipe = PretrainRecipe("x", (), patterns=60)
    first, second, *others = _patterns(recipe, config)
    with config.data.corpora.open("a", encoding="utf-8") as stream:
        row = {"id": "z", "article": "z", "source": "news", "split": "test", "label": first.label, "text": first.text}
        stream.write(json.dumps(row) + "\n")
    cases = tmp_path / "behaviour"
    cases.mkdir()
    (cases / "minimum.yaml").write_text(json.dumps({"plain": [{"text": second.text, "label": second.label}]}))
    config = config.model_copy(update={"evaluation": EvaluationSettings(behaviour=cases)})
    texts = [row.text for row in _patterns(recipe, config)]
    assert len(texts) == 60 and {row.text for row in others} < set(texts)
    assert not {first.text, second.text} & set(texts)
    assert not _patterns(replace(recipe, patterns=0), config)


def test_an_adapter_is_written_in_8_bits_and_read_as_it_was(tiny, tmp_path):
    model = _build(load_checkpoint(tiny)[1], AdapterOptions(tiny, 2, (), 1, 1e-3, 8, 32, 0), 3, None).encoder
    torch.manual_seed(1)
    wanted = {name: p.data.normal_() for name, p in model.named_parameters() if p.requires_grad}
    folder = tmp_path / "adapter"
    folder.mkdir()
    save_adapter(model, folder)
    stored = load_file(folder / "adapter_model.safetensors")
    assert {str(tensor.dtype) for name, tensor in stored.items() if not name.startswith("scale.")} == {"int8"}
    again = dict(load_adapter(load_checkpoint(tiny)[1], folder, trainable=True).named_parameters())
    assert {name for name, p in again.items() if p.requires_grad} == set(wanted)
    for name, tensor in wanted.items():
        assert (again[name] - tensor).abs().max() <= tensor.abs().max() / 254 + 1e-6


@pytest.mark.parametrize("lost", ["scale.", "lora_A", "all"])
def test_an_adapter_that_is_not_whole_is_one_line(tiny_pretrained, tiny, lost, tmp_path):
    folder = shutil.copytree(tiny_pretrained, tmp_path / "model")
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if lost in name or lost == "all")
    save_file({kept: tensor for kept, tensor in tensors.items() if kept != name}, file)
    if lost == "all":
        file.write_bytes(b"short")
    error = refused(load_adapter, load_checkpoint(tiny)[1], folder)
    assert (error.where, error.then) == (str(folder), REBUILD)
    assert error.what.startswith("holds no adapter for this encoder")


def test_only_the_layers_of_the_recipe_are_adapted():
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    options = AdapterOptions("x", 2, (1, 2), 1, 1e-3, 8, 32, 0)
    model = _build(MPNetModel(MPNetConfig(vocab_size=9, **sizes)), options, 3, None)
    moving = {name.split("layer.")[1][0] for name, p in model.encoder.named_parameters() if p.requires_grad}
    assert moving == {"1", "2"}


def test_a_stage_takes_few_rows_of_the_commonest_label_and_invented_text_if_it_says_so(config):
    rows = [row for row in read_corpora(config.data.corpora, NAMES) if row.split == "train"]
    own = [replace(row, origin="authored", label="neutral") for row in rows[:3]]
    chosen = _choose([*rows, *own], 5, Stage(1, 0.1, invented=False, most_common=2), config, 0)
    labels = Counter([*rows, *own][position].label for position in chosen)
    assert labels == {"pro-sanctions": 12, "pro-dialogue": 12, "neutral": 2}
    short = [*rows, *own, replace(rows[0], text="Talk to them.")]
    assert _choose(short, 0, Stage(1, 0.1, longest=3), config, 0).tolist() == list(range(len(rows), len(short)))
    everything = _choose([*rows, *own], 5, Stage(1, 0.1, unlabelled=True), config, 0)
    assert everything.tolist() == list(range(len(rows) + 3 + 5))


@pytest.mark.slow
def test_a_first_stage_is_written_beside_the_adapter_it_was_made_for(config, unlabelled, tmp_path):
    folder = shutil.copytree(HOME / "small", tmp_path / "model")
    facts = pretrain_first_stage(config, [unlabelled], folder, silent)
    model = create(Candidate(name="pretrained", kind="pretrained", options={"model": str(folder)}))
    model.fit([], NAMES, silent)
    parts = [load_dataset(config).part(name) for name in ("validation", "contrast-validation")]
    held_out = [row.input for part in parts for row in part]
    assert len(parts[0]) == 12 and parts[1]
    sure, _ = model.first_stage(NAMES).answer(held_out)
    assert (model.decision_function(held_out)[sure].argmax(1) == 2).all()
    assert (facts["sentences"], facts["answered"]) == (len(held_out), round(float(sure.mean()), 3))


@pytest.mark.slow
def test_an_expert_for_plain_sentences_is_put_beside_a_model(config, tiny_pretrained, tmp_path):
    folder = shutil.copytree(tiny_pretrained, tmp_path / "model")
    facts = pretrain_expert(config, folder, "plain")
    model = create(Candidate(name="pretrained", kind="pretrained", options={"model": str(folder)}))
    model.fit([], NAMES, silent)
    own = [row.input for row in load_dataset(config).part("contrast-validation")]
    takes = model._expert.router.takes(own)
    assert facts["takes"] == {"validation": 0.0, "contrast-validation": round(float(takes.mean()), 3)}
    assert takes.mean() > 0.5
    plain = create(Candidate(name="plain", kind="pretrained", options={"model": "plain"}))
    plain.fit([], NAMES, silent)
    read = [text for text, taken in zip(own, takes, strict=True) if taken]
    np.testing.assert_allclose(model.decision_function(read), plain.decision_function(read), atol=1e-5)


@pytest.mark.slow
def test_a_smaller_model_is_put_beside_a_larger_one(config, tiny_pretrained, tmp_path):
    folder = shutil.copytree(tiny_pretrained, tmp_path / "model")
    shutil.copy(HOME / "small/first_stage.json", folder)
    options = {"model": str(folder), "precision": "float32"}
    larger, both = (create(Candidate(name="larger", kind="pretrained", options=options)) for _ in range(2))
    larger.fit([], NAMES, silent)
    facts = pretrain_second_stage(config, folder, "small", silent)
    assert facts["share"] > 0  # the larger one knows nothing here
    assert facts["sentences"] == 12 and 0.5 <= facts["least"] <= 1
    both.fit([], NAMES, silent)
    texts = [row.input for row in load_dataset(config).part("validation")]
    truth = [NAMES.index(row.label) for row in load_dataset(config).part("validation")]
    assert larger.second_stage() is None and both.second_stage().share == facts["share"]
    right = [(model.decision_function(texts).argmax(1) == truth).mean() for model in (larger, both)]
    assert right[0] < right[1]
    turned = create(Candidate(name="turned", kind="pretrained", options=options))
    turned.fit([], NAMES[::-1], silent)
    np.testing.assert_allclose(turned.decision_function(texts)[:, ::-1], both.decision_function(texts), atol=1e-5)
    error = refused(both.first_stage, NAMES)  # that stage knew the larger one alone
    assert error.what == "belongs to another adapter"
    assert (error.where, error.then) == (str(folder / "first_stage.json"), f"{REBUILD} --first-stage")


def test_without_corpora_there_is_one_line(config):
    without = config.model_copy(update={"data": Data()})
    error = refused(pretrain, without, RECIPES["small"], [], config.cache, silent)
    assert (error.where, error.what) == (config.name, "has no real text here")
    assert error.then == "run `stance corpora`"
