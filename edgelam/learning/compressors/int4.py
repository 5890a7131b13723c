# SPDX-License-Identifier: GPL-2.0-only
"""Half a byte per value, with error feedback: two values share a byte, and each line has a scale.

    scale = max|x| / 7,    q = round(x / scale) in -7 .. 7,    sent as q + 8

A line is along the last axis (4 bytes for its scale, fp32); one with an odd number of values ends with a half that is
not used.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.learning.compressors.compressor import Compressor, Payload, State, pack, unpack

LEVELS = 7


class Int4(Compressor):
    """Rounds each value to 1/7 of the largest in its line."""

    name = "int4"

    def compress(self, name: str, values: Tensor, state: State) -> Payload:
        """Return scales and halves of bytes."""
        lines = _lines(values)
        scale = lines.abs().amax(dim=1) / LEVELS if lines.numel() else lines.new_zeros(len(lines))
        scale = scale.float()  # as it is sent
        whole = torch.round(lines / torch.where(scale > 0, scale, 1.0)[:, None].to(lines)).clamp(-LEVELS, LEVELS)
        q = (whole + 8).to(torch.uint8)
        if q.shape[1] % 2:
            q = torch.cat([q, q.new_full((len(q), 1), 8)], dim=1)
        both = q[:, ::2] * 16 + q[:, 1::2]
        return {"scales": pack(scale, "fp32"), "values": both.numpy(force=True).reshape(-1)}

    def decompress(self, payload: Payload, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return scale * q."""
        width = shape[-1] if shape else 1
        rows = (math.prod(shape[:-1]) if shape else 1) if width else 0
        halves = -(-width // 2)
        if payload["values"].nbytes != rows * halves:
            raise ConfigurationError(
                f"{payload['values'].nbytes} bytes came for a tensor {shape} in int4; legal are {rows * halves}"
            )
        scale = unpack(payload["scales"], (rows,), torch.float32, "fp32").to(dtype)
        both = torch.from_numpy(np.ascontiguousarray(payload["values"])).reshape(rows, halves)
        q = torch.stack([both // 16, both % 16], dim=2).reshape(rows, 2 * halves)[:, :width]
        return ((q.to(dtype) - 8) * scale[:, None]).reshape(shape)


def _lines(values: Tensor) -> Tensor:
    return (
        values.reshape(-1, values.shape[-1]) if values.dim() and values.shape[-1] else values.reshape(values.numel(), 1)
    )
