# SPDX-License-Identifier: GPL-2.0-only
"""Several streams for each user: the downlink of one cell to users with several antennas, and methods for it.

User k hears y_k = H_k sum_j V_j s_j + n_k, where V_j has a column for each stream of user j, and receives with all of
its antennas. With everything else as noise, C_k = s^2 I + sum_{j != k} H_k V_j V_j^H H_k^H,

    rate_k = log2 det(I + V_k^H H_k^H C_k^-1 H_k V_k)          power = sum_k |V_k|^2 <= power

`block_diagonal`: no interference, and water-filling (Spencer, Swindlehurst and Haardt, IEEE Trans. Signal Process.
2004). `stream_wmmse`: stationary points of the weighted sum rate (Shi et al., IEEE Trans. Signal Process. 2011), with
the noise scaled by the power in use, as in `weighted_mmse`.

Shape suffixes: K users, R antennas of a user, N of the base station, L streams of a user.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from edgelam.air.beamforming.channels.iid import complex_normal
from edgelam.air.beamforming.filling import water_filling
from edgelam.air.beamforming.problem import Downlink, refuse_bad_tensor, refuse_not_positive, squared
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, torch_generator

CHECKED = 10  # iterations between two looks at the rate
PROGRESS = 1e-6


@dataclass(frozen=True, eq=False)
class StreamDownlink:
    """Channels of a batch of cells with users of several antennas; checked when it is made.

    Raises ConfigurationError for wrong shapes and values, and for more streams than the antennas of a user or,
    together, of the base station.
    """

    channel: Tensor
    """complex64 or complex128 [..., user, user antenna, antenna]."""
    streams: int
    """Of each user. WMMSE may leave some without power."""
    power: float = 1.0
    """Limit of all streams together."""
    noise_power: float = 1.0
    """At every antenna of every user."""
    weights: Tensor | None = None
    """Of the users' rates, real [user]; 1 for each by default."""

    def __post_init__(self) -> None:
        """Check all values."""
        refuse_bad_tensor(self.channel, "channel", "[..., user, user antenna, antenna]", 3)
        users, received, antennas = self.channel.shape[-3:]
        most = min(received, antennas // users)
        if not 1 <= self.streams <= most:
            raise ConfigurationError(
                f"streams is {self.streams} for each of {users} users with {received} antennas and a base station with "
                f"{antennas}; legal are 1 to {most}, no more than a user's antennas and together than the station's"
                if most
                else f"{users} users for a base station with {antennas} antennas; legal are 1 to {antennas} users"
            )
        refuse_not_positive(self.power, "power", torch.Size())
        refuse_not_positive(self.noise_power, "noise_power", torch.Size())
        # what `Downlink` refuses of users and weights: silent ones, SNRs without correct digits
        Downlink(self.channel.flatten(-2), float(self.power), float(self.noise_power), self.weights)

    @cached_property
    def scaled(self) -> Tensor:
        """Return the channel for which power and noise are 1."""
        return self.channel * math.sqrt(self.power / self.noise_power)

    @cached_property
    def user_weights(self) -> Tensor:
        """The weights, real [user]."""
        real = self.channel.real
        return real.new_ones(self.channel.shape[-3]) if self.weights is None else self.weights.to(real)

    def at_full_power(self, precoder: Tensor) -> Tensor:
        """Scale a precoder, [..., user, antenna, stream], to the whole power."""
        norm = torch.linalg.vector_norm(precoder, dim=(-3, -2, -1), keepdim=True)
        return precoder * (math.sqrt(self.power) / norm)

    def rates(self, precoder: Tensor) -> Tensor:
        """Rate of each user in bit/s/Hz, real [..., user]; precoder [..., user, antenna, stream].

        Raises ConfigurationError for a precoder of another shape.
        """
        users, _, antennas = self.channel.shape[-3:]
        if precoder.ndim < 3 or precoder.shape[-3:-1] != (users, antennas):
            raise ConfigurationError(
                f"the precoder is {list(precoder.shape)}; legal is [..., {users}, {antennas}, stream]: [..., user, "
                "antenna, stream]"
            )
        heard = _heard(self.scaled, precoder / math.sqrt(self.power))
        mine = _own(heard)
        around = _covariance(heard, torch.ones((), dtype=heard.real.dtype)) - mine @ mine.mH
        return torch.linalg.slogdet(_eye(mine.shape[-1], mine) + mine.mH @ torch.linalg.solve(around, mine))[1] / _LN2

    def weighted_sum_rate(self, precoder: Tensor) -> Tensor:
        """What is made large: real [...], bit/s/Hz."""
        return (self.user_weights * self.rates(precoder)).sum(-1)


_LN2 = math.log(2)


def stream_iid(
    samples: int, users: int, received: int, antennas: int, *, seed: int, dtype: torch.dtype = torch.complex64
) -> Tensor:
    """Channel [sample, user, user antenna, antenna], every coefficient CN(0, 1). Raises ConfigurationError below 1."""
    if min(samples, users, received, antennas) < 1:
        raise ConfigurationError(
            f"samples {samples}, users {users}, antennas {received} and {antennas}; legal are numbers from 1 on"
        )
    generator = torch_generator(derive_seed(seed, "channels of users with several antennas"))
    return complex_normal((samples, users, received, antennas), generator).to(dtype)


@torch.no_grad()
def block_diagonal(problem: StreamDownlink) -> Tensor:
    """No user hears another one's streams; water-filling over all streams: [..., user, antenna, stream].

    Raises ConfigurationError if the other users' antennas leave too few directions for the streams of one.
    """
    h = problem.scaled
    users, received, antennas = h.shape[-3:]
    left = antennas - (users - 1) * received
    if left < problem.streams:
        raise ConfigurationError(
            f"block diagonalisation of {users} users with {received} antennas each leaves {left} of {antennas} "
            f"antennas to one; legal is at least {problem.streams}, a direction for each stream"
        )
    directions, gains = [], []
    for user in range(users):
        rest = torch.cat((h[..., :user, :, :], h[..., user + 1 :, :, :]), dim=-3).flatten(-3, -2)
        if users > 1:
            _, _, right = torch.linalg.svd(rest, full_matrices=True)
            free = right.mH[..., (users - 1) * received :]  # [..., antenna, left]
        else:
            free = _eye(antennas, h)
        _, values, inner = torch.linalg.svd(h[..., user, :, :] @ free, full_matrices=False)
        directions.append(free @ inner.mH[..., : problem.streams])
        gains.append(values[..., : problem.streams].square())
    gain = torch.stack(gains, dim=-2)  # [..., user, stream]
    weights = problem.user_weights[:, None].expand_as(gain)
    powers = water_filling(gain.flatten(-2).clamp_min(1e-30), weights.flatten(-2)).view(gain.shape)
    return problem.at_full_power(torch.stack(directions, dim=-3) * powers.sqrt()[..., None, :])


def eigenbeams(problem: StreamDownlink) -> Tensor:
    """Each user's strongest singular vectors, with the same power: [..., user, antenna, stream]."""
    _, _, right = torch.linalg.svd(problem.scaled, full_matrices=False)
    return problem.at_full_power(right.mH[..., : problem.streams])


@torch.no_grad()
def stream_wmmse(problem: StreamDownlink, *, starts: int = 4, iterations: int = 300, seed: int = 0) -> Tensor:
    """The best precoder of all starts, [..., user, antenna, stream].

    starts: each user's strongest beams, block diagonalisation if it is possible, then random directions of `seed`, the
    same for every sample; iterations: at most, of each start. Raises ConfigurationError if one of them is below 1.
    """
    if starts < 1 or iterations < 1:
        raise ConfigurationError(f"starts {starts}, iterations {iterations}; legal are whole numbers from 1 on")
    users, received, antennas = problem.channel.shape[-3:]
    begins = [eigenbeams(problem)]
    if antennas - (users - 1) * received >= problem.streams and users > 1:
        nulled = block_diagonal(problem)
        begins.append(nulled + 1e-3 * begins[0])  # what has no power could never get any
    generator = torch_generator(derive_seed(seed, "starts of WMMSE with streams"))
    while len(begins) < starts:
        drawn = complex_normal((users, antennas, problem.streams), generator).to(problem.channel)
        begins.append(drawn.expand_as(begins[0]))
    best, rate = begins[0], torch.full_like(problem.weighted_sum_rate(begins[0]), -math.inf)
    for begin in begins[:starts]:
        found = _iterate(problem, problem.at_full_power(begin), iterations)
        now = problem.weighted_sum_rate(found)
        best = torch.where((now > rate)[..., None, None, None], found, best)
        rate = torch.maximum(now, rate)
    return best


def _iterate(problem: StreamDownlink, precoder: Tensor, iterations: int) -> Tensor:
    h, power = problem.scaled, math.sqrt(problem.power)
    before = problem.weighted_sum_rate(precoder)
    weights = problem.user_weights[:, None, None]
    for done in range(1, iterations + 1):
        v = precoder / power
        heard = _heard(h, v)
        covariance = _covariance(heard, squared(v).sum((-3, -2, -1)))
        mine = _own(heard)  # [..., K, R, L]
        receiver = torch.linalg.solve(covariance, mine)
        error = _eye(mine.shape[-1], mine) - mine.mH @ receiver
        ratio = weights * torch.linalg.inv(error)  # [..., K, L, L]
        back = h.mH @ receiver  # H^H U, [..., K, N, L]
        loaded = (back @ ratio @ back.mH).sum(-3)  # [..., N, N]
        noise = _trace(receiver @ ratio @ receiver.mH).sum(-1)
        loaded = loaded + noise[..., None, None] * _eye(loaded.shape[-1], loaded)
        precoder = problem.at_full_power(torch.linalg.solve(loaded[..., None, :, :], back @ ratio))
        if done % CHECKED == 0:
            now = problem.weighted_sum_rate(precoder)
            if (now - before <= PROGRESS * now).all():
                break
            before = now
    return precoder


def _heard(channel: Tensor, precoder: Tensor) -> Tensor:
    """What user i hears of the streams of j, [..., i, j, user antenna, stream]."""
    return channel[..., :, None, :, :] @ precoder[..., None, :, :, :]


def _own(heard: Tensor) -> Tensor:
    return heard.diagonal(dim1=-4, dim2=-3).movedim(-1, -3)


def _covariance(heard: Tensor, noise: Tensor) -> Tensor:
    """Of all that each user hears, [..., i, user antenna, user antenna]; noise: its power, real [...]."""
    together = (heard @ heard.mH).sum(-3)
    return together + noise[..., None, None, None] * _eye(together.shape[-1], together)


def _eye(size: int, like: Tensor) -> Tensor:
    return torch.eye(size, dtype=like.dtype, device=like.device)


def _trace(x: Tensor) -> Tensor:
    return x.diagonal(dim1=-2, dim2=-1).real.sum(-1)
