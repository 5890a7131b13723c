# SPDX-License-Identifier: GPL-2.0-only
"""The weighted average of tensors that devices have sent (FedAvg, McMahan et al., arXiv 1602.05629)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError


def weighted_average(parts: Sequence[Mapping[str, Tensor]], weights: Sequence[float]) -> dict[str, Tensor]:
    """Return sum_k w_k part_k / sum_k w_k, tensor by tensor (name -> tensor).

    Tensors have any shape; the dtype is kept; the sum is in the given order.
    Weights are sample counts, not negative and not all zero. Raises ConfigurationError otherwise, and if the parts
    differ in names or shapes.
    """
    if len(parts) != len(weights) or not parts:
        raise ConfigurationError(
            f"{len(parts)} parts but {len(weights)} weights; as many of each, at least one, are legal"
        )
    if min(weights) < 0 or sum(weights) <= 0:
        raise ConfigurationError(f"weights are {list(weights)}; none may be negative and their sum must be positive")
    names = list(parts[0])
    if any(set(part) != set(names) for part in parts):
        raise ConfigurationError("the parts to average hold different tensors")
    for name in names:
        shapes = {tuple(part[name].shape) for part in parts}
        if len(shapes) > 1:
            raise ConfigurationError(
                f"{name} to average has shapes {sorted(shapes)}; one is legal (adapters: one rank)"
            )
    total = float(sum(weights))
    average = {}
    with torch.no_grad():
        for name in names:
            summed = torch.zeros_like(parts[0][name])
            for part, weight in zip(parts, weights, strict=True):
                summed += part[name] * (weight / total)
            average[name] = summed
    return average
