# SPDX-License-Identifier: GPL-2.0-only
"""Channels over a surface from pilots: an encoder that remembers users and is trained on the squared error.

Nearly all of what a surface reflects to a user lies in one beam of the base station, the strongest eigenvector of the
antennas' covariance, and is decided by where the user is. So the encoder works in the eigenvectors (beams) and holds,
for the strongest one, D remembered users ("codes", channels of 1 + N coefficients: the direct path and the elements).
From pilots z_b = Q f_b + noise of T sub-frames, Q = [1, V]:

    p = softmax over codes of -(z_0 - Q c)^H P (z_0 - Q c) + bias     how well each code explains what was received
    m = sum of p c                                                    the strongest beam before what codes leave open
    f_0 = m + G_0 (z_0 - Q m),   f_b = G_b z_b                        linear corrections, one for each beam

Codes, P (positive), biases and G are trained. They begin as draws, as the inverse covariance of what codes leave open,
as 0, and as the gains of linear estimation: before training this is an estimator with a Gaussian mixture as its prior
(compare Koller, Fesl, Turan and Utschick, IEEE Trans. Signal Process. 2022). Estimates go into `bcd` or a policy.

Shape suffixes: U user samples, T sub-frames, B beams, F unknowns (1 + N), D codes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgelam.air.beamforming.channels.surface_cell import surface_cell
from edgelam.air.beamforming.learned.ascent import Keeper, ascend
from edgelam.air.beamforming.pilots import receive_pilots
from edgelam.air.beamforming.surface import SurfaceDownlink
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed

OPEN = 0.15
"""Share of the variance of the strongest beam that the nearest code leaves open, where training begins."""


class PilotEncoder(nn.Module):
    """From the pilots of each user to its direct and cascaded channel."""

    beams: Tensor
    q: Tensor

    def __init__(self, draws: SurfaceDownlink, phases: Tensor, variance: float, *, codes: int = 1024) -> None:
        """draws: channels of the same kind; phases: of the pilots, complex [T, N]; variance: of their noise.

        Raises ConfigurationError for fewer users in the draws than codes, or phases of another surface.
        """
        super().__init__()
        users = draws.direct.shape[0] * draws.direct.shape[1]
        if phases.ndim != 2 or phases.shape[1] != draws.num_elements or not variance > 0:
            raise ConfigurationError(
                f"phases of pilots are {list(phases.shape)}, of variance {variance}; legal is [sub-frame, "
                f"{draws.num_elements}] and a variance above 0"
            )
        if not 1 <= codes <= users:
            raise ConfigurationError(f"{codes} codes of {users} users in the draws; legal are 1 to {users}")
        unknowns = _unknowns(draws.direct, draws.cascaded)  # [U, F, antenna]
        self.scale = float(unknowns[:, 1:].abs().square().mean().sqrt())
        unknowns = unknowns / self.scale
        covariance = torch.einsum("ufa,ufb->ab", unknowns[:, 1:], unknowns[:, 1:].conj())
        _, vectors = torch.linalg.eigh(covariance)
        self.register_buffer("beams", vectors.flip(-1).conj())  # [antenna, B]: f_b = f @ beams
        q = torch.cat((torch.ones_like(phases[:, :1]), phases), dim=1).to(unknowns)
        self.register_buffer("q", q)
        at_beams = unknowns @ self.beams  # [U, F, B]
        noise = variance / self.scale**2 * torch.eye(len(q), dtype=q.dtype)
        left = at_beams[:, :, 0]
        spread = torch.einsum("uf,ug->fg", left, left.conj()) / len(left)
        open_part = OPEN * torch.diag(spread.diagonal())
        open_part[0, 0] = spread[0, 0]  # nothing is known of the direct path
        remembered = left[:codes].clone()
        remembered[:, 0] = 0
        gains = [_gain(open_part, q, noise)]
        for beam in range(1, at_beams.shape[2]):
            each = at_beams[:, :, beam]
            gains.append(_gain(torch.einsum("uf,ug->fg", each, each.conj()) / len(each), q, noise))
        root = torch.linalg.cholesky(torch.linalg.inv(q @ open_part @ q.mH + noise)).mH
        self.codes = _real(remembered)
        self.bias = nn.Parameter(torch.zeros(codes))
        self.root = _real(root)
        self.gains = _real(torch.stack(gains))

    def forward(self, known: Tensor) -> tuple[Tensor, Tensor]:
        """Direct, [..., user, antenna], and cascaded channels, [..., user, element, antenna], complex64.

        known: complex [..., user, sub-frame, antenna] as `receive_pilots` gives it.
        """
        if known.shape[-2:] != (self.q.shape[0], self.beams.shape[0]):
            raise ConfigurationError(
                f"pilots are {list(known.shape)}; legal is [..., user, {self.q.shape[0]}, {self.beams.shape[0]}]"
            )
        if not torch.isfinite(torch.view_as_real(known.resolve_conj())).all():
            raise ConfigurationError("pilots are not finite; legal are finite numbers")
        z = (known / self.scale).to(self.q) @ self.beams  # [..., T, B]
        codes, root, gains = (torch.view_as_complex(x) for x in (self.codes, self.root, self.gains))
        explained = codes @ self.q.mT @ root.mT  # [D, T]
        # less |root z_0|^2, which is the same for all codes
        scores = self.bias + 2 * (z[..., 0] @ root.mT @ explained.mH).real - explained.abs().square().sum(-1)
        mean = scores.softmax(-1).to(codes) @ codes  # [..., F]
        corrected = z.clone()
        corrected[..., 0] = z[..., 0] - mean @ self.q.mT
        found = torch.einsum("bft,...tb->...fb", gains, corrected)
        found = torch.cat((found[..., :1] + mean[..., None], found[..., 1:]), dim=-1)
        found = self.scale * (found @ self.beams.mH)
        return found[..., 0, :], found[..., 1:, :]


def train(
    encoder: PilotEncoder,
    draw: Callable[[int, int], SurfaceDownlink],
    phases: Tensor,
    *,
    power: float,
    noise_power: float,
    steps: int,
    batch_size: int,
    learning_rate: float = 1e-3,
    seed: int,
    told: Callable[[int, float], None] | None = None,
    keeper: Keeper | None = None,
) -> None:
    """Train in place on the squared error of both channels over their power.

    draw: number of samples and seed -> channels; power, noise_power: of a user's pilots, as for `receive_pilots`; told:
    called after each step with its number, from 1, and the error.
    """

    def value(step: int) -> Tensor:
        cell = draw(batch_size, derive_seed(seed, f"draws of step {step}"))
        known, _ = receive_pilots(
            cell, phases, power=power, noise_power=noise_power, seed=derive_seed(seed, f"noise of step {step}")
        )
        direct, cascaded = encoder(known)
        return -error(direct, cell.direct) - error(cascaded, cell.cascaded)

    def negative(step: int, found: float) -> None:
        if told is not None:
            told(step, -found)

    optimiser = torch.optim.Adam(encoder.parameters(), lr=learning_rate)
    ascend(encoder, optimiser, value, steps=steps, seed=seed, told=negative, keeper=keeper,
           largest_gradient=math.inf)  # fmt: skip


def cells(samples: int, seed: int) -> SurfaceDownlink:
    """Draw cells of arXiv 2009.14404, as `train` takes them."""
    return surface_cell(samples, seed=seed)


def error(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared error over the power of each sample, their mean; complex [sample, user, ...] both."""
    power = wanted.abs().square().flatten(2).sum(-1)
    return ((found - wanted).abs().square().flatten(2).sum(-1) / power).mean()


def _unknowns(direct: Tensor, cascaded: Tensor) -> Tensor:
    """complex64 [user sample, 1 + element, antenna]."""
    return torch.cat((direct[..., None, :], cascaded), dim=-2).to(torch.complex64).flatten(0, 1)


def _gain(covariance: Tensor, q: Tensor, noise: Tensor) -> Tensor:
    spread = covariance @ q.mH
    return torch.linalg.solve(q @ spread + noise, spread, left=False)


def _real(x: Tensor) -> nn.Parameter:
    return nn.Parameter(torch.view_as_real(x.resolve_conj().contiguous()).clone())
