# SPDX-License-Identifier: GPL-2.0-only
"""What learned policies share: what they see of a problem, and how two numbers for each user become a precoder.

Every precoder that is optimal for a sum power limit has this form (Bjornson, Bengtsson and Ottersten, IEEE Signal
Process. Mag. 2014), for power and noise of 1 and some l_k, p_k >= 0 that each sum to 1:

    w_k = sqrt(p_k) d_k / |d_k|,   d_k = (I + sum_i l_i h_i h_i^H)^-1 h_k

So a policy has to find l and p only, and the power limit holds exactly. With equal l and p this is RZF, where training
begins. A policy looks several times: it sees what the precoder of the present l and p does, and changes both. It sees
of the channels what changes neither with a user's phase nor with a common unitary matrix: the users' SNRs, |h_i^H
h_j|^2, and |h_i^H w_j|^2. So permutation of users, user phases and unitary turns of the antennas are symmetries of
every policy here.

Shape suffixes: B samples, K users, F features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from edgelam.air.beamforming.maximum_ratio import equal_power
from edgelam.air.beamforming.problem import Downlink, others, squared

NODE_FEATURES, EDGE_FEATURES = 6, 4
_SMALL = 1e-9
_WEAK = 0.03  # of what is received, over the noise: less does not matter


class Policy(nn.Module):
    """A learned map from a problem to a precoder."""

    looks = 1
    """How often it looks at what its precoder does."""

    def change(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """Return by how much the logits of l and p change, real [B, K, 2]; arguments as `features` returns them."""
        raise NotImplementedError

    def numbers(self, problem: Downlink) -> tuple[Tensor, Tensor]:
        """Return logits of l and of p, real [B, K] each, for a problem whose channel is [B, K, N]."""
        logits = problem.scaled.real.new_zeros(*problem.scaled.shape[:2], 2, dtype=torch.float32)
        for _ in range(self.looks):
            logits = logits + self.change(*features(problem, logits))
        duals, powers = logits.unbind(-1)
        return duals, powers

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


def features(problem: Downlink, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return what is known of each user, float32 [B, K, 6], and of each pair of users, float32 [B, K, K, 4].

    logits: of l and p, [B, K, 2]. Of a user: log10 of its SNR with all power, log2 of its weight over the mean weight,
    log2 of the number of users, log10 of its SINR with the precoder of these logits, and log(K l) and log(K p). Of user
    i and another one j: the squared cosine of the angle between their channels, log10 of what of all power would come
    over, and log10 of what i receives of the stream of j, and j of that of i.
    """
    gram = squared(problem.scaled @ problem.scaled.mH)
    snr = gram.diagonal(dim1=-2, dim2=-1).clamp(min=_SMALL).sqrt()
    received = squared(problem.scaled @ structured(problem, logits[..., 0], logits[..., 1]))
    crossing = snr[:, None].expand_as(gram)
    return seen(gram, snr, crossing=crossing, received=received, weights=problem.user_weights, logits=logits)


def seen(
    gram: Tensor, snr: Tensor, *, crossing: Tensor, received: Tensor, weights: Tensor, logits: Tensor
) -> tuple[Tensor, Tensor]:
    """Return features as `features` does, from powers; noise and power are 1.

    gram: |h_i^H h_j|^2, real [B, i, j]; snr: |h_i|^2, [B, i]; crossing: |h_j|^2 at the antennas of i, [B, i, j];
    received: |h_i^H w_j|^2, [B, i, j]; weights: of users; logits: of l and p, [B, i, 2].
    """
    users = snr.shape[-1]
    snr = snr.clamp(min=_SMALL)
    relative = weights.expand_as(snr) / weights.mean(-1, keepdim=True)
    count = torch.full_like(snr, math.log2(users))
    sinr = received.diagonal(dim1=-2, dim2=-1) / (1 + others(received))
    now = logits.log_softmax(1) + math.log(users)
    nodes = [snr.log10(), relative.clamp(min=_SMALL).log2().clamp(min=-8.0), count, (sinr + _WEAK).log10(),
             *now.clamp(min=-12.0).unbind(-1)]  # fmt: skip
    cosine = gram / (snr[:, :, None] * crossing).clamp(min=_SMALL)
    over = (gram / snr[:, :, None]).clamp(min=1e-6).log10()
    heard = (received + _WEAK).log10()
    edges = [cosine, over, heard, heard.mT]
    return torch.stack([x.float() for x in nodes], dim=-1), torch.stack([x.float() for x in edges], dim=-1)
