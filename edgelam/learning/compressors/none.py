# SPDX-License-Identifier: GPL-2.0-only
"""No compression: every value as float32, or as float64 if it is one."""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.learning.compressors.compressor import Compressor, Payload, State, pack, plain, unpack


class NoCompression(Compressor):
    """Sends all values unchanged."""

    name = "none"
    feeds_back = False

    def compress(self, name: str, values: Tensor, state: State) -> Payload:
        """Return values [bytes]: float32 or float64."""
        return {"values": pack(values, plain(values.dtype))}

    def decompress(self, payload: Payload, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return the same values."""
        return unpack(payload["values"], shape, dtype, plain(dtype))
