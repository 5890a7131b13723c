# SPDX-License-Identifier: GPL-2.0-only
"""Energy efficiency: bits per joule, where circuits need power whatever is sent.

    efficiency = sum_k a_k log2(1 + sinr_k) / (sum_k |w_k|^2 / amplifier + circuits)          in bit/J per Hz

(Isheden, Chong, Jorswieck and Fettweis, IEEE Trans. Wireless Commun. 2012). For a given sum p of all |w_k|^2, only the
rate matters, so the problem has two layers: any method of the weighted sum rate gives R(p), and the best p in (0, P] is
searched for. With the best R(p) at each p this is the best efficiency, since p is what the denominator depends on. The
search tries powers on a logarithmic grid and refines twice around the best one. It holds for a policy that is trained
on rates, too, if it has seen those SNRs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from edgelam.air.beamforming.problem import Downlink, transmit_power
from edgelam.air.beamforming.weighted_mmse import wmmse
from edgelam.errors import ConfigurationError

RANGE_DB = 50.0  # the least power that is tried, below the limit
POINTS = 26
REFINED = 5  # points between two neighbours of the best one, in each refinement
REFINEMENTS = 2


@dataclass(frozen=True)
class Consumption:
    """What a base station needs, in the unit of the problem's power; a mean over time."""

    circuits: float
    """Power of everything but the amplifiers, above 0."""
    amplifier: float = 0.39
    """Efficiency of the amplifiers, radiated over consumed power, above 0 and at most 1."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if not 0.0 < self.circuits < math.inf:
            raise ConfigurationError(f"circuits is {self.circuits:g}; legal are finite numbers above 0")
        if not 0.0 < self.amplifier <= 1.0:
            raise ConfigurationError(f"amplifier is {self.amplifier:g}; legal is above 0 and at most 1")

    @classmethod
    def of_station(cls, antennas: int, users: int, *, fixed_w: float = 18.0, antenna_w: float = 1.0,
                   user_w: float = 0.1, amplifier: float = 0.39) -> Consumption:  # fmt: skip
        """Return that of a station with so many antennas and users, in W.

        Parts and numbers are those of Bjornson, Sanguinetti, Hoydis and Debbah (IEEE Trans. Wireless Commun. 2015,
        table II), without the power of coding, backhaul and computing, which grow with the rate.
        """
        if min(antennas, users) < 1:
            raise ConfigurationError(f"antennas {antennas}, users {users}; legal are numbers from 1 on")
        return cls(fixed_w + antennas * antenna_w + users * user_w, amplifier)

    def of(self, precoder: Tensor) -> Tensor:
        """Power that is consumed, real [...]; precoder [..., antenna, user]."""
        return transmit_power(precoder) / self.amplifier + self.circuits


def energy_efficiency(problem: Downlink, precoder: Tensor, consumption: Consumption) -> Tensor:
    """bit/J per Hz, real [...], if powers are in W; precoder [..., antenna, user]. Times the bandwidth it is bit/J."""
    return problem.weighted_sum_rate(precoder) / consumption.of(precoder)


@torch.no_grad()
def most_efficient(problem: Downlink, consumption: Consumption, method: Callable[[Downlink], Tensor] = wmmse) -> Tensor:
    """Precoder [..., antenna, user] with the largest energy efficiency that `method` finds within the power limit.

    method: from a problem to a precoder that uses all of its power. Raises what `method` raises.
    """
    batch = torch.broadcast_shapes(problem.scaled.shape[:-2], problem.user_weights.shape[:-1])
    real = problem.channel.real.dtype
    channel = problem.channel.expand(*batch, -1, -1)
    limit = torch.as_tensor(problem.power, dtype=real, device=channel.device).expand(batch)
    spacing = RANGE_DB / (POINTS - 1)
    least = problem.scaled.abs().square().sum(-1).amin(-1).expand(batch)  # |h|^2 power / noise of the weakest user
    floor_db = (-50.0 - 10 * least.clamp_min(1e-30).log10()).clamp(max=0.0)  # weaker ones are refused
    grid = torch.linspace(-RANGE_DB, 0.0, POINTS, dtype=real, device=limit.device)
    offsets = torch.linspace(-1.0, 1.0, 2 * REFINED + 1, dtype=real, device=limit.device)
    best_db, best, value = torch.zeros_like(limit), None, torch.full_like(limit, -math.inf)
    for number in range(1 + REFINEMENTS):
        tried = grid if number == 0 else offsets * spacing
        centre = best_db.clone()
        for each in tried:
            db = torch.maximum(centre + each if number else each.expand(batch), floor_db).clamp(max=0.0)
            power = limit * 10 ** (db / 10)
            precoder = method(Downlink(channel, power, problem.noise_power, problem.weights))
            found = energy_efficiency(problem, precoder, consumption)
            better = found > value
            best = precoder if best is None else torch.where(better[..., None, None], precoder, best)
            value, best_db = torch.where(better, found, value), torch.where(better, db, best_db)
        spacing /= REFINED
    assert best is not None
    return best
