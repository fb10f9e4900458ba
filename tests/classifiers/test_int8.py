import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.classifiers.int8 import quantize, quantize_weights

RNG = np.random.default_rng(0)
NAMES = ("scale", "bias", "first", "second")


def model():
    """A normalization with one large channel, a layer, and a product of activations with themselves."""
    arrays = [np.ones(16), np.zeros(16), RNG.normal(size=(16, 24)), RNG.normal(size=(24, 6))]
    arrays[0][3] = 40.0
    nodes = [
        helper.make_node("LayerNormalization", ["x", "scale", "bias"], ["even"], axis=-1),
        helper.make_node("MatMul", ["even", "first"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "second"], ["values"]),
        helper.make_node("Transpose", ["values"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["values", "turned"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "soup",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "t", 16])]
        + [helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["n", "t"])],
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, ["n", "t", 6])]
        + [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "t", "t"])],
        [numpy_helper.from_array(a.astype(np.float32), name) for a, name in zip(arrays, NAMES, strict=True)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return made.SerializeToString()


def texts(number=4, length=5):
    x = RNG.normal(size=(number, length, 16)).astype(np.float32)
    return {"x": x, "attention_mask": np.ones((number, length), np.int64)}


def run(content, inputs):
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(["values"], inputs)[0]


@pytest.fixture(scope="module")
def both():
    floating = model()
    return floating, quantize(floating, texts())


def test_int8_says_what_float_says(both):
    inputs = texts(8)
    expected, found = (run(content, inputs) for content in both)
    assert 0 < np.abs(found - expected).max() < 0.03 * np.abs(expected).max()


def test_a_text_says_the_same_whatever_stands_beside_it(both):
    inputs = texts(3)
    among = inputs | {"x": inputs["x"] * np.array([1.0, 1000.0, 1e-3], np.float32)[:, None, None]}
    alone = {name: values[:1] for name, values in inputs.items()}
    assert np.array_equal(run(both[1], among)[0], run(both[1], alone)[0])


def test_a_token_of_zeros_divides_by_something(both):
    inputs = texts()
    inputs["x"][:] = 1.0  # normalized, that is zero
    assert np.isfinite(run(both[1], inputs)).all()


def test_only_products_with_constants_are_taken_in_int8(both):
    kinds = [node.op_type for node in onnx.load_from_string(both[1]).graph.node]
    assert (kinds.count("MatMulIntegerToFloat"), kinds.count("MatMul")) == (2, 1)


def test_no_float_copy_of_a_weight_is_left(both):
    kept = {tensor.name for tensor in onnx.load_from_string(both[1]).graph.initializer}
    assert not kept & {"first", "second"}


def test_a_channel_that_is_always_large_does_not_cost_the_others_their_steps(both, monkeypatch):
    monkeypatch.setattr("pipeline.classifiers.int8._channel_factors", lambda *_: {})
    rough = quantize(both[0], texts())
    inputs = texts(64)
    expected, smooth, plain = (run(content, inputs) for content in (*both, rough))
    assert np.abs(smooth - expected).mean() < np.abs(plain - expected).mean()


@pytest.mark.parametrize("rows", [16, 17])
def test_no_two_neighbours_overflow_16_bits(rows):
    weights = RNG.normal(size=(rows, 9)) ** 3
    found = np.abs(quantize_weights(weights)[0].astype(int))
    assert all((255 * (found[i] + found[i + 1])).max() < 2**15 for i in range(0, rows - 1, 2))


def test_weights_come_back_within_half_a_step():
    weights = RNG.normal(size=(16, 9))
    found, scales = quantize_weights(weights)
    assert (np.abs(found * scales - weights) <= scales * 0.5001).all()


def test_a_column_of_zeros_stays_one():
    assert not quantize_weights(np.zeros((4, 2)))[0].any()
