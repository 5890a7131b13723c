# SPDX-License-Identifier: GPL-2.0-only
"""DQN (Mnih et al., Nature 518, 2015) with double estimation (van Hasselt et al., arXiv 1509.06461).

The value of each node is learned; the best one is chosen, and while it learns, any legal one with a probability that
falls from 1 to `LEAST` over the first `FALLING` updates.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgelam.agents.agent import DISCOUNT, Batch, State, adam, follow
from edgelam.agents.networks import Scores

FALLING, LEAST = 6000, 0.05


class DQN:
    """The agent."""

    def __init__(self, rows: int, context: int, discount: float = DISCOUNT) -> None:
        """rows, context: columns of an observation; discount: of what comes later."""
        self.discount = discount
        self.value = Scores(rows, context)
        self.target = copy.deepcopy(self.value)
        self.modules = {"value": self.value, "target": self.target}
        self.optimisers = {"value": adam(self.value)}

    def probabilities(self, state: State, rng: np.random.Generator) -> Tensor:
        """Return 1 for the node with the highest value."""
        values = self.value(*state.parts).masked_fill(~state.legal, -torch.inf)
        return F.one_hot(values.argmax(-1), values.shape[-1]).float()

    def update(self, batch: Batch, rng: np.random.Generator) -> None:
        """Bring the value of what was done towards the reward and the target's value of what it would do next."""
        with torch.no_grad():
            best = self.value(*batch.after.parts).masked_fill(~batch.after.legal, -torch.inf).argmax(-1, keepdim=True)
            later = self.target(*batch.after.parts).gather(1, best).squeeze(1)
            wanted = batch.reward + self.discount * (1 - batch.ended) * later
        found = self.value(*batch.state.parts).gather(1, batch.action.unsqueeze(1)).squeeze(1)
        optimiser = self.optimisers["value"]
        optimiser.zero_grad()
        F.smooth_l1_loss(found, wanted).backward()
        optimiser.step()
        follow(self.target, self.value)

    def explore(self, updates: int) -> float:
        """Return the probability of trying any legal node."""
        return max(LEAST, 1 - updates / FALLING)
