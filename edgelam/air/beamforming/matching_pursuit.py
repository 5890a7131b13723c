# SPDX-License-Identifier: GPL-2.0-only
"""Hybrid precoding by orthogonal matching pursuit (El Ayach, Rajagopal, Abu-Surra, Pi and Heath, IEEE Trans. Wireless
Commun. 2014, algorithm 1).

The columns of F_RF are chosen from a list, which is usually that of the array's responses to the channel's rays: each
time the one with the largest part of what is not yet met; then least squares for F_BB.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.air.beamforming.hybrid import Hybrid, of_same_power, refuse_bad_target
from edgelam.air.beamforming.problem import refuse_bad_tensor, squared
from edgelam.errors import ConfigurationError


@torch.no_grad()
def omp(target: Tensor, chains: int, responses: Tensor) -> Hybrid:
    """Fully connected parts for a target, complex [..., antenna, stream], of the target's power.

    chains: RF chains, from the number of streams to that of antennas and at most the number of responses; responses:
    complex [..., antenna, choice], of which only the phases count. Raises ConfigurationError.
    """
    refuse_bad_target(target, chains)
    refuse_bad_tensor(responses, "responses", "[..., antenna, choice]")
    if responses.shape[:-1] != target.shape[:-1] or responses.shape[-1] < chains:
        raise ConfigurationError(
            f"responses have shape {list(responses.shape)}; legal is {[*target.shape[:-1], chains]} or more choices"
        )
    choices = torch.exp(1j * responses.angle())
    rest, analog = target, choices[..., :0]
    taken = torch.zeros_like(choices[..., 0, :], dtype=torch.bool)
    for _ in range(chains):
        part = squared(choices.mH @ rest).sum(-1).masked_fill(taken, -1)
        place = part.argmax(-1, keepdim=True)
        taken = taken.scatter(-1, place, True)
        index = place[..., None, :].expand(*choices.shape[:-1], 1)
        analog = torch.cat((analog, choices.gather(-1, index)), dim=-1)
        digital = torch.linalg.pinv(analog) @ target
        rest = target - analog @ digital
        rest = rest / torch.linalg.matrix_norm(rest)[..., None, None].clamp_min(torch.finfo(target.real.dtype).tiny)
    return of_same_power(analog, digital, target)
