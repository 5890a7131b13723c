# SPDX-License-Identifier: GPL-2.0-only
"""One byte per value, with error feedback: int8 as edgelam.cosim encodes it, with a scale for each line.

    scale = max|x| / 127,    q = round(x / scale)

A line is along the longest axis, so that there are few scales (4 bytes each).
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.learning.compressors.compressor import Compressor, Payload, State, pack, unpack


class Int8(Compressor):
    """Rounds each value to 1/127 of the largest in its line."""

    name = "int8"

    def compress(self, name: str, values: Tensor, state: State) -> Payload:
        """Return values: the scale and the bytes of each line."""
        return {"values": pack(values.movedim(_longest(values.shape), -1) if values.dim() else values, "int8")}

    def decompress(self, payload: Payload, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return scale * q."""
        if not shape:
            return unpack(payload["values"], shape, dtype, "int8")
        axis = _longest(shape)
        lines = unpack(payload["values"], (*shape[:axis], *shape[axis + 1 :], shape[axis]), dtype, "int8")
        return lines.movedim(-1, axis)


def _longest(shape: tuple[int, ...]) -> int:
    return max(range(len(shape)), key=lambda axis: shape[axis])
