# SPDX-License-Identifier: GPL-2.0-only
"""Several streams for each user by a policy of the downlink: each of a user's strongest receive beams is a user.

With the singular vectors u_kl of H_k, stream l of user k is taken for a user with the channel u_kl^H H_k. The policy
precodes for all of them, and each user receives with all of its antennas (MMSE). Approximation: the receive beams are
those of the user alone, as if nobody else was there; what the receivers do about interference is not planned for. Power
and symmetries hold as in the policy. Two streams of a user whose singular values are the same have no order.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.problem import Downlink
from edgelam.air.beamforming.streams import StreamDownlink


class StreamPolicy(nn.Module):
    """A policy for users with several antennas; no weights of its own."""

    def __init__(self, policy: Policy) -> None:
        """policy: of the downlink."""
        super().__init__()
        self.policy = policy

    def forward(self, problem: StreamDownlink) -> Tensor:
        """Return the precoder, complex [..., user, antenna, stream], of exactly the problem's power."""
        users, streams = problem.channel.shape[-3], problem.streams
        left, _, _ = torch.linalg.svd(problem.channel, full_matrices=False)
        rows = (left[..., :streams].mH @ problem.channel).flatten(-3, -2)  # [..., (user, stream), antenna]
        weights = problem.user_weights.repeat_interleave(streams)
        found: Tensor = self.policy(Downlink(rows, problem.power, problem.noise_power, weights))
        return found.mT.unflatten(-2, (users, streams)).mT
