# SPDX-License-Identifier: GPL-2.0-only
"""The one loop in which everything learned here is trained: Adam uphill, clipped gradients, a cosine to rate zero."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

LARGEST_GRADIENT = 1.0
"""Norm of all gradients together, above which they are scaled down."""


def ascend(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    value_of: Callable[[int], Tensor],
    *,
    steps: int,
    told: Callable[[int, float], None] | None = None,
) -> None:
    """Train in place, so that a value becomes large; the model is in evaluation mode afterwards.

    value_of: number of a step, from 1, -> the value [], differentiable; told: gets a step's number and its value.
    """
    parameters = trained(model)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    model.train()
    for step in range(1, steps + 1):
        value = value_of(step)
        optimiser.zero_grad()
        (-value).backward()
        nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
        optimiser.step()
        schedule.step()
        if told is not None:
            told(step, float(value.detach()))
    model.eval()


def trained(model: nn.Module) -> list[nn.Parameter]:
    """Return the weights of a model that are trained."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
