# SPDX-License-Identifier: GPL-2.0-only
"""D2SAC (arXiv 2303.13052): the actor is a diffusion chain from Gaussian noise; gradients pass all its steps."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from edgelam.agents.actor_critic import ActorCritic
from edgelam.agents.agent import DISCOUNT, State, normal
from edgelam.agents.chain import STEPS, denoised
from edgelam.agents.networks import Denoiser, log_probabilities


class D2SAC(ActorCritic):
    """The agent."""

    def __init__(self, rows: int, context: int, discount: float = DISCOUNT) -> None:
        """rows, context: columns of an observation; discount: of what comes later."""
        super().__init__(Denoiser(rows, context, STEPS), rows, context, discount)

    def start(self, state: State, rng: np.random.Generator) -> Tensor:
        """Return where the chain begins, [B, N]."""
        return normal(rng, *state.legal.shape)

    def log_pi(self, state: State, rng: np.random.Generator) -> Tensor:
        """Return the logarithm of each node's probability, float32 [B, N]."""
        start = self.start(state, rng)
        logits = denoised(self.actor, state, start, normal(rng, STEPS - 1, *start.shape))  # type: ignore[arg-type]
        return log_probabilities(logits, state.legal)
