# SPDX-License-Identifier: GPL-2.0-only
"""The one loop in which everything learned here is trained: Adam uphill, clipped gradients, a cosine to rate zero.

A step depends on its number and on the seed alone, so training that is resumed is training that was never stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

LARGEST_GRADIENT = 1.0
"""Norm of all gradients together, above which they are scaled down."""


class Keeper(Protocol):
    """What keeps training, so that it can be resumed."""

    def begin(self, model: nn.Module, optimiser: torch.optim.Optimizer, schedule: LRScheduler) -> int:
        """Put what is kept into all three; returns how many steps it has."""
        ...

    def after(self, step: int, model: nn.Module, optimiser: torch.optim.Optimizer, schedule: LRScheduler) -> None:
        """After a step: keep all three, or stop training by raising."""


def ascend(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    value_of: Callable[[int], Tensor],
    *,
    steps: int,
    told: Callable[[int, float], None] | None = None,
    keeper: Keeper | None = None,
    largest_gradient: float = LARGEST_GRADIENT,
) -> None:
    """Train in place, so that a value becomes large; the model is in evaluation mode afterwards.

    value_of: number of a step, from 1, -> the value [], differentiable; told: gets a step's number and its value.
    keeper: resumes training from what it keeps; `value_of` is then asked for the steps after that only.
    """
    parameters = trained(model)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    done = keeper.begin(model, optimiser, schedule) if keeper is not None else 0
    model.train()
    for step in range(done + 1, steps + 1):
        value = value_of(step)
        optimiser.zero_grad()
        (-value).backward()
        nn.utils.clip_grad_norm_(parameters, largest_gradient)
        optimiser.step()
        schedule.step()
        if told is not None:
            told(step, float(value.detach()))
        if keeper is not None:
            keeper.after(step, model, optimiser, schedule)
    model.eval()


def trained(model: nn.Module) -> list[nn.Parameter]:
    """Return the weights of a model that are trained."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
