# SPDX-License-Identifier: GPL-2.0-only
"""Coordinated beamforming by the networks of a policy: the same graph of users, whose edges cross cells.

A price l_i for each user and a power p_k within its cell; with power and noise of 1 and C cells,

    w_k = sqrt(p_k) d_k / |d_k|,   d_k = (I + C sum_i l_i h_{i,c} h_{i,c}^H)^-1 h_{k,c},  c the cell of user k

which has the optimal directions among its values (Bjornson, Bengtsson and Ottersten, IEEE Signal Process. Mag. 2014).
The networks look, as in `policy`, at SNRs, cosines and what each user hears of each stream, of all cells. So each cell
uses exactly its power, which is an approximation: an optimum may use less; and permutation of users and their phases
are symmetries.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from edgelam.air.beamforming.coordinated import CoordinatedDownlink
from edgelam.air.beamforming.learned.policy import Policy, seen
from edgelam.air.beamforming.problem import squared


class CoordinatedPolicy(nn.Module):
    """The networks of a policy with `change` (graph LAM, GNN), for several cells."""

    def __init__(self, policy: Policy) -> None:
        """policy: as `training.make` makes it, but not unrolled WMMSE."""
        super().__init__()
        self.policy = policy

    def forward(self, problem: CoordinatedDownlink) -> Tensor:
        """Return the precoder, complex [sample, antenna, user]; each cell has exactly its power."""
        links = problem.links  # [B, i, j, antenna]
        mine = links.diagonal(dim1=-3, dim2=-2).mT  # [B, user, antenna]: h_{k,c(k)}^H
        gram = squared(torch.einsum("bija,bja->bij", links, mine.conj()))  # of user i with stream j, at its cell
        snr, crossing = squared(mine).sum(-1), squared(links).sum(-1)
        logits = snr.new_zeros(*snr.shape, 2, dtype=torch.float32)
        for _ in range(self.policy.looks):
            power = squared(problem.received(_structured(problem, logits)))
            features = seen(gram.mT, snr, crossing=crossing.mT, received=power, weights=problem.user_weights,
                            logits=logits)  # fmt: skip
            logits = logits + self.policy.change(*features)
        return _structured(problem, logits)


def _structured(problem: CoordinatedDownlink, logits: Tensor) -> Tensor:
    """Precoder [B, antenna, user] of these logits of l and p, [B, user, 2]."""
    cells = problem.channel.shape[-2]
    scale = math.sqrt(problem.power / problem.noise_power)
    to_cells = (problem.channel * scale).transpose(-3, -2)  # [B, cell, user, antenna]
    share = cells * logits[..., 0].softmax(-1).to(problem.channel.real.dtype)
    eye = torch.eye(to_cells.shape[-1], dtype=to_cells.dtype, device=to_cells.device)
    inverse = torch.linalg.inv(eye + to_cells.mH @ (share[:, None, :, None] * to_cells))  # [B, cell, antenna, antenna]
    mine = problem.links.diagonal(dim1=-3, dim2=-2).mT.conj()  # [B, user, antenna]
    directions = (inverse[:, problem.serving] @ mine[..., None])[..., 0].mT
    directions = directions / torch.linalg.vector_norm(directions, dim=-2, keepdim=True)
    weight = (0.5 * logits[..., 1]).exp().to(problem.channel.real.dtype)
    return problem.at_full_power(directions * weight[:, None, :])
