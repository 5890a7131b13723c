# SPDX-License-Identifier: GPL-2.0-only
"""MO-AltMin: hybrid precoding on a manifold (Yu, Shen, Zhang and Letaief, IEEE JSTSP 2016, section III).

In turn, the digital part solves a least squares problem, and the analog part takes steps of Riemannian conjugate
gradients on its phases.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.air.beamforming import circle
from edgelam.air.beamforming.hybrid import Hybrid, first_phases, of_same_power, refuse_bad_target
from edgelam.errors import ConfigurationError

STEPS = 10  # on the phases, between two least squares


@torch.no_grad()
def mo_altmin(target: Tensor, chains: int, *, iterations: int = 60, seed: int = 0) -> Hybrid:
    """Fully connected parts for a target, complex [..., antenna, stream], of the target's power.

    chains: RF chains, from the number of streams to that of antennas; with twice as many chains as streams any target
    can be met exactly; seed: of the first phases. Raises ConfigurationError.
    """
    refuse_bad_target(target, chains)
    if iterations < 1:
        raise ConfigurationError(f"iterations is {iterations}; legal are whole numbers from 1 on")
    batch, (antennas, streams) = target.shape[:-2], target.shape[-2:]
    wanted = (target / torch.linalg.matrix_norm(target)[..., None, None]).reshape(-1, antennas, streams)
    analog = first_phases(wanted, chains, seed, "phases of MO-AltMin")
    digital = _least_squares(analog, wanted)
    for _ in range(iterations):
        analog = _phases(analog, digital, wanted)
        digital = _least_squares(analog, wanted)
    analog, digital = analog.view(*batch, antennas, chains), digital.view(*batch, chains, streams)
    return of_same_power(analog, digital, target)


def _least_squares(analog: Tensor, target: Tensor) -> Tensor:
    """F_BB, [..., chain, stream], that makes |target - F_RF F_BB| smallest: normal equations with a slight ridge."""
    gram = analog.mH @ analog
    ridge = 10 * torch.finfo(target.real.dtype).eps * analog.shape[-2]
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    return torch.linalg.solve(gram + ridge * eye, analog.mH @ target)


def _phases(analog: Tensor, digital: Tensor, target: Tensor) -> Tensor:
    def rest(x: Tensor) -> Tensor:
        return x.view_as(analog) @ digital - target

    def cost(x: Tensor) -> Tensor:
        return torch.linalg.matrix_norm(rest(x)).square()

    def gradient(x: Tensor) -> Tensor:
        return (2 * rest(x) @ digital.mH).flatten(1)

    return circle.minimise(cost, gradient, analog.flatten(1), STEPS).view_as(analog)
