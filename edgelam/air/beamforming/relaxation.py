# SPDX-License-Identifier: GPL-2.0-only
"""Semidefinite relaxation for one user and a surface, with Gaussian randomisation (Wu and Zhang, IEEE TWC 2019).

With MRT the user's gain is z^H R z for z = conj([v; 1]) and R = C C^H, C the rows of the cascaded and the direct
channel. The relaxation makes tr(R Z) largest over positive semidefinite Z with a diagonal of ones. It is solved as
Z = Y Y^H with rows of norm 1, each of which has a closed form when the others are held (Wang, Chang and Kolter, "The
mixing method", arXiv 1706.00476). Y has so many columns, more than sqrt(elements + 1), that a local optimum is the
global one but for special R (Boumal, Voroninski and Bandeira, 2016), and the dual proves how near it is: `bound`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from edgelam.air.beamforming.maximum_ratio import mrt
from edgelam.air.beamforming.problem import squared
from edgelam.air.beamforming.surface import SurfaceDownlink
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, torch_generator


class Relaxed(NamedTuple):
    """What the relaxation gives."""

    phases: Tensor
    """Phase factors, complex [..., element]."""
    precoder: Tensor
    """complex [..., antenna, 1]."""
    bound: Tensor
    """No phases and no precoder have a larger rate than this: real [...], bit/s/Hz."""


@torch.no_grad()
def sdr(problem: SurfaceDownlink, *, draws: int = 200, sweeps: int = 100, seed: int = 0) -> Relaxed:
    """The best of `draws` random roundings of the relaxation's solution after `sweeps` sweeps over all rows.

    Computed in complex128. Weights do not matter with one user. Raises ConfigurationError for more than one user.
    """
    users, antennas = problem.direct.shape[-2:]
    if users != 1:
        raise ConfigurationError(f"semidefinite relaxation for {users} users; legal is 1 user")
    if draws < 1 or sweeps < 1:
        raise ConfigurationError(f"draws {draws}, sweeps {sweeps}; legal are whole numbers from 1 on")
    batch, elements = problem.direct.shape[:-2], problem.num_elements
    rows = torch.cat((problem.cascaded[..., 0, :, :], problem.direct), dim=-2).to(torch.complex128)
    rows = rows.reshape(-1, elements + 1, antennas)
    size = torch.linalg.matrix_norm(rows).clamp_min(1e-300)
    rows = rows / size[:, None, None]
    generator = torch_generator(derive_seed(seed, "semidefinite relaxation"))
    rank = math.isqrt(elements) + 2
    y = torch.randn(elements + 1, rank, dtype=torch.complex128, generator=generator).to(rows.device)
    y = (y / torch.linalg.vector_norm(y, dim=-1, keepdim=True)).expand(len(rows), -1, -1).clone()
    dual = _mix(rows, y, sweeps)
    chance = torch.randn(rank, draws, dtype=torch.complex128, generator=generator).to(rows.device)
    z = torch.exp(1j * (y @ chance).angle())
    gain = squared(rows.mH @ z).sum(-2)  # [sample, draw]
    z = z.gather(-1, gain.argmax(-1)[:, None, None].expand(-1, elements + 1, 1))[..., 0]
    phases = (z[:, :-1] / z[:, -1:]).conj().to(problem.direct.dtype).view(*batch, elements)
    downlink = problem.at(phases)
    largest = (dual * size.square()).view(batch) * downlink.power_to_noise.double()
    return Relaxed(phases, mrt(downlink), torch.log1p(largest) / math.log(2))


def _mix(rows: Tensor, y: Tensor, sweeps: int) -> Tensor:
    """Sweep over the rows of y, in place; returns an upper bound of tr(R Z) from the dual, real [sample]."""
    own = squared(rows).sum(-1)
    total = rows.mH @ y  # C^H Y, kept up to date
    for _ in range(sweeps):
        for i in range(rows.shape[1]):
            row = rows[:, i, None]
            pull = row @ total - own[:, i, None, None] * y[:, i, None]
            length = torch.linalg.vector_norm(pull, dim=-1, keepdim=True)
            new = torch.where(length > 0, pull / length.clamp_min(1e-300), y[:, i, None])
            total = total + row.mH @ (new - y[:, i, None])
            y[:, i] = new[:, 0]
    pull = rows @ (rows.mH @ y)
    multipliers = (pull * y.conj()).real.sum(-1)  # diag(multipliers) - R is positive semidefinite at the optimum
    least = torch.linalg.eigvalsh(torch.diag_embed(multipliers).to(rows) - rows @ rows.mH)[:, 0]
    return multipliers.sum(-1) - rows.shape[1] * least.clamp(max=0)
