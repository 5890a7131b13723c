# SPDX-License-Identifier: GPL-2.0-only
"""A diffusion policy that is trained by likelihood on optimal plans.

The denoiser learns the logits of what an exact solver has chosen (1 for the node, -1 for the others) from noisy ones: a
bound of the likelihood of the choices, each step of the chain with the same weight (Ho et al., arXiv 2006.11239).
Rewards and probabilities of the steps are not looked at.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgelam.agents.agent import Batch, State, adam, normal
from edgelam.agents.chain import STEPS, denoised, noised
from edgelam.agents.networks import Denoiser, log_probabilities


class Imitation:
    """The agent; its batches hold choices of the exact solver."""

    def __init__(self, rows: int, context: int) -> None:
        """rows, context: columns of an observation."""
        self.denoiser = Denoiser(rows, context, STEPS)
        self.modules = {"denoiser": self.denoiser}
        self.optimisers = {"denoiser": adam(self.denoiser)}

    def probabilities(self, state: State, rng: np.random.Generator) -> Tensor:
        """Return the probabilities at the end of a chain from noise."""
        start, noise = normal(rng, *state.legal.shape), normal(rng, STEPS - 1, *state.legal.shape)
        return log_probabilities(denoised(self.denoiser, state, start, noise), state.legal).exp()

    def update(self, batch: Batch, rng: np.random.Generator) -> None:
        """Denoise at a step that is drawn for each state."""
        legal = batch.state.legal
        clean = 2.0 * F.one_hot(batch.action, legal.shape[1]) - 1
        step = torch.from_numpy(rng.integers(STEPS, size=len(legal)))
        noisy = noised(clean, step, normal(rng, *legal.shape))
        found = self.denoiser(*self.denoiser.encode(*batch.state.parts), noisy.unsqueeze(-1), step).squeeze(-1)
        optimiser = self.optimisers["denoiser"]
        optimiser.zero_grad()
        (((found - clean) ** 2) * legal).sum().div(legal.sum()).backward()
        optimiser.step()

    def explore(self, updates: int) -> float:
        """Return 0: it does not try."""
        return 0.0
