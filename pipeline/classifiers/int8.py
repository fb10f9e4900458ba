"""The linear layers of an ONNX graph in int8, where each token is scaled by itself.

Usual dynamic quantization scales a whole batch by its largest activation, so that the score of a
sentence hangs on its neighbours; with a scale for each token (as in LLM.int8, Dettmers et al., 2022) it
hangs on nothing else. Everything between linear layers (attention, normalization) stays in float32.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

# Activations are unsigned, because only unsigned times signed is fast: 128 stands for zero.
CONSTANTS: dict[str, np.ndarray] = {
    "int8.one": np.array(1, np.float32),
    "int8.zero": np.array(128, np.uint8),
    "int8.share": np.array(1 / 127, np.float32),
    "int8.least": np.array(1e-8, np.float32),
}


def quantize(model: bytes, inputs: dict[str, np.ndarray]) -> bytes:
    """Return a float32 ONNX model with its products with constant matrices taken in int8.

    `inputs` are a few texts, any, as the model takes them: they show which channels are always large.
    """
    import onnx
    from onnx import helper, numpy_helper

    loaded: Any = onnx.load_from_string(model)
    graph = loaded.graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    linear = {
        node.output[0]: node
        for node in graph.node
        if node.op_type == "MatMul" and arrays.get(node.input[1], np.empty(0)).ndim == 2
    }
    factors = _channel_factors(loaded, list(linear.values()), arrays, inputs)
    constants = dict(CONSTANTS)
    nodes: list[Any] = []
    done: set[str] = set()
    for node in graph.node:
        if node.output[0] not in linear:
            nodes.append(node)
            continue
        source, name, weights = node.input[0], node.output[0], arrays[node.input[1]]
        if source in factors:
            constants[f"{source}.factors"] = 1 / factors[source]
            weights = weights * factors[source][:, None]
        if source not in done:  # query, key and value share one
            done.add(source)
            nodes += _quantize_tokens(source, source in factors, helper.make_node)
        constants[f"{name}.weights"], constants[f"{name}.scales"] = quantize_weights(weights)
        operands = [f"{source}.int8", f"{name}.weights", "int8.one", f"{name}.scales", "int8.zero"]
        nodes.append(helper.make_node("MatMulIntegerToFloat", operands, [f"{name}.sum"], domain="com.microsoft"))
        nodes.append(helper.make_node("Mul", [f"{name}.sum", f"{source}.scale"], [name]))
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    kept += [numpy_helper.from_array(array, name) for name, array in constants.items() if name in used]
    for field, values in ((graph.node, nodes), (graph.initializer, kept)):
        del field[:]
        field.extend(values)
    loaded.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return bytes(loaded.SerializeToString())


def _channel_factors(
    model: Any, linear: list[Any], arrays: dict[str, np.ndarray], inputs: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return by what to divide the channels that come out of a normalization, and to multiply weights with.

    A few are always large, and would leave few steps to the others of their token (SmoothQuant, Xiao et al., 2023).
    """
    import onnx
    import onnxruntime

    normalized = {node.output[0] for node in model.graph.node if node.op_type == "LayerNormalization"}
    weights: dict[str, list[np.ndarray]] = defaultdict(list)
    for node in linear:
        if node.input[0] in normalized:
            weights[node.input[0]].append(np.abs(arrays[node.input[1]]).max(1))
    if not weights:
        return {}
    open_model = onnx.ModelProto()
    open_model.CopyFrom(model)
    open_model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in weights)
    session = onnxruntime.InferenceSession(open_model.SerializeToString(), providers=["CPUExecutionProvider"])
    real = inputs["attention_mask"].astype(bool)
    values = dict(zip(weights, session.run(list(weights), inputs), strict=True))
    return {
        name: np.sqrt(np.abs(values[name][real]).max(0).clip(1e-6) / np.max(found, axis=0).clip(1e-6))
        for name, found in weights.items()
    }


def _quantize_tokens(source: str, smooth: bool, node: Any) -> list[Any]:
    """Return the nodes that divide each token by a 127th of its largest value, and round."""
    even = f"{source}.even" if smooth else source
    return [
        *([node("Mul", [source, f"{source}.factors"], [even])] if smooth else []),
        node("Abs", [even], [f"{source}.size"]),
        node("ReduceMax", [f"{source}.size"], [f"{source}.largest"], axes=[-1], keepdims=1),
        node("Mul", [f"{source}.largest", "int8.share"], [f"{source}.step"]),
        node("Max", [f"{source}.step", "int8.least"], [f"{source}.scale"]),  # a token of zeros divides by something
        node("Div", [even, f"{source}.scale"], [f"{source}.steps"]),
        node("QuantizeLinear", [f"{source}.steps", "int8.one", "int8.zero"], [f"{source}.int8"]),
    ]


def quantize_weights(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 weights, shape (d, m), and the scale of each column, shape (m,).

    Processors without VNNI add the products of two neighbours in 16 bits, where 255 x 127 x 2 is too
    much: no two neighbours in a column add up to more than 128 here.
    """
    size = np.pad(np.abs(weights.astype(np.float64)), ((0, len(weights) % 2), (0, 0)))
    pairs = size.reshape(-1, 2, size.shape[1]).sum(1)
    scales = np.maximum(pairs.max(0) / 127, 1e-12)
    return np.round(weights / scales).astype(np.int8), scales.astype(np.float32)
