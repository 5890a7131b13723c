# SPDX-License-Identifier: GPL-2.0-only
"""Zero forcing: no user receives another's stream.

The directions are the columns of the pseudo-inverse H^H (H H^H)^-1. Either every user gets the same transmit power, or
the powers are those of water-filling, which are optimal among all precoders without interference (Yoo and Goldsmith,
IEEE JSAC 2006).
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.air.beamforming.filling import water_filling
from edgelam.air.beamforming.maximum_ratio import equal_power
from edgelam.air.beamforming.problem import Downlink, squared
from edgelam.errors import ConfigurationError


def zero_forcing(problem: Downlink, *, filled: bool = False) -> Tensor:
    """Precoder [..., antenna, user]; `filled`: with the powers of water-filling instead of equal ones.

    Raises ConfigurationError for more users than antennas, and for users whose channels are linearly dependent.
    """
    users, antennas = problem.num_users, problem.num_antennas
    if users > antennas:
        raise ConfigurationError(
            f"zero forcing of {users} users, a stream each, by {antennas} antennas; legal are 1 to {antennas} users"
        )
    rows = problem.channel / torch.linalg.vector_norm(problem.channel, dim=-1, keepdim=True)
    _, singular, _ = torch.linalg.svd(rows, full_matrices=False)
    ratio = singular[..., -1] / singular[..., 0]
    least = 10 * users * torch.finfo(ratio.dtype).eps
    if (ratio < least).any():
        raise ConfigurationError(
            "zero forcing of users whose channels are linearly dependent: the smallest singular value is "
            f"{ratio.min().item():.1g} of the largest; legal is {least:.1g} and more"
        )
    directions = torch.linalg.pinv(rows)
    if not filled:
        return equal_power(problem, directions)
    directions = directions / torch.linalg.vector_norm(directions, dim=-2, keepdim=True)
    gains = squared((problem.scaled @ directions).diagonal(dim1=-2, dim2=-1))
    powers = water_filling(gains, problem.user_weights)
    return problem.at_full_power(directions * powers.sqrt()[..., None, :])
