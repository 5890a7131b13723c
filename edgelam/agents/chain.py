# SPDX-License-Identifier: GPL-2.0-only
"""The diffusion chain: a few steps from noise to placement logits (DDPM, Ho et al., arXiv 2006.11239).

Noise is added by the variance-preserving schedule that D2SAC (arXiv 2303.13052) and LAD-TS (arXiv 2412.18212) use:
beta_t = 1 - exp(-b0 / T - (b1 - b0) (2 t - 1) / (2 T^2)), with T = 5, b0 = .1 and b1 = 10. The denoiser says the logits
without noise rather than the noise; the posterior of the step before is made of them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from edgelam.agents.agent import State
from edgelam.agents.networks import Denoiser

STEPS = 5
SHARPNESS = 5.0
"""Logits of the softmax are this times the chain's, which lie between -1 and 1."""
_FIRST, _LAST = 0.1, 10.0
_BETAS = [
    1 - math.exp(-_FIRST / STEPS - (_LAST - _FIRST) * (2 * t - 1) / (2 * STEPS**2)) for t in range(1, STEPS + 1)
]  # fmt: skip
_KEPT = [math.prod(1 - beta for beta in _BETAS[: t + 1]) for t in range(STEPS)]
"""Share of the variance that is signal after each step."""


def noised(clean: Tensor, step: Tensor, noise: Tensor) -> Tensor:
    """Return logits [B, N] after `step` (int64 [B], from 0) has added noise (standard normal [B, N])."""
    kept = torch.tensor(_KEPT)[step].unsqueeze(-1)
    return kept.sqrt() * clean + (1 - kept).sqrt() * noise


def denoised(denoiser: Denoiser, state: State, start: Tensor, noise: Tensor) -> Tensor:
    """Walk the whole chain back; return the logits of the softmax, [B, N].

    start: the first logits, [B, N]; noise: standard normal [STEPS - 1, B, N].
    """
    encoded, share = denoiser.encode(*state.parts)
    noisy = start.unsqueeze(-1)
    for t in reversed(range(1, STEPS)):
        clean = denoiser(encoded, share, noisy, torch.tensor(t))
        before, gone = _KEPT[t - 1], 1 - _KEPT[t]
        noisy = noise[t - 1].unsqueeze(-1) * math.sqrt(_BETAS[t] * (1 - before) / gone) + noisy * (
            math.sqrt(1 - _BETAS[t]) * (1 - before) / gone
        )
        noisy = torch.add(noisy, clean, alpha=math.sqrt(before) * _BETAS[t] / gone)
    return SHARPNESS * denoiser(encoded, share, noisy, torch.tensor(0)).squeeze(-1)
