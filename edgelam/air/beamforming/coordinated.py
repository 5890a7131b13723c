# SPDX-License-Identifier: GPL-2.0-only
"""Several cells that coordinate their precoders: the problem, and WMMSE for it.

Each user is served by one cell, and hears the streams of all: with c(j) the cell that serves user j,

    sinr_k = |h_{k,c(k)}^H w_k|^2 / (sum_{j != k} |h_{k,c(j)}^H w_j|^2 + noise_power)
    sum over the users of a cell of |w_k|^2 <= power                                      for each cell

WMMSE is that of Shi, Razaviyayn, Luo and He (IEEE Trans. Signal Process. 2011): with the receive factors u_k and q_k =
a_k / e_k, each cell solves w_k = q_k u_k (sum_i q_i |u_i|^2 h_{i,c} h_{i,c}^H + m_c I)^-1 h_{k,c}, and m_c >= 0 is
found by bisection so that the cell keeps to its power. A cell may use less. The rate never falls, and it ends in a
stationary point that depends on the start: here matched filters with the whole power.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from edgelam.air.beamforming.channels.iid import complex_normal
from edgelam.air.beamforming.problem import Downlink, others, refuse_bad_tensor, refuse_not_positive, squared
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, torch_generator

BISECTIONS = 50


@dataclass(frozen=True, eq=False)
class CoordinatedDownlink:
    """Channels of a batch of networks; checked when it is made. Raises ConfigurationError."""

    channel: Tensor
    """complex64 or complex128 [..., user, cell, antenna]; (k, c) is h_{k,c}^H."""
    serving: Tensor
    """The cell of each user, whole numbers [user]."""
    power: float = 1.0
    """Limit of each cell."""
    noise_power: float = 1.0
    """At every user."""
    weights: Tensor | None = None
    """Of the users' rates, real [user] or [..., user]; 1 for each user by default."""

    def __post_init__(self) -> None:
        """Check all values."""
        refuse_bad_tensor(self.channel, "channel", "[..., user, cell, antenna]", 3)
        users, cells, _ = self.channel.shape[-3:]
        serving = self.serving
        if serving.shape != (users,) or serving.is_floating_point() or serving.is_complex():
            raise ConfigurationError(
                f"serving is {serving.dtype} {list(serving.shape)}; legal are whole numbers [{users}]"
            )
        if not ((serving >= 0) & (serving < cells)).all():
            raise ConfigurationError(f"serving is {serving.tolist()}; legal are cells 0 to {cells - 1}")
        refuse_not_positive(self.power, "power", torch.Size())
        refuse_not_positive(self.noise_power, "noise_power", torch.Size())
        own = self.channel[..., torch.arange(users), serving, :]
        if not (squared(own).sum(-1) > 0).all():
            raise ConfigurationError("a user has no channel to the cell that serves it; legal is one that is not 0")
        # what the downlink of all cells refuses of weights, and of SNRs for which there are no correct digits
        Downlink(own, float(self.power), float(self.noise_power), self.weights)

    @property
    def num_users(self) -> int:
        """Users of all cells."""
        return self.channel.shape[-3]

    @cached_property
    def links(self) -> Tensor:
        """Return h_{i,c(j)}^H for power and noise of 1, complex [..., user i, stream j, antenna]."""
        return self.channel[..., self.serving, :] * math.sqrt(self.power / self.noise_power)

    @cached_property
    def own(self) -> Tensor:
        """Whether stream j is of cell c, bool [cell, stream]."""
        cells = torch.arange(self.channel.shape[-2], device=self.channel.device)
        return self.serving.to(cells)[None] == cells[:, None]

    @cached_property
    def user_weights(self) -> Tensor:
        """The weights, real [user] or [..., user]."""
        real = self.channel.real
        return real.new_ones(self.num_users) if self.weights is None else self.weights.to(real)

    def received(self, precoder: Tensor) -> Tensor:
        """Amplitude of stream j at user i over that of the noise, complex [..., i, j]; precoder [..., antenna, j]."""
        return torch.einsum("...ija,...aj->...ij", self.links, precoder / math.sqrt(self.power))

    def rates(self, precoder: Tensor) -> Tensor:
        """Rate of each user in bit/s/Hz, real [..., user]; precoder [..., antenna, user]."""
        power = squared(self.received(precoder))
        return torch.log1p(power.diagonal(dim1=-2, dim2=-1) / (others(power) + 1)) / math.log(2)

    def weighted_sum_rate(self, precoder: Tensor) -> Tensor:
        """What is made large: real [...], bit/s/Hz."""
        return (self.user_weights * self.rates(precoder)).sum(-1)

    def cell_powers(self, precoder: Tensor) -> Tensor:
        """Power of each cell, real [..., cell]."""
        return squared(precoder).sum(-2) @ self.own.to(precoder.real.dtype).mT

    def at_full_power(self, precoder: Tensor) -> Tensor:
        """Scale a precoder so that each cell uses its whole power."""
        used = self.cell_powers(precoder)[..., self.serving]
        return precoder * (self.power / used).sqrt()[..., None, :]


