# SPDX-License-Identifier: GPL-2.0-only
"""The k values with the largest magnitude and their places, with error feedback (Stich et al., arXiv 1809.07599)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.learning.compressors.compressor import Compressor, Payload, State, pack, plain, unpack


class TopK(Compressor):
    """Sends k = share of the values, rounded up; of equal values, the first are taken."""

    name = "top-k"

    def __init__(self, share: float) -> None:
        """share: above 0, at most 1."""
        self.share = share

    def compress(self, name: str, values: Tensor, state: State) -> Payload:
        """Places [k] in ascending order, whole numbers with the fewest bytes that hold any place; and values [k]."""
        flat = values.flatten()
        k = math.ceil(self.share * flat.numel())
        places = flat.abs().sort(descending=True, stable=True).indices[:k].sort().values
        whole = np.min_scalar_type(max(flat.numel() - 1, 0))
        return {"places": places.numpy(force=True).astype(whole), "values": pack(flat[places], plain(values.dtype))}

    def decompress(self, payload: Payload, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return the values at their places, and zeros elsewhere."""
        values = torch.zeros(math.prod(shape), dtype=dtype)
        places = torch.from_numpy(payload["places"].astype(np.int64))
        if len(places) and int(places.max()) >= len(values):
            raise ConfigurationError(f"place {int(places.max())} came for a tensor of {len(values)} values")
        values[places] = unpack(payload["values"], (len(places),), dtype, plain(dtype))
        return values.reshape(shape)
