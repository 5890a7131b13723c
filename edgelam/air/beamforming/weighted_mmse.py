# SPDX-License-Identifier: GPL-2.0-only
"""WMMSE: the weighted sum rate made larger step by step, by way of weighted mean squared errors.

Shi, Razaviyayn, Luo and He, IEEE Trans. Signal Process. 2011. With the receive factor u_k and the error e_k of each
user, each iteration solves

    u_k = h_k^H w_k / total_k,  total_k = sum_j |h_k^H w_j|^2 + s^2 sum_j |w_j|^2 / P
    q_k = a_k / e_k,            e_k = 1 - |h_k^H w_k|^2 / total_k
    W   = (sum_k q_k |u_k|^2 (h_k h_k^H + (s^2 / P) I))^-1 [q_1 u_1 h_1, ..., q_K u_K h_K]

Two things differ from that paper, and neither changes what is a fixed point. The noise is scaled with the power that a
precoder uses, so that the result can be scaled to the power P at the end and no multiplier has to be searched for; and
as w_k is in the span of the channels, W = H^H X is computed by its K x K coefficients X, whatever the number of
antennas (Zhao, Lu, Shi and Luo, "Rethinking WMMSE", IEEE Trans. Signal Process. 2023, arXiv 2205.06225). The rate never
falls.

It ends in a stationary point, which depends on where it starts; most of the optima that one start misses serve fewer
users. So the starts are RZF, MRT, and RZF for random subsets of the users, in which the others are weak: they may come
back. (Starts in random directions with equal powers find such optima less often.) In all of them the powers are in
proportion to the weights, as they are optimal at high SNR, where an iteration gains little. The best end of each sample
is the result. It does not depend on what else is in the batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from edgelam.air.beamforming.problem import Downlink, others, squared
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, torch_generator

CHECKED = 10  # iterations between two looks at the rate
WEAK = 1e-2  # amplitude at the start of the users that a random start does not serve
PROGRESS = 1e-6  # what has gained less than this share between two looks has converged


@torch.no_grad()
def wmmse(problem: Downlink, *, starts: int = 10, iterations: int = 300, seed: int = 0) -> Tensor:
    """The best precoder of all starts, [..., antenna, user].

    starts: how many: RZF, MRT and then subsets drawn with `seed`, the same for every sample; iterations: at most, of
    each start. Raises ConfigurationError if one of them is below 1.
    """
    if starts < 1 or iterations < 1:
        raise ConfigurationError(f"starts {starts}, iterations {iterations}; legal are whole numbers from 1 on")
    users = problem.num_users
    batch = torch.broadcast_shapes(problem.scaled.shape[:-2], problem.user_weights.shape[:-1])
    channel = problem.scaled.expand(*batch, -1, -1).reshape(-1, users, problem.num_antennas)
    weights = problem.user_weights.expand(*batch, users).reshape(-1, 1, users).expand(-1, starts, -1)
    gram = channel @ channel.mH
    coefficients, rates = iterate(
        gram[:, None].expand(-1, starts, -1, -1).flatten(0, 1),
        weights.flatten(0, 1),
        (_begin(gram, starts, seed) * weights.sqrt()[:, :, None]).flatten(0, 1),
        iterations,
    )
    best = rates.view(-1, starts).argmax(1)
    chosen = coefficients.view(-1, starts, users, users)[torch.arange(len(best), device=best.device), best]
    return problem.at_full_power((channel.mH @ chosen).view(*batch, problem.num_antennas, users))


def iterate(gram: Tensor, weights: Tensor, coefficients: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Iterate until the rate of a sample stands still, or `iterations` times.

    gram: H H^H for power and noise of 1, complex [sample, user, user]; weights: real [sample, user]; coefficients: X of
    the beginning, complex [sample, user, user]. Returns X and the weighted sum rate in nats, real [sample].
    """
    result, rates = coefficients.clone(), gram.real.new_full(gram.shape[:1], -math.inf)
    active = torch.arange(len(gram), device=gram.device)
    for done in range(iterations + 1):
        received = gram @ coefficients
        power = (coefficients.conj() * received).real.sum((-2, -1))
        if done % CHECKED == 0 or done == iterations:
            rate = (weights * -torch.log(errors(received, power))).sum(-1)
            gained = rate > rates[active]  # always, but for rounding
            result[active[gained]] = coefficients[gained]
            moving = rate - rates[active] > PROGRESS * rate.abs()
            rates[active] = torch.maximum(rates[active], rate)
            active, gram, weights = active[moving], gram[moving], weights[moving]
            received, power = received[moving], power[moving]
            if not len(active):
                break
        coefficients = update(gram, weights, received, power)
    return result, rates


def update(gram: Tensor, weights: Tensor, received: Tensor, power: Tensor) -> Tensor:
    """One iteration: coefficients X of the next precoder H^H X, complex [..., user, user], up to a real factor.

    gram: H H^H for power and noise of 1; weights: real [..., user]; received: H W of the present precoder, complex
    [..., user, user]; power: |W|^2, real [...].
    """
    wanted = received.diagonal(dim1=-2, dim2=-1)
    total = squared(received).sum(-1) + power[..., None]
    factor = wanted / total
    ratio = weights / errors(received, power)
    share = ratio * squared(factor)
    share, factor = (x / share.sum(-1, keepdim=True) for x in (share, ratio * factor))  # else weak channels underflow
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    return torch.linalg.solve(share[..., None] * gram + eye, torch.diag_embed(factor))


def errors(received: Tensor, power: Tensor) -> Tensor:
    """Mean squared error of each user with the best receive factor, real [..., user]; arguments as of `update`."""
    rest = others(squared(received)) + power[..., None]
    return rest / (rest + squared(received.diagonal(dim1=-2, dim2=-1)))


def _begin(gram: Tensor, starts: int, seed: int) -> Tensor:
    """Coefficients of all starts, complex [sample, start, user, user]."""
    users = gram.shape[-1]
    eye = torch.eye(users, dtype=gram.dtype, device=gram.device)
    strength = _strengths(users, max(starts - 2, 0), seed).to(gram)
    strength = torch.cat((torch.ones_like(eye[:1]), strength))[:, :, None]
    weaker = strength * gram[:, None] * strength.mT + users * eye  # [sample, start, user, user]
    regularised = strength * torch.linalg.inv(weaker)
    x = torch.cat((regularised[:, :1], eye.expand_as(gram)[:, None], regularised[:, 1:]), dim=1)[:, :starts]
    power = (x.conj() * (gram[:, None] @ x)).real.sum(-2, keepdim=True)
    x = x / power.sqrt()
    x[:, 2:] *= strength[1:].mT[:, :1]
    return x


def _strengths(users: int, count: int, seed: int) -> Tensor:
    """Amplitudes of the users' channels and streams in the random starts: 1, or WEAK for who is not served.

    float64 [start, user]; every subset of the users, in random order, before any comes again.
    """
    generator = torch_generator(derive_seed(seed, "starts of WMMSE"))
    if users <= 16:
        subsets = max(2**users - 2, 1)
        turns = [torch.randperm(subsets, generator=generator) + 1 for _ in range(-(-count // subsets))]
        number = torch.cat(turns)[:count] if turns else torch.zeros(0, dtype=torch.long)
        served = (number[:, None] >> torch.arange(users)) & 1
    else:
        served = torch.randint(0, 2, (count, users), generator=generator)
    return torch.where(served.bool(), 1.0, WEAK).double()
