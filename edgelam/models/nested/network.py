# SPDX-License-Identifier: GPL-2.0-only
"""A transformer whose smaller models are parts of it, as functions of named tensors.

The same functions compute with all weights, with the first heads and neurons of them (`Nested.weights`), and with what
a device has received (edgelam/downloading). A model is a chain of parts: ``stem``, ``layer 0`` and so on; after some
layers there is an exit.

Shape suffixes: B batch, L tokens, D width, K heads at this width, E features of a head, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgelam.models.nested.shape import AXES, STEM, Shape

Weights = Mapping[str, Tensor]
Change = Callable[[str, str, Tensor], Tensor]
"""(part, tensor name, tensor) -> what is computed with instead."""


def stem(shape: Shape, w: Weights, inputs: Tensor) -> Tensor:
    """Return hidden states [B, L, D] of token ids int64 [B, L], or of pixels [B, 3, height, width]."""
    if shape.kind == "text":
        x_BLD = F.embedding(inputs, w["table"]) + w["positions"][: inputs.shape[1]]
        return F.layer_norm(x_BLD, (shape.width,), w["norm"], w["norm_bias"], shape.epsilon)
    patches = F.conv2d(inputs, w["patch"], w["patch_bias"], stride=w["patch"].shape[-1]).flatten(2).transpose(1, 2)
    first = w["token"].expand(len(inputs), 1, shape.width)
    return torch.cat([first, patches], dim=1) + w["positions"]


def layer(shape: Shape, w: Weights, x_BLD: Tensor, mask_BL: Tensor | None = None) -> Tensor:
    """Return hidden states after a layer; it has the width of its weights. mask_BL: bool, False where padding is."""
    entering = _norm(shape, w, "norm1", x_BLD) if shape.first_norm else x_BLD
    a_BLD = _scaled(w, "scale1", _attention(shape, w, entering, mask_BL))
    x_BLD = x_BLD + a_BLD
    if not shape.first_norm:
        x_BLD = _norm(shape, w, "norm1", x_BLD)
    entering = _norm(shape, w, "norm2", x_BLD) if shape.first_norm else x_BLD
    f_BLD = F.linear(F.gelu(F.linear(entering, w["up"], w["up_bias"])), w["down"], w["down_bias"])
    x_BLD = x_BLD + _scaled(w, "scale2", f_BLD)
    return x_BLD if shape.first_norm else _norm(shape, w, "norm2", x_BLD)


def leave(shape: Shape, w: Weights, x_BLD: Tensor, mask_BL: Tensor | None = None) -> Tensor:
    """Return logits [B, C] by an exit: the mean over tokens of what it normalises, through a linear layer."""
    x_BLD = F.layer_norm(x_BLD, (shape.width,), w["norm"], w["norm_bias"], shape.epsilon)
    if mask_BL is None:
        mean_BD = x_BLD.mean(dim=1)
    else:
        share_BL = mask_BL.to(x_BLD.dtype) / mask_BL.sum(dim=1, keepdim=True)
        mean_BD = torch.einsum("BL,BLD->BD", share_BL, x_BLD)
    return F.linear(mean_BD, w["head"], w["head_bias"])


def _attention(shape: Shape, w: Weights, x_BLD: Tensor, mask_BL: Tensor | None) -> Tensor:
    B, L, _ = x_BLD.shape
    size = shape.width // shape.heads
    q_BKLE, k_BKLE, v_BKLE = (
        F.linear(x_BLD, w[name], w[f"{name}_bias"]).reshape(B, L, -1, size).transpose(1, 2) for name in "qkv"
    )
    mask = None if mask_BL is None else mask_BL[:, None, None, :]
    mixed = F.scaled_dot_product_attention(q_BKLE, k_BKLE, v_BKLE, attn_mask=mask)
    return F.linear(mixed.transpose(1, 2).reshape(B, L, -1), w["o"], w["o_bias"])


def _norm(shape: Shape, w: Weights, name: str, x_BLD: Tensor) -> Tensor:
    return F.layer_norm(x_BLD, (shape.width,), w[name], w[f"{name}_bias"], shape.epsilon)


def _scaled(w: Weights, name: str, x_BLD: Tensor) -> Tensor:
    return x_BLD * w[name] if name in w else x_BLD


class Nested(nn.Module):
    """All weights of a nested model."""

    def __init__(self, shape: Shape, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        """parts: part -> tensor name -> tensor, of the whole width."""
        super().__init__()
        self.shape = shape
        self.parts = nn.ModuleDict(
            {
                name: nn.ParameterDict({key: nn.Parameter(value.detach().clone()) for key, value in tensors.items()})
                for name, tensors in parts.items()
            }
        )

    def tensors(self, part: str) -> dict[str, Tensor]:
        """Return all tensors of a part, whole, in alphabetical order."""
        return dict(sorted(self.parts[part].items()))  # type: ignore[operator]

    def weights(self, part: str, width: int, change: Change | None = None) -> dict[str, Tensor]:
        """Return the tensors of a part at a width (0: the smallest)."""
        found = {}
        for name, tensor in self.tensors(part).items():
            units = self.shape.units(name, width) if part.startswith("layer") else None
            part_of = tensor if units is None else tensor.narrow(AXES[name][1], 0, units[1])
            found[name] = part_of if change is None else change(part, name, part_of)
        return found

    def forward(
        self, inputs: Tensor, mask_BL: Tensor | None = None, *, width: int = -1, depth: int | None = None,
        change: Change | None = None,
    ) -> dict[int, Tensor]:  # fmt: skip
        """Return depth -> logits [B, C] of all exits down to `depth`, from one pass.

        width: number of the width, -1: the whole.
        """
        width = width % self.shape.widths
        last = self.shape.layers if depth is None else depth
        self.shape.exit_name(last)
        x_BLD = self.enter(inputs, change)
        found = {}
        for i in range(last):
            x_BLD = layer(self.shape, self.weights(f"layer {i}", width, change), x_BLD, mask_BL)
            if i + 1 in self.shape.exits:
                found[i + 1] = leave(self.shape, self.weights(f"exit {i + 1}", width, change), x_BLD, mask_BL)
        return found

    def enter(self, inputs: Tensor, change: Change | None = None) -> Tensor:
        """Return hidden states before the first layer. Of a table of tokens, only the rows in `inputs` are changed."""
        w = self.weights(STEM, 0)
        if change is not None and self.shape.kind == "text":
            rows, inputs = inputs.unique(return_inverse=True)
            w["table"] = w["table"][rows]
        if change is not None:
            w = {name: change(STEM, name, tensor) for name, tensor in w.items()}
        return stem(self.shape, w, inputs)


def sorted_units(shape: Shape, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a layer with its heads and neurons in the order of their weights' norms, largest first.

    The layer computes the same. (The order that decides what the smaller widths have, as in DynaBERT.)
    """
    size = shape.width // shape.heads
    by_head = tensors["v"].reshape(shape.heads, -1).norm(dim=1) * tensors["o"].reshape(
        shape.width, shape.heads, size
    ).transpose(0, 1).reshape(shape.heads, -1).norm(dim=1)
    by_neuron = tensors["up"].norm(dim=1) * tensors["down"].norm(dim=0)
    heads = torch.sort(by_head, descending=True, stable=True).indices
    places = {
        "heads": (heads[:, None] * size + torch.arange(size)).flatten(),
        "neurons": torch.sort(by_neuron, descending=True, stable=True).indices,
    }  # fmt: skip
    return {
        name: tensor.index_select(AXES[name][1], places[AXES[name][0]]) if name in AXES else tensor
        for name, tensor in tensors.items()
    }


def part_names(shape: Shape, depth: int | None = None) -> Iterable[str]:
    """Return the parts of a model that answers at a depth, in the order in which they compute."""
    last = shape.layers if depth is None else depth
    return [STEM, *shape.layer_names[:last], shape.exit_name(last)]
