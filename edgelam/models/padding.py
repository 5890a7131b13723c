# SPDX-License-Identifier: GPL-2.0-only
"""Padded batches and packed tokens. Padding never crosses the network: tokens travel packed, with their lengths.

Shape suffixes: B batch (samples), L length (tokens of the longest sample, with padding), T tokens of all samples
without padding, D features per token.
"""

from typing import Literal

import torch
from torch import Tensor

Side = Literal["right", "left"]


def mask_of(lengths_B: Tensor, *, length: int | None = None, side: Side = "right") -> Tensor:
    """Return the attention mask [B, L] bool, True at tokens. length: L, at least the longest (the default)."""
    L = int(lengths_B.max()) if length is None else length
    place_L = torch.arange(L)
    lengths = lengths_B.to(torch.int64)[:, None]
    return place_L >= L - lengths if side == "left" else place_L < lengths


def pack(x_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """Turn [B, L, ...] into [T, ...]: the tokens of the first sample, then of the second, and so on; differentiable."""
    return x_BLD[mask_BL]


def unpack(x_TD: Tensor, mask_BL: Tensor) -> Tensor:
    """Turn [T, D] into [B, L, D], zero where the mask is False; differentiable; the inverse of `pack` at the tokens."""
    x_BLD = x_TD.new_zeros(*mask_BL.shape, *x_TD.shape[1:])
    return x_BLD.index_put((mask_BL,), x_TD) if x_TD.requires_grad else x_BLD.index_put_((mask_BL,), x_TD)


def positions(mask_BL: Tensor) -> Tensor:
    """Return the position of each token in its sample, [B, L] int64 from 0, whichever side is padded (0 at padding)."""
    return (mask_BL.long().cumsum(dim=1) - 1).clamp(min=0)


def mean_pool(x_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """Return the mean over each sample's tokens: [B, L, D] -> [B, D]."""
    weight_BL1 = mask_BL.to(x_BLD.dtype)[:, :, None]
    return (x_BLD * weight_BL1).sum(dim=1) / weight_BL1.sum(dim=1)


def last_pool(x_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """Return each sample's last token (in a causal model, only this has seen all others): [B, L, D] -> [B, D]."""
    last_B = (mask_BL.long() * torch.arange(1, mask_BL.shape[1] + 1)).argmax(dim=1)
    return x_BLD[torch.arange(len(x_BLD)), last_B]
