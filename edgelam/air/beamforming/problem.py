# SPDX-License-Identifier: GPL-2.0-only
"""The problem of all digital methods: the downlink of one cell to users with one antenna each.

User k receives y_k = h_k^H sum_j w_j s_j + n_k. `channel` has h_k^H as its row k, a precoder has w_j as its column j,
so that `channel @ precoder` holds the amplitude of stream j at user k in (k, j). Streams are independent, of power 1.

    sinr_k = |h_k^H w_k|^2 / (sum_{j != k} |h_k^H w_j|^2 + noise_power)
    rate   = sum_k weight_k log2(1 + sinr_k)                         to be made large
    power  = sum_k |w_k|^2 <= power                                  for all users together
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError

COMPLEX = (torch.complex64, torch.complex128)
LARGEST_DB = {torch.complex64: 60.0, torch.complex128: 140.0}  # beyond, inverses have no correct digits


@dataclass(frozen=True, eq=False)
class Downlink:
    """Channels of a batch of cells, their power limit, noise and weights; checked when it is made.

    Raises ConfigurationError for a wrong shape or type, for values that are not finite, for a user without channel, for
    power and noise that are not positive, for negative weights, and for a user whose SNR with all power is outside of
    -60 to 60 dB (complex64) or -140 to 140 dB (complex128), where the numbers would not be right.
    """

    channel: Tensor
    """complex64 or complex128 [..., user, antenna]; row k is h_k^H."""
    power: float | Tensor = 1.0
    """Limit of the power of all streams together: a number, or real [...]; in the unit of `noise_power`."""
    noise_power: float | Tensor = 1.0
    """At every user: a number, or real [...]."""
    weights: Tensor | None = None
    """Of the users' rates: real [user] or [..., user], not negative and not all 0; 1 for each user by default."""

    def __post_init__(self) -> None:
        """Check all values."""
        refuse_bad_tensor(self.channel, "channel", "[..., user, antenna]")
        refuse_not_positive(self.power, "power", self.channel.shape[:-2])
        refuse_not_positive(self.noise_power, "noise_power", self.channel.shape[:-2])
        bound = LARGEST_DB[self.channel.dtype]
        snr = _in_doubles(self.channel).sum(-1) * _in_doubles(self.power_to_noise)[..., None]
        wrong = ~((snr >= 10 ** (-bound / 10)) & (snr <= 10 ** (bound / 10)))
        if wrong.any():
            where = tuple(int(i) for i in wrong.nonzero()[0])
            value = float(snr.expand(wrong.shape)[where])
            what = f"{10 * math.log10(value):.1f} dB" if value > 0 else "0: its channel is zero"
            raise ConfigurationError(
                f"the SNR of user {where[-1]}{f' of sample {where[:-1]}' if where[:-1] else ''}, |h|^2 power / "
                f"noise_power, is {what}; legal is -{bound:g} to {bound:g} dB for {self.channel.dtype}"
            )
        if self.weights is not None:
            self._refuse_weights(self.weights)

    def _refuse_weights(self, weights: Tensor) -> None:
        users, batch = self.channel.shape[-2], self.channel.shape[:-2]
        if weights.is_complex() or not _fits(weights.shape, (*batch, users)) or weights.shape[-1:] != (users,):
            raise ConfigurationError(
                f"weights are {weights.dtype} {list(weights.shape)}; legal is real [{users}] or {[*batch, users]}"
            )
        if not (torch.isfinite(weights).all() and (weights >= 0).all() and (weights.sum(-1) > 0).all()):
            raise ConfigurationError(
                f"weights are {_shown(weights)}; legal are finite numbers from 0 on, not all of them 0"
            )

    @property
    def num_users(self) -> int:
        """How many users, which is how many streams."""
        return self.channel.shape[-2]

    @property
    def num_antennas(self) -> int:
        """How many antennas the base station has."""
        return self.channel.shape[-1]

    @property
    def power_to_noise(self) -> Tensor:
        """power / noise_power, real [] or [...]."""
        real = self.channel.real.dtype
        power = torch.as_tensor(self.power, dtype=real, device=self.channel.device)
        return power / torch.as_tensor(self.noise_power, dtype=real, device=self.channel.device)

    @cached_property
    def scaled(self) -> Tensor:
        """Return the channel for which power and noise are 1, [..., user, antenna]: the same problem in other units."""
        return self.channel * self.power_to_noise.sqrt()[..., None, None]

    @cached_property
    def user_weights(self) -> Tensor:
        """The weights, real [user] or [..., user]."""
        real = self.channel.real
        return real.new_ones(self.num_users) if self.weights is None else self.weights.to(real)

    def at_full_power(self, precoder: Tensor) -> Tensor:
        """Scale a precoder, [..., antenna, user], to the whole power; only its direction matters."""
        norm = torch.linalg.vector_norm(precoder, dim=(-2, -1), keepdim=True)
        power = torch.as_tensor(self.power, dtype=norm.dtype, device=norm.device)
        return precoder * (power.sqrt()[..., None, None] / norm)

    def sinr(self, precoder: Tensor) -> Tensor:
        """Signal to interference and noise of each user, real [..., user]; precoder [..., antenna, user].

        Raises ConfigurationError for a precoder of another shape. Leading dimensions are broadcast.
        """
        if precoder.ndim < 2 or precoder.shape[-2:] != (self.num_antennas, self.num_users):
            raise ConfigurationError(
                f"the precoder is {list(precoder.shape)}; legal is [..., {self.num_antennas}, {self.num_users}]: "
                "[..., antenna, user]"
            )
        received = squared(self.channel @ precoder.to(self.channel.dtype))
        noise = torch.as_tensor(self.noise_power, dtype=received.dtype, device=received.device)
        return received.diagonal(dim1=-2, dim2=-1) / (others(received) + noise[..., None])

    def rates(self, precoder: Tensor) -> Tensor:
        """Rate of each user in bit/s/Hz, real [..., user], not weighted; precoder [..., antenna, user]."""
        return torch.log1p(self.sinr(precoder)) / math.log(2)

    def weighted_sum_rate(self, precoder: Tensor) -> Tensor:
        """What is made large: real [...], bit/s/Hz; precoder [..., antenna, user]."""
        return (self.user_weights * self.rates(precoder)).sum(-1)


