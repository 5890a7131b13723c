# SPDX-License-Identifier: GPL-2.0-only
"""What learned policies share: what they see of a problem, and how two numbers for each user become a precoder.

Every precoder that is optimal for a sum power limit has this form (Bjornson, Bengtsson and Ottersten, IEEE Signal
Process. Mag. 2014), for power and noise of 1 and some l_k, p_k >= 0 that each sum to 1:

    w_k = sqrt(p_k) d_k / |d_k|,   d_k = (I + sum_i l_i h_i h_i^H)^-1 h_k

So a policy has to find l and p only, and the power limit holds exactly. With equal l and p this is RZF, where training
begins. A policy sees of the channels what changes neither with a user's phase nor with a common unitary matrix: the
users' SNRs, and |h_i^H h_j|^2. So permutation of users, user phases and unitary turns of the antennas are symmetries
of every policy here.

Shape suffixes: B samples, K users, F features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from edgelam.air.beamforming.maximum_ratio import equal_power
from edgelam.air.beamforming.problem import Downlink, squared

NODE_FEATURES, EDGE_FEATURES = 3, 2
_SMALL = 1e-9


class Policy(nn.Module):
    """A learned map from a problem to a precoder."""

    def numbers(self, problem: Downlink) -> tuple[Tensor, Tensor]:
        """Return logits of l and of p, real [B, K] each, for a problem whose channel is [B, K, N]."""
        raise NotImplementedError

    def forward(self, problem: Downlink) -> Tensor:
        """Return the precoder, complex [..., antenna, user], of exactly the problem's power."""
        batch = torch.broadcast_shapes(problem.scaled.shape[:-2], problem.user_weights.shape[:-1])
        users, antennas = problem.num_users, problem.num_antennas
        flat = Downlink(
            problem.scaled.expand(*batch, -1, -1).reshape(-1, users, antennas),
            weights=problem.user_weights.expand(*batch, users).reshape(-1, users),
        )
        duals, powers = self.numbers(flat)
        return problem.at_full_power(structured(flat, duals, powers).view(*batch, antennas, users))

    def trained(self) -> int:
        """Return how many parameters are trained."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)


def structured(problem: Downlink, duals: Tensor, powers: Tensor) -> Tensor:
    """Return the precoder [B, antenna, user] of these logits [B, K] of l and p, of power 1."""
    channel = problem.scaled
    share = duals.softmax(-1).to(channel.real.dtype)
    eye = torch.eye(channel.shape[-2], dtype=channel.dtype, device=channel.device)
    # (I + H^H L H)^-1 H^H = H^H (I + L H H^H)^-1, with as many rows as users
    inverse = torch.linalg.inv(eye + share[..., None] * (channel @ channel.mH))
    directions = equal_power(problem, channel.mH @ inverse)
    weight = (0.5 * powers.log_softmax(-1)).exp().to(channel.real.dtype)
    return directions * (weight * math.sqrt(channel.shape[-2]))[:, None, :]


def features(problem: Downlink) -> tuple[Tensor, Tensor]:
    """Return what is known of each user, float32 [B, K, 3], and of each pair of users, float32 [B, K, K, 2].

    Of a user: log10 of its SNR with all power, log2 of its weight over the mean weight, log2 of the number of users;
    of a pair: the squared cosine of the angle between their channels, and log10 of what of all power would come over.
    """
    gram = squared(problem.scaled @ problem.scaled.mH)
    snr = gram.diagonal(dim1=-2, dim2=-1).clamp(min=_SMALL).sqrt()
    weights = problem.user_weights.expand_as(snr)
    relative = weights / weights.mean(-1, keepdim=True)
    count = torch.full_like(snr, math.log2(problem.num_users))
    nodes = torch.stack([snr.log10(), relative.clamp(min=_SMALL).log2().clamp(min=-8.0), count], dim=-1)
    cosine = gram / (snr[:, :, None] * snr[:, None, :]).clamp(min=_SMALL)
    over = (gram / snr[:, :, None].clamp(min=_SMALL)).clamp(min=1e-6).log10()
    return nodes.float(), torch.stack([cosine, over], dim=-1).float()
