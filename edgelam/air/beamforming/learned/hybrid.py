# SPDX-License-Identifier: GPL-2.0-only
"""Hybrid precoding by a policy of the downlink, made to keep to phase shifters by a projection.

The policy's precoder W of the whole array gives the phases of the analog part F: fully connected, chain c takes the
phases of stream c; partly connected, each antenna of chain c those of the sum of W F_BB^H, as in `partly_connected`.
With twice as many chains as streams, any W is met exactly: w = a (exp(j(t + u)) + exp(j(t - u))), cos u = |w| / 2a.
Then the same policy precodes for what the chains see: with L L^H = F^H F (and a little more, as chains may be alike),
it gets the channel H F L^-H, and its answer X becomes F_BB = L^-H X, scaled. So |F| = 1 where there are connections and
the power hold exactly, and training goes through both calls. There is one stream for each user.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from edgelam.air.beamforming.hybrid import Hybrid
from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.partly import partly_connected
from edgelam.air.beamforming.problem import Downlink
from edgelam.errors import ConfigurationError

ALIKE = 1e-5
"""Added to the Gram matrix of the chains, as a share of its diagonal."""
Structure = Literal["fully", "partly"]


class HybridPolicy(Policy):
    """A policy behind phase shifters."""

    def __init__(self, policy: Policy, chains_per_user: int = 1, structure: Structure = "fully") -> None:
        """structure: whether each RF chain feeds all antennas or its own part of them.

        chains_per_user: 1, or 2 if fully connected. Raises ConfigurationError for another number.
        """
        super().__init__()
        most = 2 if structure == "fully" else 1
        if not 1 <= chains_per_user <= most:
            raise ConfigurationError(
                f"{chains_per_user} RF chains for each user, {structure} connected; legal are 1 to {most}"
            )
        self.policy = policy
        self.chains_per_user = chains_per_user
        self.structure = structure

    def forward(self, problem: Downlink) -> Tensor:
        """Return the product of both parts, complex [..., antenna, user], of exactly the problem's power."""
        return self.parts(problem).product

    def parts(self, problem: Downlink) -> Hybrid:
        """Return the analog part [..., antenna, chain] and the digital one [..., chain, user].

        Raises ConfigurationError for fewer antennas than chains; partly connected, for antennas that are no multiple.
        """
        users, antennas = problem.num_users, problem.num_antennas
        chains = users * self.chains_per_user
        if chains > antennas:
            raise ConfigurationError(f"{chains} RF chains for {antennas} antennas; legal are {users} to {antennas}")
        target = self.policy(problem)
        if self.structure == "partly":
            analog = partly_connected(target.detach(), chains).analog  # refuses what is not legal
        else:
            analog = _unit(target) if self.chains_per_user == 1 else _pairs(target)
        eye = torch.eye(chains, dtype=analog.dtype, device=analog.device)
        lower = torch.linalg.cholesky(analog.mH @ analog + ALIKE * antennas * eye)
        seen = torch.linalg.solve_triangular(lower, (problem.channel @ analog).mH, upper=False).mH
        inside = self.policy(Downlink(seen, problem.power, problem.noise_power, problem.weights))
        digital = torch.linalg.solve_triangular(lower.mH, inside, upper=True)
        product = analog @ digital
        scale = torch.linalg.matrix_norm(problem.at_full_power(product)) / torch.linalg.matrix_norm(product)
        return Hybrid(analog, digital * scale[..., None, None])


def _unit(x: Tensor) -> Tensor:
    """x / |x|; 1 where x is 0."""
    size = x.abs()
    return torch.where(size > 0, x / size.clamp_min(torch.finfo(size.dtype).tiny), torch.ones_like(x))


def _pairs(target: Tensor) -> Tensor:
    """Two columns of modulus 1 for each column, whose sum is a multiple of it; complex [..., antenna, 2 stream]."""
    size = target.abs()
    half = size / size.amax(-2, keepdim=True).clamp_min(torch.finfo(size.dtype).tiny)
    turn = torch.acos((0.999 * half).clamp(max=0.999))  # 0.999: the derivative at 1 is not finite
    spread = torch.polar(torch.ones_like(turn), turn)
    direction = _unit(target)
    return torch.cat((direction * spread, direction * spread.conj()), dim=-1)
