# SPDX-License-Identifier: GPL-2.0-only
"""Joint active and passive beamforming: a policy of the downlink, and trained steps of the phases, in turn.

In each round, the policy gives the precoder W of the channel with the present phases, and the phases climb the weighted
sum rate for this W: v becomes (v + step g / max |g|) / |.|, with g the gradient and a trained step. The modulus of the
phases is 1 exactly, the precoder has exactly the power of the problem, and the symmetries of the policy hold, with
permutation of the elements. One model is for any number of surfaces and elements. It begins at phases of 1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgelam.air.beamforming.channels.surface_cell import surface_cell
from edgelam.air.beamforming.learned.ascent import Keeper, ascend, trained
from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.problem import others, squared
from edgelam.air.beamforming.surface import SurfaceDownlink
from edgelam.random_streams import derive_seed

BEGIN = 0.7
"""Size of the steps before training."""


class SurfacePolicy(nn.Module):
    """A policy and steps; `rounds` may be more or fewer after training, the last step is used again."""

    def __init__(self, policy: Policy, rounds: int) -> None:
        """rounds: of precoder and phases."""
        super().__init__()
        self.policy = policy
        self.steps = nn.Parameter(torch.full((rounds,), BEGIN))

    def forward(self, problem: SurfaceDownlink) -> tuple[Tensor, Tensor]:
        """Return phase factors [..., element] and precoder [..., antenna, user]."""
        phases = torch.ones_like(problem.cascaded[..., 0, :, 0])
        for step in self.steps:
            downlink = problem.at(phases)
            climb = _slope(problem, phases, self.policy(downlink))
            largest = climb.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(climb.real.dtype).tiny)
            phases = phases + step * climb / largest
            phases = phases / phases.abs()
        return phases, self.policy(problem.at(phases))


def _slope(problem: SurfaceDownlink, phases: Tensor, precoder: Tensor) -> Tensor:
    """Twice the derivative of the weighted sum rate in nats by the conjugate phases, complex [..., element]."""
    downlink = problem.at(phases)
    amplitude = downlink.channel @ precoder
    power = squared(amplitude)
    noise = torch.as_tensor(problem.noise_power, dtype=power.dtype, device=power.device)[..., None]
    rest = others(power) + noise
    total = rest + power.diagonal(dim1=-2, dim2=-1)
    weights = downlink.user_weights
    both = (weights / total)[..., None] - (weights / rest)[..., None]
    eye = torch.eye(power.shape[-1], dtype=torch.bool, device=power.device)
    slope = torch.where(eye, (weights / total)[..., None], both) * amplitude  # [..., user, stream]
    reflected = problem.cascaded @ precoder[..., None, :, :]  # [..., user, element, stream]
    return 2 * torch.einsum("...kns,...ks->...n", reflected.conj(), slope)


def train(
    policy: SurfacePolicy,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float = 3e-3,
    seed: int,
    told: Callable[[int, float], None] | None = None,
    keeper: Keeper | None = None,
) -> None:
    """Train in place on the rate, on cells of arXiv 2009.14404; told: gets a step's number, from 1, and mean rate."""

    def rate(step: int) -> Tensor:
        cell = surface_cell(batch_size, seed=derive_seed(seed, f"cells of step {step}"))
        phases, precoder = policy(cell)
        return cell.at(phases).weighted_sum_rate(precoder).mean()

    optimiser = torch.optim.Adam(trained(policy), lr=learning_rate)
    ascend(policy, optimiser, rate, steps=steps, seed=seed, told=told, keeper=keeper)
