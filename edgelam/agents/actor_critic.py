# SPDX-License-Identifier: GPL-2.0-only
"""Soft actor-critic for discrete choices (Christodoulou, arXiv 1910.07207): two critics, and an actor that is given.

    y       = r + gamma (1 - ended) sum_a pi'(a) (min Q'(a) - alpha log pi'(a))
    critics   minimise (Q(chosen) - y)^2
    actor     minimises sum_a pi(a) (alpha log pi(a) - min Q(a)), with Q before this update

What differs between SAC, D2SAC and LAD-TS is how the actor makes pi.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgelam.agents.agent import Batch, State, adam, follow, joined
from edgelam.agents.networks import Scores

ALPHA = 0.01
"""Weight of the entropy; rewards of an episode add up to about -1."""


class ActorCritic(ABC):
    """The agent, but for `log_pi`."""

    def __init__(self, actor: nn.Module, rows: int, context: int, discount: float) -> None:
        """actor: its weights; rows, context: columns of an observation; discount: gamma."""
        self.discount = discount
        self.actor = actor
        self.critics = nn.ModuleList([Scores(rows, context), Scores(rows, context)])
        self.targets = copy.deepcopy(self.critics)
        self.modules = {"actor": actor, "critics": self.critics, "targets": self.targets}
        self.optimisers = {"actor": adam(actor), "critics": adam(self.critics)}

    @abstractmethod
    def log_pi(self, state: State, rng: np.random.Generator) -> Tensor:
        """Return the logarithm of each node's probability, float32 [B, N]."""

    def probabilities(self, state: State, rng: np.random.Generator) -> Tensor:
        """Return the actor's probabilities."""
        return self.log_pi(state, rng).exp()

    def update(self, batch: Batch, rng: np.random.Generator) -> None:
        """Improve both critics, then the actor."""
        log_pi, next_log_pi = self.log_pi(joined(batch.state, batch.after), rng).chunk(2)  # of the same actor
        with torch.no_grad():
            least = torch.minimum(*(target(*batch.after.parts) for target in self.targets))
            later = (next_log_pi.exp() * (least - ALPHA * next_log_pi)).sum(-1)
            wanted = batch.reward + self.discount * (1 - batch.ended) * later
        chosen = batch.action.unsqueeze(1)
        first, second = (critic(*batch.state.parts) for critic in self.critics)
        loss = sum(F.mse_loss(values.gather(1, chosen).squeeze(1), wanted) for values in (first, second))
        self._step("critics", torch.as_tensor(loss))
        least = torch.minimum(first, second).detach()
        self._step("actor", (log_pi.exp() * (ALPHA * log_pi - least)).sum(-1).mean())
        follow(self.targets, self.critics)

    def explore(self, updates: int) -> float:
        """Return 0: the actor's own probabilities explore."""
        return 0.0

    def _step(self, name: str, loss: Tensor) -> None:
        self.optimisers[name].zero_grad()
        loss.backward()
        self.optimisers[name].step()
