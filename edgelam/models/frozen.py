# SPDX-License-Identifier: GPL-2.0-only
"""The frozen weights of a backbone in few bits, as QLoRA (arXiv 2305.14314) keeps them: matrices in groups of integers
with a scale each, all else as 16-bit floats. Adapters are trained beside them with full precision.

What is simulated: values are those of the integers, and bytes on the air and in memory are theirs; the arithmetic of
turning integers back into floats before a product is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from edgelam.models.backbone import Backbone
from edgelam.models.quantisation import Format, Quantised, quantise

FrozenWeights = Literal["plain", "int8", "int4"]
Parts = tuple[Tensor, ...]


@torch.no_grad()
def round_backbone(backbone: Backbone, kind: FrozenWeights) -> None:
    """Round the weights of a backbone in place, but for its embeddings, which the devices hold as they are."""
    if kind == "plain":
        return
    held = {id(weight) for weight in backbone.model.get_input_embeddings().parameters()}
    named = {name: weight for name, weight in backbone.model.named_parameters() if id(weight) not in held}
    for name, value in restored(packed(named, kind), named, kind).items():
        named[name].copy_(value)


def packed(weights: Mapping[str, Tensor], kind: FrozenWeights) -> dict[str, Parts]:
    """Return what crosses a network of each weight, by name, to be sent with encoding "exact"."""
    format = Format.parse(kind)
    return {name: quantise(_matrix(w), format).parts if w.dim() > 1 else (w.detach().half(),)
            for name, w in weights.items()}  # fmt: skip


def restored(received: Mapping[str, Sequence[Tensor]], like: Mapping[str, Tensor],
             kind: FrozenWeights) -> dict[str, Tensor]:  # fmt: skip
    """Return the weights of what `packed` gave; like: weights of the same shapes and dtypes."""
    format, found = Format.parse(kind), {}
    for name, parts in received.items():
        own = like[name]
        if own.dim() > 1:
            codes, scales, outliers, places = parts
            whole = Quantised(codes, scales, outliers, places, tuple(_matrix(own).shape), format)
            found[name] = whole.restored(own.dtype).reshape(own.shape)
        else:
            found[name] = parts[0].to(own.dtype)
    return found


def num_bytes(weights: Mapping[str, Tensor], kind: FrozenWeights) -> int:
    """Return the bytes that weights take, on the air and in memory, 4 or more for each value if `kind` is plain."""
    if kind == "plain":
        return sum(w.numel() * w.element_size() for w in weights.values())
    format = Format.parse(kind)
    return sum(format.wire_bytes(tuple(_matrix(w).shape)) if w.dim() > 1 else 2 * w.numel() for w in weights.values())


def _matrix(weight: Tensor) -> Tensor:
    return weight.detach().reshape(len(weight), -1)
