# SPDX-License-Identifier: GPL-2.0-only
"""FLoRA (arXiv 2409.05976): the adapters of all clients are stacked; this is exact, also for mixed ranks.

    A = [A_1; A_2; ...],  B = [p_1 s_1 B_1, p_2 s_2 B_2, ...],  so B A = sum_k p_k s_k B_k A_k

Every client adds B A to its frozen weights and begins the next round with new adapters (A is drawn again, B is zero).
Up: A_k and s_k B_k. Down: the stack, whose rank is the sum of the ranks, and nothing before the first round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from edgelam.errors import ConfigurationError
from edgelam.learning.aggregation.rule import Aggregation, Tensors, layer_names, shares
from edgelam.models.lora import lora_layers
from edgelam.random_streams import torch_generator

if TYPE_CHECKING:
    from torch import Tensor, nn


class FLoRA(Aggregation):
    """Stack the adapters, add them to the frozen weight, and begin with new adapters."""

    name = "flora"
    changes_base = True
    restarts = True

    def first(self, model: nn.Module) -> Tensors:
        """Return nothing: every client already has adapters whose product is zero."""
        return {}

    def upload(self, model: nn.Module) -> Tensors:
        """Return A and s B."""
        up: Tensors = {}
        for name, layer in lora_layers(model).items():
            up[f"{name}.A"] = layer.a.detach().clone()
            up[f"{name}.B"] = layer.scale * layer.b.detach()
        return up

    def merge(self, uploads: Sequence[Mapping[str, Tensor]], samples: Sequence[float]) -> Tensors:
        """Return A [sum of ranks, in] and B [out, sum of ranks] of each layer."""
        parts = shares(samples, uploads)
        down: Tensors = {}
        for name in layer_names(uploads[0]):
            down[f"{name}.A"] = torch.cat([upload[f"{name}.A"] for upload in uploads])
            scaled = [part * upload[f"{name}.B"] for part, upload in zip(parts, uploads, strict=True)]
            down[f"{name}.B"] = torch.cat(scaled, dim=1)
        return down

    def install(self, model: nn.Module, download: Mapping[str, Tensor]) -> None:
        """Add B A to the frozen weights; draw A again (as peft does, seeded by what came down), and set B to zero."""
        if not download:
            return
        with torch.no_grad():
            for name, layer in lora_layers(model).items():
                a, b = download[f"{name}.A"], download[f"{name}.B"]
                if a.shape[1] != layer.a.shape[1] or len(b) != len(layer.b):
                    raise ConfigurationError(
                        f"stack of layer {name}: A {tuple(a.shape)}, B {tuple(b.shape)} do not fit a weight "
                        f"[{len(layer.b)}, {layer.a.shape[1]}]"
                    )
                layer.add_to_base(b @ a)
                generator = torch_generator(_digest(name, a))
                bound = layer.a.shape[1] ** -0.5  # Kaiming uniform with a = sqrt(5)
                layer.a.copy_(torch.rand(layer.a.shape, generator=generator) * 2 * bound - bound)
                layer.b.zero_()


def _digest(name: str, a: Tensor) -> int:
    """Return a seed that is the same for all clients: from the layer's name and what came down."""
    data = name.encode() + a.detach().cpu().contiguous().float().numpy().tobytes()
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little") >> 1
