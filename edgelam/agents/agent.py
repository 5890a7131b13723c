# SPDX-License-Identifier: GPL-2.0-only
"""What an agent is: it gives each node a probability, and learns from steps that were taken."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

LEARNING_RATE = 1e-3
BATCH = 64
DISCOUNT = 1.0
"""By default: the return of an episode of deployment is minus the delay of the plan, and episodes are short."""
TAU = 0.005
"""Share of the trained weights that the target takes over at each update. It and the batch are those of LAD-TS."""


@dataclasses.dataclass(frozen=True)
class State:
    """What agents see, of B states of up to N nodes."""

    rows: Tensor
    """float32 [B, N, columns]; zeros for nodes that are not there."""
    context: Tensor
    """float32 [B, columns]."""
    legal: Tensor
    """bool [B, N]."""
    before: Tensor
    """Probabilities that the agent gave at the step before, float32 [B, N]; at first, the same for all legal nodes."""

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """The arguments of networks."""
        return self.rows, self.context, self.legal


@dataclasses.dataclass(frozen=True)
class Batch:
    """Steps that were taken."""

    state: State
    action: Tensor
    """int64 [B]."""
    reward: Tensor
    """float32 [B]."""
    ended: Tensor
    """1 if the episode ended with the step, float32 [B]."""
    after: State


class Agent(Protocol):
    """An agent that is trained by reinforcement."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """All weights, by name: what a checkpoint keeps."""

    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """What changes them, by name."""

    def probabilities(self, state: State, rng: np.random.Generator) -> Tensor:
        """Return the probability of each node, float32 [B, N]: what is tried while it learns is drawn from them, and
        the most probable node is its choice."""

    def update(self, batch: Batch, rng: np.random.Generator) -> None:
        """Learn from a batch: one step of each optimiser."""

    def explore(self, updates: int) -> float:
        """Return with which probability any legal node is tried instead, after so many updates."""


def joined(first: State, second: State) -> State:
    """Return the states of both."""
    names = [field.name for field in dataclasses.fields(State)]
    return State(*(torch.cat([getattr(first, name), getattr(second, name)]) for name in names))


def normal(rng: np.random.Generator, *shape: int) -> Tensor:
    """Return standard normal numbers, float32."""
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def follow(target: nn.Module, trained: nn.Module) -> None:
    """Move a target's weights by `TAU` towards those that are trained."""
    with torch.no_grad():
        torch._foreach_lerp_(list(target.parameters()), list(trained.parameters()), TAU)


def adam(*modules: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser that all agents use."""
    return torch.optim.Adam([p for module in modules for p in module.parameters()], LEARNING_RATE, fused=True)
