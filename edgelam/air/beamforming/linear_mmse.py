# SPDX-License-Identifier: GPL-2.0-only
"""LMMSE estimation of the direct and the cascaded channel from pilots over a surface.

For each antenna the unknowns of a user are f = [d; A], one number for the direct path and one for each element, and the
pilots of T sub-frames are z = Q f + noise, Q = [1, V]. With mean m and covariance C of f, known from other draws,

    f = m + C Q^H (Q C Q^H + s^2 I)^-1 (z - Q m)

The covariance is that of one antenna, averaged over users and antennas, as in Jiang, Cheng and Yu (arXiv 2009.14404);
what antennas have in common is left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from edgelam.air.beamforming.problem import refuse_bad_tensor
from edgelam.air.beamforming.surface import refuse_bad_phases
from edgelam.errors import ConfigurationError


class Prior(NamedTuple):
    """What is known before any pilot."""

    mean: Tensor
    """complex128 [1 + element, antenna]: of the direct path, then of the elements."""
    covariance: Tensor
    """complex128 [1 + element, 1 + element]."""


def prior(direct: Tensor, cascaded: Tensor) -> Prior:
    """Mean and covariance of draws: complex [draw, user, antenna] and [draw, user, element, antenna].

    Raises ConfigurationError for other shapes, and for values that are not finite.
    """
    refuse_bad_tensor(direct, "direct", "[draw, user, antenna]", 3)
    refuse_bad_tensor(cascaded, "cascaded", "[draw, user, element, antenna]", 4)
    fits = cascaded.shape[:2] + cascaded.shape[3:] == direct.shape
    if direct.ndim != 3 or cascaded.ndim != 4 or not fits or len(direct) < 2:
        raise ConfigurationError(
            f"draws are {list(direct.shape)} and {list(cascaded.shape)}; legal are 2 or more: [draw, user, antenna] "
            "and [draw, user, element, antenna]"
        )
    unknowns = torch.cat((direct[..., None, :], cascaded), dim=-2).to(torch.complex128).flatten(0, 1)
    mean = unknowns.mean(0)
    rest = (unknowns - mean).transpose(0, 1).flatten(1)  # [1 + element, (draw, user, antenna)]
    return Prior(mean, rest @ rest.mH / rest.shape[1])


def lmmse(known: Tensor, phases: Tensor, variance: float, before: Prior) -> tuple[Tensor, Tensor]:
    """Estimates of the direct, [..., user, antenna], and the cascaded channel, [..., user, element, antenna].

    known: complex [..., user, sub-frame, antenna] and its noise variance, as `receive_pilots` gives them; phases:
    complex [sub-frame, element]. Returns complex128. Raises ConfigurationError for shapes that do not fit, and for
    values that are not finite.
    """
    refuse_bad_tensor(known, "pilots", "[..., user, sub-frame, antenna]", 3)
    refuse_bad_phases(phases)
    elements, antennas = len(before.mean) - 1, before.mean.shape[1]
    if phases.shape[1:] != (elements,) or known.shape[-2:] != (len(phases), antennas) or not 0 < variance < math.inf:
        raise ConfigurationError(
            f"pilots {list(known.shape)} of variance {variance} with phases {list(phases.shape)}; legal are "
            f"[..., user, sub-frame, {antennas}], a variance above 0 and [sub-frame, {elements}]"
        )
    phases = phases.to(before.mean)
    q = torch.cat((torch.ones_like(phases[:, :1]), phases), dim=1)
    noise = variance * torch.eye(len(q), dtype=q.dtype, device=q.device)
    spread = before.covariance @ q.mH
    gain = torch.linalg.solve(q @ spread + noise, spread, left=False)  # [1 + element, sub-frame]
    found = before.mean + gain @ (known.to(q) - q @ before.mean)
    return found[..., 0, :], found[..., 1:, :]
