# SPDX-License-Identifier: GPL-2.0-only
"""Nested models from the weights of BERT (MiniLM) and DINOv2 of transformers.

At the whole depth and width, hidden states are those of the model that they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.models.nested.network import Nested, sorted_units
from edgelam.models.nested.shape import STEM, Shape

_BERT = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value", "o": "attention.output.dense",
    "norm1": "attention.output.LayerNorm", "up": "intermediate.dense", "down": "output.dense",
    "norm2": "output.LayerNorm",
}  # fmt: skip
_DINO = {
    "q": "attention.q_proj", "k": "attention.k_proj", "v": "attention.v_proj", "o": "attention.o_proj",
    "norm1": "norm1", "up": "mlp.fc1", "down": "mlp.fc2", "norm2": "norm2",
}  # fmt: skip


def of_bert(
    model: Any, classes: int, exits: Sequence[int], shares: Sequence[tuple[int, int]], tokens: int
) -> Nested:  # fmt: skip
    """Return the nested model of a transformers.BertModel; its exits have no weights yet (logits are zero).

    tokens: most tokens of an input; positions beyond are left out.
    """
    config = model.config
    if config.hidden_act != "gelu":
        raise ConfigurationError(f"a model whose activation is {config.hidden_act!r} cannot be nested; legal is 'gelu'")
    shape = Shape(
        "text", config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.intermediate_size,
        classes, tuple(exits), tuple(shares), first_norm=False, epsilon=config.layer_norm_eps, tokens=tokens,
    )  # fmt: skip
    state = {name: value.float() for name, value in model.state_dict().items()}
    kinds = state["embeddings.token_type_embeddings.weight"][0]
    entering = {
        "table": state["embeddings.word_embeddings.weight"],
        "positions": state["embeddings.position_embeddings.weight"][:tokens] + kinds,
        "norm": state["embeddings.LayerNorm.weight"], "norm_bias": state["embeddings.LayerNorm.bias"],
    }  # fmt: skip
    return _nested(shape, entering, state, _BERT, {}, (torch.ones(shape.width), torch.zeros(shape.width)))


def of_dinov2(model: Any, classes: int, exits: Sequence[int], shares: Sequence[tuple[int, int]], pixels: int) -> Nested:
    """Return the nested model of a transformers.Dinov2Model for images of pixels x pixels; see `of_bert`.

    Its exits begin with the final normalisation of the model.
    """
    config = model.config
    patch = config.patch_size
    if config.hidden_act != "gelu" or pixels % patch:
        raise ConfigurationError(
            f"activation {config.hidden_act!r} and {pixels} pixels; legal are 'gelu' and multiples of {patch}"
        )
    shape = Shape(
        "image", config.num_hidden_layers, config.hidden_size, config.num_attention_heads,
        config.hidden_size * config.mlp_ratio, classes, tuple(exits), tuple(shares), first_norm=True,
        epsilon=config.layer_norm_eps, tokens=(pixels // patch) ** 2 + 1,
    )  # fmt: skip
    state = {name: value.float() for name, value in model.state_dict().items()}
    blank = torch.zeros(1, shape.tokens, shape.width)
    with torch.no_grad():
        positions = model.embeddings.interpolate_pos_encoding(blank, pixels, pixels)[0]
    entering = {
        "patch": state["embeddings.patch_embeddings.projection.weight"],
        "patch_bias": state["embeddings.patch_embeddings.projection.bias"],
        "token": state["embeddings.cls_token"].reshape(1, -1), "positions": positions,
    }  # fmt: skip
    scales = {"scale1": "layer_scale1.lambda1", "scale2": "layer_scale2.lambda1"}
    return _nested(shape, entering, state, _DINO, scales, (state["layernorm.weight"], state["layernorm.bias"]))


def _nested(  # noqa: PLR0917
    shape: Shape, entering: dict[str, Tensor], state: dict[str, Tensor], names: dict[str, str], more: dict[str, str],
    norm: tuple[Tensor, Tensor],
) -> Nested:  # fmt: skip
    parts: dict[str, dict[str, Tensor]] = {STEM: entering}
    for i in range(shape.layers):
        tensors = {}
        for own, theirs in names.items():
            tensors[own] = state[f"encoder.layer.{i}.{theirs}.weight"]
            tensors[f"{own}_bias"] = state[f"encoder.layer.{i}.{theirs}.bias"]
        tensors |= {own: state[f"encoder.layer.{i}.{theirs}"] for own, theirs in more.items()}
        parts[f"layer {i}"] = sorted_units(shape, tensors)
    for depth in shape.exits:
        parts[f"exit {depth}"] = {
            "norm": norm[0], "norm_bias": norm[1], "head": torch.zeros(shape.classes, shape.width),
            "head_bias": torch.zeros(shape.classes),
        }  # fmt: skip
    return Nested(shape, parts)
