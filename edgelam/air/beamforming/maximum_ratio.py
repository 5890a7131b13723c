# SPDX-License-Identifier: GPL-2.0-only
"""Maximum ratio transmission: each stream goes in the direction of its user's channel, without regard to the others.

w_k = sqrt(P / K) h_k / |h_k|. Optimal for one user, and for several at low SNR when each gets its own share of power.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.air.beamforming.problem import Downlink


def mrt(problem: Downlink) -> Tensor:
    """Precoder [..., antenna, user], of equal power for each user."""
    return equal_power(problem, problem.channel.mH)


def equal_power(problem: Downlink, directions: Tensor) -> Tensor:
    """Columns of `directions`, [..., antenna, user], scaled so that each has the same share of the whole power."""
    return problem.at_full_power(directions / torch.linalg.vector_norm(directions, dim=-2, keepdim=True))
