"""The exported form of an encoder reads its two files and no others, and they must fit together."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from pipeline.classifiers.onnx import OnnxModel

WORDS = {"[UNK]": 0, "soup": 1, "noodles": 2}
BOIL = [helper.make_node("Boil", ["input_ids"], ["output"], domain="soup")]


def tokenizer(change=lambda stored: None):
    """Cut texts at blanks, to four words at most."""
    fast = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    fast.enable_truncation(4)
    stored = json.loads(fast.to_str())
    change(stored)
    return json.dumps(stored).encode()


def network(weights=None, nodes=(), domains=()):
    """Sum what each word weighs; there are as many words as the tokenizer knows."""
    weights = weights or numpy_helper.from_array(np.array([[0.0], [1.0], [10.0]], np.float32), "weights")
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("input_ids", "attention_mask")
    ]
    nodes = nodes or [
        helper.make_node("Gather", ["weights", "input_ids"], ["each"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["masks"]),
        helper.make_node("Mul", ["each", "masks"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["output"], keepdims=0),
    ]
    axes = [numpy_helper.from_array(np.array([axis]), name) for name, axis in (("last", -1), ("middle", 1))]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 1])
    graph = helper.make_graph(nodes, "graph", inputs, [output], [weights, *axes])
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def model(**files):
    return OnnxModel(
        {"model.onnx": network(), "tokenizer.json": tokenizer()}
        | {name.replace("_", "."): content for name, content in files.items()}
    )


def outside(place):
    """Say that the weights lie in another file."""
    tensor = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[3, 1], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", place), ("offset", "0"), ("length", "12")):
        tensor.external_data.add(key=key, value=value)
    return network(tensor)


def test_texts_are_scored_in_their_order_and_cut_to_what_the_tokenizer_says():
    assert model().run(["soup noodles", "", "noodles noodles noodles noodles noodles"]).tolist() == [[11], [0], [40]]
    assert model().run([]).shape == (0, 1)


@pytest.mark.parametrize("place", ["secret.bin", "./secret.bin", "../soup/secret.bin", "{folder}/secret.bin"])
def test_weights_in_another_file_are_not_read(place, tmp_path, monkeypatch):
    folder = tmp_path / "soup"
    folder.mkdir()
    (folder / "secret.bin").write_bytes(np.arange(3, dtype=np.float32).tobytes())
    monkeypatch.chdir(folder)
    with pytest.raises(ValueError, match="keeps weights in another file"):
        model(model_onnx=outside(place.format(folder=folder)))


def test_a_tokenizer_must_say_how_long_a_text_may_be():
    with pytest.raises(ValueError, match="how long a text may be"):
        model(tokenizer_json=tokenizer(lambda stored: stored.update(truncation=None)))


@pytest.mark.parametrize("number", [3, 4_000_000_000])
def test_a_tokenizer_must_not_know_words_that_the_network_does_not(number):
    with pytest.raises(Exception, match="out of data bounds"):
        model(tokenizer_json=tokenizer(lambda stored: stored["model"]["vocab"].update(borscht=number)))


@pytest.mark.parametrize(
    "files",
    [
        {"model_onnx": b"soup"},
        {"model_onnx": b"ORTM" * 8},
        {
            "model_onnx": network(
                nodes=[helper.make_node("Boil", ["input_ids"], ["output"], domain="soup")], domains=["soup"]
            )
        },
        {"tokenizer_json": b"{}"},
        {"tokenizer_json": b"\xff\xfe"},
        {"tokenizer_json": b"[" * 100_000},
    ],
    ids=["no network", "another form", "a step of its own", "no tokenizer", "no text", "brackets"],
)
def test_files_that_are_none_are_refused(files, capfd):
    with pytest.raises(Exception):  # noqa: B017 - each library has its own
        model(**files)
    assert capfd.readouterr() == ("", "")
