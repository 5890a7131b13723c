# SPDX-License-Identifier: GPL-2.0-only
"""Sensing and sending by a policy of the downlink and trained steps.

The policy's precoder for the users, and the strongest beams of the radar's covariance as probing streams, with powers
of (1 - share) and share, are where it begins. Then the precoder climbs (1 - share) rate / reference - share error, by
trained steps along its gradient, and is scaled to the whole power after each. So the power holds exactly, and a trained
policy serves any share. Where there are no probing streams, it begins at the policy's precoder.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgelam.air.beamforming.learned.ascent import Keeper, ascend, trained
from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.sensing import SensingDownlink
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, torch_generator

BEGIN = 0.2
"""Length of a step before training, as a share of the precoder's norm."""


class SensingPolicy(nn.Module):
    """A policy and steps."""

    def __init__(self, policy: Policy, rounds: int) -> None:
        """rounds: steps along the gradient."""
        super().__init__()
        self.policy = policy
        self.steps = nn.Parameter(torch.linspace(BEGIN, BEGIN / rounds, rounds))

    def forward(self, problem: SensingDownlink, share: float) -> Tensor:
        """Return the precoder, [sample, antenna, user + probing]. Raises ConfigurationError for a share not in 0..1."""
        if not 0.0 <= share <= 1.0:
            raise ConfigurationError(f"share is {share:g}; legal are 0 to 1")
        downlink = problem.downlink
        sent: Tensor = self.policy(downlink)
        reference = downlink.weighted_sum_rate(sent).detach()
        precoder = problem.with_probing(sent)
        if problem.probing and share > 0:
            beams = problem.pattern.beams[:, -problem.probing :].to(precoder)
            size = torch.linalg.matrix_norm(sent) / torch.linalg.matrix_norm(beams)
            radar = math.sqrt(share) * size[:, None, None] * beams
            both = math.sqrt(1 - share) * precoder[..., : -problem.probing]
            precoder = downlink.at_full_power(torch.cat((both, radar.expand(len(both), -1, -1)), dim=-1))
        for step in self.steps:
            slope = self._slope(problem, precoder, share, reference)
            norm = torch.linalg.matrix_norm(slope).clamp_min(torch.finfo(slope.real.dtype).tiny)
            length = step * torch.linalg.matrix_norm(precoder) / norm
            precoder = downlink.at_full_power(precoder + length[:, None, None] * slope)
        return precoder

    def _slope(self, problem: SensingDownlink, precoder: Tensor, share: float, reference: Tensor) -> Tensor:
        learns = torch.is_grad_enabled()
        with torch.enable_grad():
            at = precoder if precoder.requires_grad else precoder.detach().requires_grad_()
            value = problem.value(at, share, reference).sum()
            (slope,) = torch.autograd.grad(value, at, create_graph=learns)
        return slope


def train(
    policy: SensingPolicy,
    draw: Callable[[int], SensingDownlink],
    *,
    steps: int,
    seed: int,
    learning_rate: float = 3e-3,
    told: Callable[[int, float], None] | None = None,
    keeper: Keeper | None = None,
) -> None:
    """Train in place on the value, with a share of sensing drawn from 0 to 1 in each step.

    draw: number of the step, from 1, -> its cells. The rate counts as a share of that of the policy where it begins.
    """

    def value(step: int) -> Tensor:
        generator = torch_generator(derive_seed(seed, f"share of sensing of step {step}"))
        problem, share = draw(step), float(torch.rand((), generator=generator))
        with torch.no_grad():
            reference = problem.downlink.weighted_sum_rate(policy.policy(problem.downlink))
        return problem.value(policy(problem, share), share, reference).mean()

    optimiser = torch.optim.Adam(trained(policy), lr=learning_rate)
    ascend(policy, optimiser, value, steps=steps, seed=seed, told=told, keeper=keeper)