def matched(problem: CoordinatedDownlink) -> Tensor:
    """Maximum ratio transmission in each cell, equal power for its users, [..., antenna, user]."""
    mine = problem.links.diagonal(dim1=-3, dim2=-2).conj()  # [..., antenna, user]
    return problem.at_full_power(mine / torch.linalg.vector_norm(mine, dim=-2, keepdim=True))


def coordinated_iid(
    samples: int, cells: int, users: int, antennas: int, *, seed: int, cross_db: tuple[float, float] = (-20.0, -3.0),
    power: float = 1.0, dtype: torch.dtype = torch.complex64,
) -> CoordinatedDownlink:  # fmt: skip
    """Draw networks: CN(0, 1) to the own cell; to each other one weaker by a gain drawn from `cross_db`, evenly in dB.

    users: of each cell. Raises ConfigurationError for numbers below 1 and a range that is none.
    """
    if min(samples, cells, users, antennas) < 1 or not -math.inf < cross_db[0] <= cross_db[1] < math.inf:
        raise ConfigurationError(
            f"samples {samples}, cells {cells}, users {users}, antennas {antennas}, cross_db {cross_db}; legal are "
            "numbers from 1 on, and a range with the lower end first"
        )
    generator = torch_generator(derive_seed(seed, "channels of several cells"))
    serving = torch.arange(cells).repeat_interleave(users)
    h = complex_normal((samples, cells * users, cells, antennas), generator)
    low, high = cross_db
    gain_db = low + (high - low) * torch.rand(
        samples, cells * users, cells, 1, generator=generator, dtype=torch.float64
    )
    gain_db[:, torch.arange(cells * users), serving] = 0
    return CoordinatedDownlink((h * 10 ** (gain_db / 20)).to(dtype), serving, power)


@torch.no_grad()
def coordinated_wmmse(problem: CoordinatedDownlink, *, iterations: int = 100) -> Tensor:
    """The precoder [..., antenna, user] after so many iterations, computed in complex128."""
    if iterations < 1:
        raise ConfigurationError(f"iterations is {iterations}; legal are whole numbers from 1 on")
    exact = CoordinatedDownlink(problem.channel.to(torch.complex128), problem.serving, problem.power,
                                problem.noise_power, problem.weights)  # fmt: skip
    precoder = matched(exact) / math.sqrt(exact.power)
    scale = math.sqrt(exact.power / exact.noise_power)
    to_cells = (exact.channel * scale).transpose(-3, -2)  # [..., cell, user, antenna]: rows h_{i,c}^H
    for _ in range(iterations):
        amplitude = exact.received(precoder * math.sqrt(exact.power))
        total = squared(amplitude).sum(-1) + 1
        wanted = amplitude.diagonal(dim1=-2, dim2=-1)
        factor = wanted / total
        ratio = exact.user_weights / (1 - squared(wanted) / total)
        share = (ratio * squared(factor))[..., None, :, None]
        precoder = _solve(to_cells, share, (ratio * factor), exact)
    return (precoder * math.sqrt(exact.power)).to(problem.channel.dtype)


def _solve(to_cells: Tensor, share: Tensor, factor: Tensor, problem: CoordinatedDownlink) -> Tensor:
    """Each cell's streams for power 1, [..., antenna, user]."""
    values, vectors = torch.linalg.eigh(to_cells.mH @ (share * to_cells))  # [..., cell, antenna]
    values = values.clamp_min(0)
    own = problem.links.diagonal(dim1=-3, dim2=-2).conj() * factor[..., None, :]  # [..., antenna, user]
    turned = vectors.mH @ (own[..., None, :, :] * problem.own[:, None])  # [..., cell, antenna, user], own streams only
    strength = squared(turned).sum(-1)
    # power(m) = sum strength / (values + m)^2 falls; at the upper end it is below 1
    low, high = torch.zeros_like(values[..., 0]), strength.sum(-1).sqrt()
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = (strength / (values + middle[..., None]).square()).sum(-1) > 1
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    least = 1e-12 * values.amax(-1)
    streams = vectors @ (turned / (values + torch.maximum(high, least)[..., None])[..., None])
    return streams.sum(-3)
