# SPDX-License-Identifier: GPL-2.0-only
"""Two bytes per value: IEEE binary16, which saturates beyond +-65504 and has no value nearer to zero than 6e-8."""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.learning.compressors.compressor import Compressor, Payload, State, pack, unpack


class HalfPrecision(Compressor):
    """Rounds each value."""

    name = "fp16"
    feeds_back = False

    def compress(self, name: str, values: Tensor, state: State) -> Payload:
        """Return values [2 bytes each]."""
        return {"values": pack(values, "fp16")}

    def decompress(self, payload: Payload, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return the rounded values."""
        return unpack(payload["values"], shape, dtype, "fp16")
