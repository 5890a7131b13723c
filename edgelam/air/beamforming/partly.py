# SPDX-License-Identifier: GPL-2.0-only
"""Hybrid precoding in which each RF chain feeds its own part of the antennas, by alternating minimisation.

The problem is that of Yu, Shen, Zhang and Letaief (IEEE JSTSP 2016, section V). Each row of F_RF has one element, so
its best phase has a closed form. The columns of F_RF are orthogonal and of one norm, so the best F_BB of the given
power is F_RF^H target, scaled; the semidefinite program of that paper finds the same.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.air.beamforming.hybrid import Hybrid, of_same_power, refuse_bad_target
from edgelam.errors import ConfigurationError


@torch.no_grad()
def partly_connected(target: Tensor, chains: int, *, iterations: int = 50) -> Hybrid:
    """Parts for a target, complex [..., antenna, stream], of the target's power.

    chains: RF chains, from the number of streams to that of antennas, which they must divide; chain c feeds the
    antennas from c antennas/chains on. Raises ConfigurationError.
    """
    refuse_bad_target(target, chains)
    antennas = target.shape[-2]
    if antennas % chains or iterations < 1:
        legal = [c for c in range(target.shape[-1], antennas + 1) if antennas % c == 0]
        raise ConfigurationError(
            f"{chains} RF chains for parts of {antennas} antennas, {iterations} iterations; legal are {legal} chains "
            "and 1 or more iterations"
        )
    chain = torch.arange(antennas, device=target.device) // (antennas // chains)
    connected = torch.nn.functional.one_hot(chain, chains).to(target)
    analog = connected * torch.exp(1j * target[..., :1].angle())
    for _ in range(iterations):
        digital = analog.mH @ target
        phase = (target * digital[..., chain, :].conj()).sum(-1, keepdim=True).angle()
        analog = connected * torch.exp(1j * phase)
    return of_same_power(analog, analog.mH @ target, target)
