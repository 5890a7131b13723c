# SPDX-License-Identifier: GPL-2.0-only
"""The largest rate that every user can have at once (max-min), by balancing the SINRs of the uplink.

With the sum power P, the uplink in which user k sends with power l_k can give all users the same SINR g, and the
largest such g is that of the downlink too (Schubert and Boche, IEEE Trans. Veh. Technol. 2004). It is the fixed point
of

    l_k = c / h_k^H (s^2 I + sum_i l_i h_i h_i^H)^-1 h_k,    c so that sum_k l_k = P

whose right side is a standard interference function, so that it converges from any beginning (Wiesel, Eldar and Shamai,
IEEE Trans. Signal Process. 2006). The precoder has the uplink's receivers as directions, and its powers solve K linear
equations. With weights a_k, a_k times the rate is the same for all, and c becomes a level that is found by bisection.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.air.beamforming.problem import Downlink, squared

BISECTIONS = 60
ROUNDS = 300
PROGRESS = 1e-9


@torch.no_grad()
def max_min(problem: Downlink) -> Tensor:
    """Precoder [..., antenna, user], computed in complex128, with which the least a_k rate_k is largest.

    A user of weight 0 gets nothing.
    """
    users, antennas = problem.num_users, problem.num_antennas
    batch = torch.broadcast_shapes(problem.scaled.shape[:-2], problem.user_weights.shape[:-1])
    exact = problem.channel.to(torch.complex128) * problem.power_to_noise.double().sqrt()[..., None, None]
    channel = exact.expand(*batch, -1, -1).reshape(-1, users, antennas)
    weights = problem.user_weights.double().expand(*batch, users).reshape(-1, users)
    gram = channel @ channel.mH
    eye = torch.eye(users, dtype=gram.dtype, device=gram.device)
    powers = (weights > 0).double() / (weights > 0).sum(-1, keepdim=True)
    for _ in range(ROUNDS):
        # h_k^H (I + sum_i l_i h_i h_i^H)^-1 h_k is element k of the diagonal of (I + G L)^-1 G
        reached = torch.linalg.solve(eye + gram * powers[:, None, :], gram).diagonal(dim1=-2, dim2=-1).real
        targets = _common(reached, weights)
        new = _powers(targets, reached)
        moved = (new - powers).abs().amax()
        powers = new
        if moved <= PROGRESS:
            break
    precoder = downlink_precoder(channel, gram, powers, targets)
    return problem.at_full_power(precoder.view(*batch, antennas, users).to(problem.channel.dtype))


def _common(reached: Tensor, weights: Tensor) -> Tensor:
    """SINRs of one a_k log(1 + sinr_k) whose powers sum to 1, by bisection; real [sample, user]."""
    low = torch.zeros_like(reached[:, 0])
    high = torch.where(weights > 0, weights * 700.0, 0.0).amax(-1)  # exp of it is still finite
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        enough = _powers(_targets(middle, weights), reached).sum(-1) <= 1
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    return _targets(low, weights)


def _powers(targets: Tensor, reached: Tensor) -> Tensor:
    """Powers of the uplink: l_k x / (1 - l_k x) is the target, for x as `reached`."""
    return targets / (1 + targets) / reached


def _targets(level: Tensor, weights: Tensor) -> Tensor:
    """SINRs at which a_k log(1 + sinr_k) is the level; 0 for weights of 0."""
    served = weights > 0
    return torch.where(served, torch.expm1((level[:, None] / torch.where(served, weights, 1.0)).clamp(max=700)), 0.0)


def downlink_precoder(channel: Tensor, gram: Tensor, powers: Tensor, targets: Tensor) -> Tensor:
    """Return the precoder [sample, antenna, user] with these SINRs, for noise of 1; `powers`: of the uplink."""
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    directions = channel.mH @ torch.linalg.inv(eye + powers[..., None] * gram)
    directions = directions / torch.linalg.vector_norm(directions, dim=-2, keepdim=True)
    received = squared(channel @ directions)
    own = torch.diag_embed(received.diagonal(dim1=-2, dim2=-1))
    needed = torch.linalg.solve(own - targets[..., None] * (received - own), targets[..., None])[..., 0].clamp_min(0)
    return directions * needed.sqrt()[:, None, :].to(channel)
