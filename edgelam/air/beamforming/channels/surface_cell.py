# SPDX-License-Identifier: GPL-2.0-only
"""A cell with a reflecting surface: the set-up of Jiang, Cheng and Yu (arXiv 2009.14404).

The base station is at (100, -100, 0) m with a linear array along x, the surface at (0, 0, 0) m with a planar array in y
and z, both of half-wavelength spacing; users are at x 5 to 35 m, y -35 to 35 m, z -20 m. The direct channel is Rayleigh
with a path loss of 32.6 + 36.7 log10(d/m) dB; both hops over the surface are Rician with a path loss of 30 + 22
log10(d/m) dB. In the paper's powers: noise -100 dBm, downlink 5 dBm, a user's pilots 15 dBm.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from edgelam.air.beamforming.channels.iid import complex_normal
from edgelam.air.beamforming.surface import SurfaceDownlink
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, torch_generator

NOISE_MW = 10**-10.0
DOWNLINK_MW = 10**0.5
PILOT_MW = 10**1.5
BASE_STATION_M = (100.0, -100.0, 0.0)
USERS_M = ((5.0, 35.0), (-35.0, 35.0), (-20.0, -20.0))


def surface_cell(
    samples: int,
    *,
    seed: int,
    users: int = 3,
    antennas: int = 8,
    rows: int = 10,
    columns: int = 10,
    rician: float = 10.0,
    power: float = DOWNLINK_MW,
    noise_power: float = NOISE_MW,
    dtype: torch.dtype = torch.complex64,
) -> SurfaceDownlink:
    """Draw cells: direct [sample, user, antenna], cascaded [sample, user, rows columns, antenna].

    rician: power of the line of sight over that of all else, of both hops; power, noise_power: in mW. Raises
    ConfigurationError for numbers that are not positive, or a Rician factor below 0.
    """
    if min(samples, users, antennas, rows, columns) < 1 or not 0 <= rician < math.inf:
        raise ConfigurationError(
            f"samples {samples}, users {users}, antennas {antennas}, rows {rows}, columns {columns}, rician {rician}; "
            "legal are numbers from 1 on, and a Rician factor from 0 on"
        )
    generator = torch_generator(derive_seed(seed, "cells with a surface"))
    low, high = (torch.tensor(edge, dtype=torch.float64) for edge in zip(*USERS_M, strict=True))
    place = low + (high - low) * torch.rand(samples, users, 3, dtype=torch.float64, generator=generator)
    station = torch.tensor(BASE_STATION_M, dtype=torch.float64)
    elements = rows * columns

    far = torch.linalg.vector_norm(place - station, dim=-1)[..., None]
    direct = _amplitude(32.6 + 36.7 * far.log10()) * complex_normal((samples, users, antennas), generator)

    column, row = torch.arange(elements) % columns, torch.arange(elements) // columns

    def surface_response(direction: Tensor) -> Tensor:
        return _turn(column * direction[..., 1:2] + row * direction[..., 2:3])

    distance = torch.linalg.vector_norm(station)
    sight = (
        surface_response(station / distance)[:, None] * _turn(torch.arange(antennas) * (station[0] / distance)).conj()
    )
    incoming = _rician(sight, complex_normal((samples, elements, antennas), generator), rician)
    incoming = _amplitude(30 + 22 * distance.log10()) * incoming

    near = torch.linalg.vector_norm(place, dim=-1, keepdim=True)
    sight = surface_response(place / near).conj()
    outgoing = _rician(sight, complex_normal((samples, users, elements), generator), rician)
    outgoing = _amplitude(30 + 22 * near.log10()) * outgoing

    cascaded = outgoing[..., None] * incoming[:, None]
    return SurfaceDownlink(direct.to(dtype), cascaded.to(dtype), power, noise_power)


def _rician(sight: Tensor, scattered: Tensor, factor: float) -> Tensor:
    return math.sqrt(factor / (1 + factor)) * sight + math.sqrt(1 / (1 + factor)) * scattered


def _amplitude(loss_db: Tensor) -> Tensor:
    return 10 ** (-loss_db / 20)


def _turn(halves: Tensor) -> Tensor:
    """exp(j pi x)."""
    return torch.polar(torch.ones_like(halves), math.pi * halves)
