# SPDX-License-Identifier: GPL-2.0-only
"""HetLoRA (arXiv 2401.06432): clients of different ranks, padded with zeros to the server's rank and averaged.

A client of rank r gets the first r rows of A and columns of B, trains these, and sends them back. Rows that a client
does not have count as zero in the average, so the last ones shrink. Like FedIT, mean(B) mean(A) is not the mean of B A.
(HetLoRA's pruning of ranks by their norm is not part of this rule.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from edgelam.learning.aggregation.rule import Aggregation, Tensors, factors, shares
from edgelam.models.lora import lora_layers

if TYPE_CHECKING:
    from torch import Tensor, nn


class HetLoRA(Aggregation):
    """Pad A and B with zeros, and average them."""

    name = "hetlora"

    def upload(self, model: nn.Module) -> Tensors:
        """Return A and B, of the client's rank."""
        return factors(model)

    def merge(self, uploads: Sequence[Mapping[str, Tensor]], samples: Sequence[float]) -> Tensors:
        """Return the averages of A and B, of the largest rank."""
        parts = shares(samples, uploads)
        merged: Tensors = {}
        for name in uploads[0]:
            axis = _axis(name)
            rank = max(upload[name].shape[axis] for upload in uploads)
            total = torch.zeros(1)
            for part, upload in zip(parts, uploads, strict=True):
                total = total + part * _padded(upload[name], axis, rank)
            merged[name] = total
        return merged

    def part_for(self, download: Mapping[str, Tensor], rank: int) -> Tensors:
        """Return the first rows of A and columns of B."""
        return {name: weight.narrow(_axis(name), 0, min(rank, weight.shape[_axis(name)]))
                for name, weight in download.items()}  # fmt: skip

    def install(self, model: nn.Module, download: Mapping[str, Tensor]) -> None:
        """Overwrite A and B, up to the model's rank; columns of B that did not come down become zero."""
        with torch.no_grad():
            for name, layer in lora_layers(model).items():
                for part, own in (("A", layer.a), ("B", layer.b)):
                    given, axis = download[f"{name}.{part}"], _axis(f"{name}.{part}")
                    count = min(given.shape[axis], own.shape[axis])
                    own.narrow(axis, 0, count).copy_(given.narrow(axis, 0, count))
                    if part == "B":
                        own[:, count:] = 0.0


def _axis(name: str) -> int:
    """Return the axis of the rank: A is [rank, in], B is [out, rank]."""
    return 0 if name.endswith(".A") else 1


def _padded(weight: Tensor, axis: int, rank: int) -> Tensor:
    shape = list(weight.shape)
    shape[axis] = rank - shape[axis]
    return torch.cat([weight, weight.new_zeros(shape)], dim=axis)
