# SPDX-License-Identifier: GPL-2.0-only
"""Regularised zero forcing (Peel, Hochwald and Swindlehurst, IEEE Trans. Commun. 2005).

The directions are the columns of H^H (H H^H + (K s^2 / P) I)^-1: between those of MRT at low SNR and those of zero
forcing at high SNR. Every user gets the same transmit power.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.air.beamforming.maximum_ratio import equal_power
from edgelam.air.beamforming.problem import Downlink


def rzf(problem: Downlink) -> Tensor:
    """Precoder [..., antenna, user]."""
    scaled = problem.scaled
    eye = torch.eye(problem.num_users, dtype=scaled.dtype, device=scaled.device)
    inverse = torch.linalg.inv(scaled @ scaled.mH + problem.num_users * eye)
    return equal_power(problem, scaled.mH @ inverse)
