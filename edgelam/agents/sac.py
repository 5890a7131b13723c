# SPDX-License-Identifier: GPL-2.0-only
"""SAC: the actor is one forward pass, which gives each node a logit."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from edgelam.agents.actor_critic import ActorCritic
from edgelam.agents.agent import DISCOUNT, State
from edgelam.agents.networks import Scores, log_probabilities


class SAC(ActorCritic):
    """The agent."""

    def __init__(self, rows: int, context: int, discount: float = DISCOUNT) -> None:
        """rows, context: columns of an observation; discount: of what comes later."""
        super().__init__(Scores(rows, context), rows, context, discount)

    def log_pi(self, state: State, rng: np.random.Generator) -> Tensor:
        """Return the logarithm of each node's probability, float32 [B, N]."""
        return log_probabilities(self.actor(*state.parts), state.legal)
