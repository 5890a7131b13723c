# SPDX-License-Identifier: GPL-2.0-only
"""WMMSE cut to a few iterations, whose steps are trained (after Pellaco, Bengtsson and Jalden, arXiv 2006.08448).

An iteration t of WMMSE proposes coefficients X'; here X becomes X + s_t (X' - X) with a trained s_t, which may exceed
1, and a trained power of the ratios q_t lets it serve strong users sooner. It begins at RZF.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.learned.settings import PolicySettings
from edgelam.air.beamforming.problem import Downlink
from edgelam.air.beamforming.weighted_mmse import errors, update


class UnrolledWmmse(Policy):
    """A few iterations with trained steps."""

    def __init__(self, settings: PolicySettings) -> None:
        """Steps begin as those of WMMSE."""
        super().__init__()
        self.steps = nn.Parameter(torch.ones(settings.iterations))
        self.ratios = nn.Parameter(torch.zeros(settings.iterations))

    def forward(self, problem: Downlink) -> Tensor:
        """Return the precoder, complex [..., antenna, user]."""
        channel = problem.scaled
        gram = channel @ channel.mH
        users = problem.num_users
        eye = torch.eye(users, dtype=gram.dtype, device=gram.device)
        x = torch.linalg.inv(gram + users * eye)
        power = (x.conj() * (gram @ x)).real.sum(-2, keepdim=True)
        x = _normalised(gram, x / power.sqrt())  # RZF, the same power for each user
        for step, ratio in zip(self.steps, self.ratios, strict=True):
            received = gram @ x
            power = (x.conj() * received).real.sum((-2, -1))
            weights = problem.user_weights * errors(received, power) ** -ratio
            x = x + step * (_normalised(gram, update(gram, weights, received, power)) - x)
        return problem.at_full_power(channel.mH @ x)


def _normalised(gram: Tensor, x: Tensor) -> Tensor:
    """Coefficients of the same precoder with power 1."""
    power = (x.conj() * (gram @ x)).real.sum((-2, -1), keepdim=True)
    return x / power.sqrt()
