# SPDX-License-Identifier: GPL-2.0-only
"""Minimum rates: the precoder that gives every user its rate with the least power.

By uplink-downlink duality (Schubert and Boche, IEEE Trans. Veh. Technol. 2004): the least powers of the uplink with
SINRs g_k solve l_k = g_k / (1 + g_k) / h_k^H (s^2 I + sum_i l_i h_i h_i^H)^-1 h_k, found by iteration from 0, which
rises to the solution if there is one. The uplink's receivers are the directions of the downlink.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from edgelam.air.beamforming.balancing import downlink_precoder, max_min
from edgelam.air.beamforming.problem import Downlink
from edgelam.errors import ConfigurationError

ROUNDS = 5000
PROGRESS = 1e-10


@torch.no_grad()
def least_power(problem: Downlink, minimum_rates: float | Tensor) -> Tensor:
    """Precoder [..., antenna, user] with these rates and the least power, computed in complex128.

    minimum_rates: in bit/s/Hz, a number or real [user] or [..., user], each above 0. Raises ConfigurationError for
    other values, and for rates that need more power than the problem has: it says in which sample, and what is legal.
    """
    users, antennas = problem.num_users, problem.num_antennas
    batch = problem.scaled.shape[:-2]
    wanted = torch.as_tensor(minimum_rates, dtype=torch.float64)
    if not (torch.isfinite(wanted).all() and (wanted > 0).all()):
        raise ConfigurationError(f"minimum_rates are {wanted.tolist()}; legal are finite numbers above 0")
    if wanted.ndim > len(batch) + 1 or (wanted.ndim and wanted.shape[-1] not in (1, users)):
        raise ConfigurationError(f"minimum_rates are {list(wanted.shape)}; legal is [{users}] or {[*batch, users]}")
    targets = torch.expm1(wanted.clamp(max=1000.0) * math.log(2)).expand(*batch, users).reshape(-1, users)
    exact = problem.channel.to(torch.complex128) * problem.power_to_noise.double().sqrt()[..., None, None]
    channel = exact.reshape(-1, users, antennas)
    gram = channel @ channel.mH
    eye = torch.eye(users, dtype=gram.dtype, device=gram.device)
    powers = torch.zeros_like(targets)
    for _ in range(ROUNDS):
        # h_k^H (I + sum_i l_i h_i h_i^H)^-1 h_k is element k of the diagonal of (I + G L)^-1 G
        reached = torch.linalg.solve(eye + gram * powers[:, None, :], gram).diagonal(dim1=-2, dim2=-1).real
        new = targets / (1 + targets) / reached
        moved = ((new - powers) > PROGRESS * new).any()
        powers = new
        if not moved or (powers.sum(-1) > 1 + 1e-9).any():
            break
    impossible = powers.sum(-1) > 1 + 1e-9
    if impossible.any():
        sample = int(impossible.nonzero()[0])
        one = Downlink(channel[sample], weights=1 / wanted.expand(*batch, users).reshape(-1, users)[sample])
        share = float((one.user_weights * one.rates(max_min(one))).amin())
        asked = wanted.expand(*batch, users).reshape(-1, users)[sample]
        raise ConfigurationError(
            f"minimum rates of {', '.join(f'{rate:.4g}' for rate in asked.tolist())} bit/s/Hz need more power than "
            f"there is in sample {sample}; in these proportions, legal are up to {share:.4g} times as much"
        )
    precoder = downlink_precoder(channel, gram, powers, targets).view(*batch, antennas, users)
    power = torch.as_tensor(problem.power, dtype=torch.float64, device=precoder.device)
    return (precoder * power.sqrt()[..., None, None]).to(problem.channel.dtype)
