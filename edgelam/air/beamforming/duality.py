# SPDX-License-Identifier: GPL-2.0-only
"""The largest weighted sum rate there is, for one, two or three users, by uplink-downlink duality.

The downlink can reach the same SINRs with the sum power P as the uplink in which user k sends with power l_k, sum_k l_k
= P, and every stream is received with the MMSE receiver (Viswanath and Tse, IEEE Trans. Inf. Theory 2003; Schubert and
Boche, IEEE Trans. Veh. Technol. 2004). So the problem, which is not concave, has only K - 1 unknowns:

    R = max over l of - sum_k a_k log2(1 - l_k h_k^H (s^2 I + sum_i l_i h_i h_i^H)^-1 h_k)

The simplex is searched by a grid that is fine near its edges; the best points are refined by ever smaller grids around
them. The directions of the precoder are the uplink's receivers, and its powers solve K linear equations.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from edgelam.air.beamforming.problem import Downlink, squared
from edgelam.errors import ConfigurationError

GRID = {1: 1, 2: 129, 3: 41}  # points along each angle
KEPT = 6  # points that are refined
ROUNDS = 24  # each halves the grid's width
MOST = 2**20  # points times samples that are looked at together


@torch.no_grad()
def optimum(problem: Downlink) -> Tensor:
    """The optimal precoder, [..., antenna, user], computed in complex128.

    Raises ConfigurationError for more than three users.
    """
    users, antennas = problem.num_users, problem.num_antennas
    if users not in GRID:
        raise ConfigurationError(f"the exact optimum for {users} users; legal are 1, 2 and 3 users")
    batch = torch.broadcast_shapes(problem.scaled.shape[:-2], problem.user_weights.shape[:-1])
    exact = problem.channel.to(torch.complex128) * problem.power_to_noise.double().sqrt()[..., None, None]
    channel = exact.expand(*batch, -1, -1).reshape(-1, users, antennas)
    weights = problem.user_weights.double().expand(*batch, users).reshape(-1, users)
    size = max(1, MOST // GRID[users] ** (users - 1))
    parts = [_optimum(h, a) for h, a in zip(channel.split(size), weights.split(size), strict=True)]
    return problem.at_full_power(torch.cat(parts).view(*batch, antennas, users).to(problem.channel.dtype))


def _optimum(channel: Tensor, weights: Tensor) -> Tensor:
    """Precoder [sample, antenna, user] of power 1, for noise of power 1."""
    users = channel.shape[-2]
    gram = channel @ channel.mH
    line = torch.linspace(0, math.pi / 2, GRID[users], dtype=torch.float64, device=gram.device)
    grid = torch.cartesian_prod(*[line] * (users - 1)).view(-1, users - 1) if users > 1 else line[:, None][:, :0]
    angles = grid.expand(len(gram), -1, -1)
    best = uplink_rate(gram, weights, _powers(angles)).topk(min(KEPT, len(grid)), dim=1).indices
    angles = angles.gather(1, best[..., None].expand(-1, -1, users - 1))  # [sample, kept, user - 1]
    steps = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64, device=gram.device)
    around = torch.cartesian_prod(*[steps] * (users - 1)).view(-1, users - 1) if users > 1 else grid
    width = math.pi / 2 / max(GRID[users] - 1, 1)
    for _ in range(ROUNDS):
        near = angles[:, :, None] + width * around  # beyond the edge the powers are those of the mirror image
        rate = uplink_rate(gram, weights, _powers(near.flatten(1, 2))).view(near.shape[:-1])
        place = rate.argmax(-1)[..., None, None].expand(-1, -1, 1, users - 1)
        angles = near.gather(2, place)[:, :, 0]
        width *= 0.6
    rate = uplink_rate(gram, weights, _powers(angles))
    powers = _powers(angles)[torch.arange(len(gram), device=gram.device), rate.argmax(1)]
    return _downlink(channel, gram, powers)


def _powers(angles: Tensor) -> Tensor:
    """Point of the simplex, [..., user]: the squares of the point of the sphere with these angles, [..., user - 1]."""
    one = torch.ones_like(angles[..., :1]) if angles.shape[-1] else angles.new_ones(*angles.shape[:-1], 1)
    sines = torch.cat((one, angles.sin().square().cumprod(-1)), dim=-1)
    return sines * torch.cat((angles.cos().square(), one), dim=-1)


def uplink_rate(gram: Tensor, weights: Tensor, powers: Tensor) -> Tensor:
    """Weighted sum rate of the uplink in nats, real [sample, point]; powers [sample, point, user].

    1 - l_k h_k^H (I + sum_i l_i h_i h_i^H)^-1 h_k is element k of the diagonal of (I + D G D)^-1, D^2 = diag(l).
    """
    return -(weights[:, None] * _unreached(gram, powers).log()).sum(-1)


def _unreached(gram: Tensor, powers: Tensor) -> Tensor:
    """1 / (1 + sinr) of each user in the uplink, real [sample, point, user]."""
    root = powers.sqrt()
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    matrix = root[..., :, None] * gram[:, None] * root[..., None, :] + eye
    return torch.linalg.inv(matrix).diagonal(dim1=-2, dim2=-1).real.clamp(max=1)


def _downlink(channel: Tensor, gram: Tensor, powers: Tensor) -> Tensor:
    """The precoder, [sample, antenna, user], that reaches the SINRs of the uplink with these powers, [sample, user]."""
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    # (I + H^H L H)^-1 H^H = H^H (I + L G)^-1
    directions = channel.mH @ torch.linalg.inv(eye + powers[..., None] * gram)
    directions = directions / torch.linalg.vector_norm(directions, dim=-2, keepdim=True)
    sinr = 1 / _unreached(gram, powers[:, None])[:, 0] - 1
    received = squared(channel @ directions)
    own = torch.diag_embed(received.diagonal(dim1=-2, dim2=-1))
    between = received - own
    down = torch.linalg.solve(own - sinr[..., None] * between, sinr[..., None])[..., 0].clamp_min(0)
    return directions * down.sqrt()[:, None, :].to(channel)
