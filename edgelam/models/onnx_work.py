# SPDX-License-Identifier: GPL-2.0-only
"""Floating-point operations of an ONNX graph, for models that onnxruntime runs: PyTorch's counter does not see them.

The operators that do nearly all the work are counted: Conv, ConvTranspose, MatMul and Gemm. A multiplication and an
addition are two operations, as `edgelam.cosim` counts them in PyTorch. What is left out (normalisations, activations,
sums) is below 2 % in convolutional and transformer models. Shapes depend on the input, so the graph is
run once with the shapes of its intermediate tensors as further outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgelam.models.conversion.packages import needed

COUNTED = ("Conv", "ConvTranspose", "MatMul", "Gemm")


def flops(path: Path, inputs: Mapping[str, np.ndarray]) -> int:
    """Return the floating-point operations of one run of the graph in file `path` with these inputs."""
    onnx = needed("onnx", "to count the work of an ONNX graph")
    runtime = needed("onnxruntime", "to run an ONNX graph")
    model = onnx.load(str(path))
    nodes = [node for node in model.graph.node if node.op_type in COUNTED]
    names = sorted({name for node in nodes for name in (*node.input[:2], node.output[0])})
    for name in names:
        model.graph.node.append(onnx.helper.make_node("Shape", [name], [f"shape of {name}"]))
        model.graph.output.append(
            onnx.helper.make_tensor_value_info(f"shape of {name}", onnx.TensorProto.INT64, [None])
        )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = session.run([f"shape of {name}" for name in names], dict(inputs))
    shapes = {name: tuple(int(length) for length in shape) for name, shape in zip(names, found, strict=True)}
    return sum(_of_node(node, shapes) for node in nodes)


def _of_node(node: Any, shapes: Mapping[str, tuple[int, ...]]) -> int:
    left, right = (shapes[name] for name in node.input[:2])
    out = shapes[node.output[0]]
    if node.op_type == "Conv":  # weight [out, in / groups, kernel ...]: each output value meets one filter
        return 2 * _product(out) * _product(right[1:])
    if node.op_type == "ConvTranspose":  # weight [in, out / groups, kernel ...]: each input value meets one filter
        return 2 * _product(left) * _product(right[1:])
    attributes = {each.name: each.i for each in node.attribute}
    inner = left[-2] if node.op_type == "Gemm" and attributes.get("transA") else left[-1]
    return 2 * _product(out) * inner


def _product(lengths: tuple[int, ...]) -> int:
    return int(np.prod(lengths, dtype=np.int64))
