# SPDX-License-Identifier: GPL-2.0-only
"""Updates of devices: tensors by name, as one vector where their distance or norm counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from edgelam.learning.robust.settings import RobustSettings

Update = Mapping[str, Tensor]
Combine = Callable[[Sequence[Update], RobustSettings], tuple[dict[str, Tensor], list[int]]]


def is_finite(update: Update) -> bool:
    """Whether no number of an update is NaN or infinite."""
    return all(bool(torch.isfinite(each).all()) for each in update.values())


def vector(update: Update) -> Tensor:
    """Return all numbers of an update, float64 [N]; the order of names decides."""
    return torch.cat([update[name].detach().double().flatten() for name in sorted(update)])


def mean(updates: Sequence[Update], weights: Sequence[float]) -> dict[str, Tensor]:
    """Return the sum of weight times update over the sum of all counts, which is `len(updates)`."""
    return {
        name: sum(
            (weight * update[name] for update, weight in zip(updates, weights, strict=True)),
            start=torch.zeros_like(updates[0][name]),
        ) / len(updates)
        for name in updates[0]
    }  # fmt: skip
