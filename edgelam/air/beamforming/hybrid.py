# SPDX-License-Identifier: GPL-2.0-only
"""Hybrid precoding: a precoder F ~ F_RF F_BB, of which F_RF is analog: phase shifters between RF chains and antennas.

Fully connected: every chain feeds every antenna, |F_RF| = 1 everywhere. Partly connected: each chain feeds its own part
of the antennas. The methods (`pe_altmin`, `mo_altmin`, `omp`, `partly_connected`) take any precoder or combiner as the
target and give one of the same power. They make |target - F_RF F_BB|^2 small.

The rate here is that of one user with several antennas and streams (Yu, Shen, Zhang and Letaief, IEEE J. Sel. Topics
Signal Process. 2016): F of power Ns, W any combiner, H with mean |H_ij|^2 = 1, and the SNR is P / noise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from edgelam.air.beamforming.problem import refuse_bad_tensor, refuse_not_positive
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, torch_generator


class Hybrid(NamedTuple):
    """The two parts of a hybrid precoder or combiner."""

    analog: Tensor
    """F_RF, complex [..., antenna, chain]: modulus 1, and 0 where there is no connection."""
    digital: Tensor
    """F_BB, complex [..., chain, stream]."""

    @property
    def product(self) -> Tensor:
        """F_RF F_BB, [..., antenna, stream]."""
        return self.analog @ self.digital


def digital_optimum(channel: Tensor, streams: int) -> tuple[Tensor, Tensor]:
    """Unconstrained precoder [..., tx, stream] and combiner [..., rx, stream] of orthonormal columns.

    channel: complex [..., rx, tx]. They are the strongest singular vectors; all streams have the same power. Raises
    ConfigurationError for more streams than antennas at either end, for a wrong channel, and for one of a lower rank.
    """
    refuse_bad_tensor(channel, "channel", "[..., rx, tx]")
    most = min(channel.shape[-2:])
    if not 1 <= streams <= most:
        raise ConfigurationError(
            f"{streams} streams over {channel.shape[-2]} receiving and {channel.shape[-1]} transmitting antennas; "
            f"legal are 1 to {most}"
        )
    left, singular, right = torch.linalg.svd(channel, full_matrices=False)
    least = torch.finfo(singular.dtype).eps * max(channel.shape[-2:])
    if not (singular[..., streams - 1] > least * singular[..., 0]).all():
        rank = int((singular > least * singular[..., :1]).sum(-1).min())
        raise ConfigurationError(
            f"{streams} streams over a channel of rank {rank}; legal are 1 to the rank, of a rank above 0"
        )
    return right.mH[..., :streams], left[..., :streams]


def spectral_efficiency(channel: Tensor, precoder: Tensor, combiner: Tensor, snr: float | Tensor) -> Tensor:
    """log2 det(I + snr/Ns (W^H W)^-1 W^H H F F^H H^H W) in bit/s/Hz, real [...].

    channel: complex [..., rx, tx]; precoder F [..., tx, stream], used with power Ns; combiner W [..., rx, stream], of
    full column rank; snr: linear, a number or real [...]. Raises ConfigurationError for shapes that do not fit and for
    an SNR that is not positive.
    """
    refuse_bad_tensor(channel, "channel", "[..., rx, tx]")
    refuse_not_positive(snr, "snr", channel.shape[:-2])
    (rx, tx), streams = channel.shape[-2:], precoder.shape[-1]
    if precoder.shape[-2:] != (tx, streams) or combiner.shape[-2:] != (rx, streams):
        raise ConfigurationError(
            f"precoder {list(precoder.shape)} and combiner {list(combiner.shape)} for a channel {list(channel.shape)}; "
            f"legal are [..., {tx}, stream] and [..., {rx}, stream] with the same streams"
        )
    basis, _ = torch.linalg.qr(combiner)  # the rate depends on the span only
    effective = basis.mH @ channel @ precoder
    scale = torch.as_tensor(snr, dtype=channel.real.dtype, device=channel.device)[..., None] / streams
    singular = torch.linalg.svdvals(effective)
    return torch.log1p(scale * singular.square()).sum(-1) / math.log(2)


def refuse_bad_target(target: Tensor, chains: int) -> None:
    """Refuse a target, complex [..., antenna, stream], with fewer chains than streams or more than antennas."""
    refuse_bad_tensor(target, "target", "[..., antenna, stream]")
    antennas, streams = target.shape[-2:]
    if streams > antennas:
        raise ConfigurationError(f"{streams} streams of {antennas} antennas; legal are 1 to {antennas}")
    if not streams <= chains <= antennas:
        raise ConfigurationError(
            f"{chains} RF chains for {streams} streams of {antennas} antennas; legal are {streams} to {antennas}"
        )
    if (torch.linalg.matrix_norm(target) == 0).any():
        raise ConfigurationError("the target is 0 in some sample; legal is a precoder of some power")


def of_same_power(analog: Tensor, digital: Tensor, target: Tensor) -> Hybrid:
    """The digital part scaled so that the product has the power of the target."""
    ratio = torch.linalg.matrix_norm(target) / torch.linalg.matrix_norm(analog @ digital)
    return Hybrid(analog, digital * ratio[..., None, None])


def first_phases(target: Tensor, chains: int, seed: int, name: str) -> Tensor:
    """Analog part to begin with: phases of the target's columns, then random ones; complex [..., antenna, chain].

    The random ones are the same for every sample. name: of the random stream.
    """
    generator = torch_generator(derive_seed(seed, name))
    antennas, streams = target.shape[-2:]
    angles = 2 * math.pi * torch.rand(antennas, chains - streams, dtype=torch.float64, generator=generator)
    random = torch.polar(torch.ones_like(angles), angles).to(target)
    return torch.cat((torch.exp(1j * target.angle()), random.expand(*target.shape[:-2], -1, -1)), dim=-1)
