# SPDX-License-Identifier: GPL-2.0-only
"""Water-filling: the powers of parallel channels that make sum_k a_k log2(1 + g_k p_k) largest, sum_k p_k = 1.

p_k = max(0, a_k level - 1/g_k) (Cover and Thomas, "Elements of Information Theory", section 9.4, with weights). In the
order of a_k g_k the channels with power are the first n for some n; all n are tried at once, so that nothing iterates.
"""

from __future__ import annotations

import torch
from torch import Tensor


def water_filling(gains: Tensor, weights: Tensor) -> Tensor:
    """Powers that sum to 1, real [..., channel].

    gains: of the SNR of each channel with power 1, real [..., channel], positive; weights: real, not negative, not all
    0, of a shape that can be broadcast to that of the gains.
    """
    weights = weights.to(gains).expand(gains.shape)
    order = (weights * gains).argsort(dim=-1, descending=True)
    a, floor = weights.gather(-1, order), 1 / gains.gather(-1, order)
    level = (1 + floor.cumsum(-1)) / a.cumsum(-1).clamp_min(torch.finfo(gains.dtype).tiny)
    possible = a * level > floor  # that the weakest of the first n gets power
    numbers = torch.arange(gains.shape[-1], device=gains.device)
    last = torch.where(possible, numbers, 0).amax(-1, keepdim=True)  # the largest n for which it does
    level = level.gather(-1, last)
    powers = (weights * level - 1 / gains).clamp_min(0)
    return powers / powers.sum(-1, keepdim=True)
