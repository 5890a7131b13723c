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

from edgelam.random_streams import dropout_seed, torch_seeded

LARGEST_GRADIENT = 1.0
"""Norm of all gradients together, above which they are scaled down."""


class Keeper(Protocol):
    """What keeps training, so that it can be resumed."""

    def begin(self, model: nn.Module, optimiser: torch.optim.Optimizer, schedule: LRScheduler) -> int:
        """Put what is kept into all three; returns how many steps it has."""
        ...

    def after(self, step: int, model: nn.Module, optimiser: torch.optim.Optimizer, schedule: LRScheduler) -> None:
        """After a step: keep all three, or stop training by raising."""


class RatedProblem(Protocol):
    """Problems whose precoders have a rate."""

    def weighted_sum_rate(self, precoder: Tensor) -> Tensor:
        """Return the rate of each precoder, bit/s/Hz."""
        ...


def ascend(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    value_of: Callable[[int], Tensor],
    *,
    steps: int,
    seed: int,
    told: Callable[[int, float], None] | None = None,
    keeper: Keeper | None = None,
    largest_gradient: float = LARGEST_GRADIENT,
) -> None:
    """Train in place, so that a value becomes large; the model is in evaluation mode afterwards.

    value_of: number of a step, from 1, -> the value [], differentiable; told: gets a step's number and its value.
    seed: of the dropout of adapters, which depends on the step and not on what was drawn before.
    keeper: resumes training from what it keeps; `value_of` is then asked for the steps after that only.
    """
    parameters = trained(model)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    done = keeper.begin(model, optimiser, schedule) if keeper is not None else 0
    model.train()
    for step in range(done + 1, steps + 1):
        with torch_seeded(dropout_seed(seed, step) % 2**63):
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


def ascend_sum_rate(
    policy: nn.Module,
    draw: Callable[[int], RatedProblem],
    *,
    steps: int,
    seed: int,
    learning_rate: float = 3e-3,
    told: Callable[[int, float], None] | None = None,
    keeper: Keeper | None = None,
) -> None:
    """Train a policy in place on the weighted sum rate by Adam; draw: number of the step, from 1, -> its problems.

    policy: problems -> precoders; seed: as for `ascend`.
    """

    def rate(step: int) -> Tensor:
        problem = draw(step)
        return problem.weighted_sum_rate(policy(problem)).mean()

    optimiser = torch.optim.Adam(trained(policy), lr=learning_rate)
    ascend(policy, optimiser, rate, steps=steps, seed=seed, told=told, keeper=keeper)


def trained(model: nn.Module) -> list[nn.Parameter]:
    """Return the weights of a model that are trained."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
