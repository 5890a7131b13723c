# SPDX-License-Identifier: GPL-2.0-only
"""Clustered channels between two square planar arrays at millimetre waves (El Ayach et al., IEEE TWC 2014).

H = sqrt(Nt Nr / rays) sum_rays g a_r a_t^H, g ~ CN(0, 1), with the responses a of arrays of half-wavelength spacing.
The mean angles of a cluster are uniform on the circle, in azimuth and in elevation, as in the programs that Yu et al.
(IEEE JSTSP 2016) published; the angles of its rays are Laplace around them. Mean |H_ij|^2 is 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from edgelam.air.beamforming.channels.iid import complex_normal
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, torch_generator


class Clustered(NamedTuple):
    """Channels and the responses of the arrays to their rays, all complex."""

    channel: Tensor
    """[sample, rx, tx]."""
    tx_responses: Tensor
    """[sample, tx, ray], columns of norm 1."""
    rx_responses: Tensor
    """[sample, rx, ray], columns of norm 1."""


def clustered(
    samples: int,
    *,
    seed: int,
    tx_side: int = 12,
    rx_side: int = 6,
    clusters: int = 5,
    rays: int = 10,
    spread_deg: float = 10.0,
    dtype: torch.dtype = torch.complex64,
) -> Clustered:
    """Draw channels between arrays of tx_side^2 and rx_side^2 elements.

    rays: of each cluster; spread_deg: standard deviation of the Laplace distribution. Raises ConfigurationError.
    """
    if min(samples, tx_side, rx_side, clusters, rays) < 1 or not 0 <= spread_deg <= 360:
        raise ConfigurationError(
            f"samples {samples}, tx_side {tx_side}, rx_side {rx_side}, clusters {clusters}, rays {rays}, spread_deg "
            f"{spread_deg}; legal are numbers from 1 on, and a spread of 0 to 360 degrees"
        )
    generator = torch_generator(derive_seed(seed, "clustered channels"))
    means = 2 * math.pi * torch.rand(samples, 4, clusters, 1, dtype=torch.float64, generator=generator)
    uniform = torch.rand(samples, 4, clusters, rays, dtype=torch.float64, generator=generator) - 0.5
    # Laplace by its inverse distribution function; its scale is the standard deviation over sqrt(2)
    tail = torch.log1p(-(2 * uniform.abs()).clamp(max=1 - 1e-15))
    angles = (means - math.radians(spread_deg) / math.sqrt(2) * uniform.sign() * tail).flatten(2)
    tx = planar_response(tx_side, angles[:, 0], angles[:, 1])
    rx = planar_response(rx_side, angles[:, 2], angles[:, 3])
    gains = complex_normal((samples, 1, clusters * rays), generator)
    scale = tx_side * rx_side / math.sqrt(clusters * rays)
    return Clustered(*(x.to(dtype) for x in (scale * (rx * gains) @ tx.mH, tx, rx)))


def planar_response(side: int, azimuth: Tensor, elevation: Tensor) -> Tensor:
    """Responses of norm 1, complex128 [..., side^2, ray], to angles in radians, [..., ray] each.

    Element (m, n) of the array is number m side + n. Its phase is pi (m sin(azimuth) sin(elevation) + n
    cos(elevation)).
    """
    m, n = (x.flatten()[:, None] for x in torch.meshgrid(*[torch.arange(side, dtype=torch.float64)] * 2, indexing="ij"))
    first, second = azimuth.sin() * elevation.sin(), elevation.cos()
    phase = math.pi * (m * first[..., None, :] + n * second[..., None, :])
    return torch.polar(torch.full_like(phase, 1 / side), phase)
