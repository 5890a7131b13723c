# SPDX-License-Identifier: GPL-2.0-only
"""Block coordinate descent for surfaces: in turn the precoder by WMMSE and the phases by Riemannian gradients.

After Guo, Liang, Chen and Larsson, "Weighted sum-rate maximization for reconfigurable intelligent surface aided
wireless networks" (IEEE Trans. Wireless Commun. 2020). Here the phases climb the weighted sum rate itself, by conjugate
gradients on the circles, and not a bound of it. The rate never falls; where it ends depends on the first phases, so
that several starts are better than one and none gives an upper bound.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.air.beamforming import circle
from edgelam.air.beamforming.problem import Downlink, others, squared
from edgelam.air.beamforming.regularised import rzf
from edgelam.air.beamforming.surface import SurfaceDownlink, effective, random_phases
from edgelam.air.beamforming.weighted_mmse import errors, update
from edgelam.errors import ConfigurationError

PRECODER_STEPS = 4  # iterations of WMMSE between two searches of the phases
PHASE_STEPS = 6
PROGRESS = 1e-5  # all samples have converged when CHECKED rounds gain less than this share
CHECKED = 5


@torch.no_grad()
def bcd(problem: SurfaceDownlink, *, starts: int = 1, rounds: int = 150, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The best of all starts: phase factors [..., element] and precoder [..., antenna, user].

    starts: from random phases of `seed`, the same for every sample; rounds: at most, of each start. Raises
    ConfigurationError if one of them is below 1.
    """
    if starts < 1 or rounds < 1:
        raise ConfigurationError(f"starts {starts}, rounds {rounds}; legal are whole numbers from 1 on")
    begins = random_phases(starts, problem.num_elements, seed=seed, dtype=problem.direct.dtype)
    batch = problem.direct.shape[:-2]
    begins = begins.view(starts, *[1] * len(batch), -1).expand(-1, *batch, -1)
    scale = problem.at(begins[0]).power_to_noise.sqrt()[..., None, None]
    direct = (problem.direct * scale).flatten(0, -3) if batch else (problem.direct * scale)[None]
    cascaded = (problem.cascaded * scale[..., None]).reshape(-1, *problem.cascaded.shape[-3:])
    weights = problem.at(begins[0]).user_weights.expand(*batch, direct.shape[-2]).reshape(len(direct), -1)
    best, phases, precoder = None, begins[0], begins[0]
    for begin in begins:
        v, w, rate = _descend(direct, cascaded, weights, begin.reshape(len(direct), -1), rounds)
        if best is None:
            best, phases, precoder = rate, v, w
        better = rate > best
        best = torch.where(better, rate, best)
        phases = torch.where(better[:, None], v, phases)
        precoder = torch.where(better[:, None, None], w, precoder)
    phases = phases.view(*batch, -1)
    return phases, problem.at(phases).at_full_power(precoder.view(*batch, *precoder.shape[-2:]))


def _descend(
    direct: Tensor, cascaded: Tensor, weights: Tensor, phases: Tensor, rounds: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Phases, precoder of power 1 and weighted sum rate in nats from one start, for power and noise of 1."""
    precoder = rzf(Downlink(effective(direct, cascaded, phases)))
    before = None
    for done in range(rounds):
        channel = effective(direct, cascaded, phases)
        gram = channel @ channel.mH
        for _ in range(PRECODER_STEPS):
            coefficients = update(gram, weights, channel @ precoder, squared(precoder).sum((-2, -1)))
            precoder = channel.mH @ coefficients
            precoder = precoder / torch.linalg.matrix_norm(precoder)[:, None, None]
        phases = _search(direct @ precoder, cascaded @ precoder[:, None], weights, phases)
        if done % CHECKED == 0:
            now = _rate(effective(direct, cascaded, phases) @ precoder, weights)
            if before is not None and (now - before <= PROGRESS * now).all():
                break
            before = now
    return phases, precoder, _rate(effective(direct, cascaded, phases) @ precoder, weights)


def _rate(received: Tensor, weights: Tensor) -> Tensor:
    return -(weights * errors(received, received.real.new_ones(len(received))).log()).sum(-1)


def _search(direct: Tensor, reflected: Tensor, weights: Tensor, phases: Tensor) -> Tensor:
    """Better phases for a precoder W.

    direct: D W, complex [sample, user, stream]; reflected: A W, complex [sample, user, element, stream].
    """
    paths = reflected.transpose(-2, -1).flatten(1, 2)  # [sample, (user, stream), element]

    def received(v: Tensor) -> Tensor:
        return direct + (paths @ v[..., None]).view_as(direct)

    def gradient(v: Tensor) -> Tensor:
        amplitude = received(v)
        power = squared(amplitude)
        rest = others(power) + 1
        total = rest + power.diagonal(dim1=-2, dim2=-1)
        both = (weights / total)[..., None] - (weights / rest)[..., None]
        eye = torch.eye(amplitude.shape[-1], dtype=torch.bool, device=v.device)
        slope = torch.where(eye, (weights / total)[..., None], both) * amplitude
        return -2 * (paths.mH @ slope.flatten(1)[..., None])[..., 0]

    return circle.minimise(lambda v: -_rate(received(v), weights), gradient, phases, PHASE_STEPS)
