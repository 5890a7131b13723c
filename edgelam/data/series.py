# SPDX-License-Identifier: GPL-2.0-only
"""Time series of sensors: normalised each by itself (T. Kim et al., ICLR 2022), and cut into patches (Y. Nie et al.,
arXiv 2211.14730).

Shape suffixes: B batch, T time steps, C channels, N patches, P time steps of a patch, F = P C.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SMALLEST = 1e-5  # standard deviation of a channel


def normalise(series_BTC: Tensor) -> tuple[Tensor, Tensor]:
    """Return the series with mean 0 and deviation 1 in each channel, and what was removed.

    The second is [B, 2 C]: for each channel its mean m as asinh(m), and the logarithm of its standard deviation.
    """
    mean_B1C = series_BTC.mean(dim=1, keepdim=True)
    scale_B1C = (series_BTC - mean_B1C).square().mean(dim=1, keepdim=True).sqrt().clamp(min=_SMALLEST)
    level_BE = torch.cat([mean_B1C.asinh(), scale_B1C.log()], dim=2)[:, 0]
    return (series_BTC - mean_B1C) / scale_B1C, level_BE


def patches(series_BTC: Tensor, patch: int, stride: int) -> Tensor:
    """Cut a series [B, T, C] into patches [B, N, P C], time step by time step; the last value fills the last patch."""
    length = series_BTC.shape[1]
    count = -(-max(length - patch, 0) // stride) + 1
    missing = (count - 1) * stride + patch - length
    filled_BTC = torch.cat([series_BTC, series_BTC[:, -1:].expand(-1, missing, -1)], dim=1)
    return filled_BTC.unfold(1, patch, stride).transpose(2, 3).flatten(2)