def transmit_power(precoder: Tensor) -> Tensor:
    """Power of all streams together, real [...]; precoder [..., antenna, stream]."""
    return squared(precoder).sum((-2, -1))


def squared(x: Tensor) -> Tensor:
    """|x|^2, real, of the same shape."""
    return x.real.square() + x.imag.square()


def others(received: Tensor) -> Tensor:
    """Sum of each row without its diagonal, [..., user, user] -> [..., user].

    It is not the difference of the row's sum and the diagonal, in which weak interference would be lost.
    """
    eye = torch.eye(received.shape[-1], dtype=torch.bool, device=received.device)
    return received.masked_fill(eye, 0).sum(-1)


def refuse_bad_tensor(x: Tensor, name: str, shape: str, dimensions: int = 2) -> None:
    """Refuse what is no finite complex tensor with at least `dimensions` dimensions, none empty: ConfigurationError."""
    if not isinstance(x, Tensor) or x.dtype not in COMPLEX:
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise ConfigurationError(f"{name} is {kind}; legal are tensors of torch.complex64 and torch.complex128")
    if x.ndim < dimensions or 0 in x.shape:
        raise ConfigurationError(f"{name} has shape {list(x.shape)}; legal is {shape}, with nothing of length 0")
    if not torch.isfinite(x).all():
        where = tuple(int(i) for i in (~torch.isfinite(x)).nonzero()[0])
        raise ConfigurationError(f"{name}{list(where)} is {x[where].item()}; legal are finite numbers")


def refuse_not_positive(x: float | Tensor, name: str, batch: torch.Size) -> None:
    """Refuse what is not a positive finite number, or real numbers of the batch's shape: ConfigurationError."""
    values = torch.as_tensor(x, dtype=None if isinstance(x, Tensor) else torch.float64)
    if values.is_complex() or not _fits(values.shape, tuple(batch)):
        raise ConfigurationError(
            f"{name} is {values.dtype} {list(values.shape)}; legal is one number, or real {list(batch)} as the batch"
        )
    if not (torch.isfinite(values).all() and (values > 0).all()):
        raise ConfigurationError(f"{name} is {_shown(values)}; legal are finite numbers above 0")


def _fits(shape: torch.Size, wanted: tuple[int, ...]) -> bool:
    """Whether a tensor of this shape can be broadcast to the wanted one without enlarging it."""
    return len(shape) <= len(wanted) and all(
        a in (1, b) for a, b in zip(reversed(shape), reversed(wanted), strict=False)
    )


def _shown(values: Tensor) -> str:
    flat = values.detach().flatten().tolist()
    return f"{flat[0]:g}" if len(flat) == 1 else f"[{', '.join(f'{v:g}' for v in flat[:8])}{', ...' * (len(flat) > 8)}]"


def _in_doubles(x: Tensor) -> Tensor:
    """|x|^2 of a complex tensor, or a real tensor, in float64."""
    return squared(x.to(torch.complex128)) if x.is_complex() else x.double()
