# SPDX-License-Identifier: GPL-2.0-only
"""Weights as bit planes: what has come so far is the weight with fewer bits, and each further plane refines it.

A matrix is quantised once, to 8 bits in groups (edgelam/models/quantisation.py). Of each code, plus 128, plane 0 has
the highest bit and plane 7 the lowest. With planes 0 to b - 1, a weight is known to lie in an interval of 2^(8 - b)
codes, and is taken to be the middle of it; with all eight it is the quantised weight, exactly. (Nested codes as in
"Any-Precision LLM", arXiv 2402.10517.)

Bytes of a plane may be lost. A weight is then known with the planes before the first one that lacks its bit, and it is
zero if that is plane 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.models.quantisation import Format, quantise

PLANES = 8
_MIDDLE = 128

Lost = Sequence[tuple[int, int]]
"""Byte ranges [begin, end) of a plane that did not come."""


@dataclasses.dataclass(frozen=True)
class Planes:
    """A matrix in planes."""

    scales: Tensor
    """float16 [rows, groups]."""
    planes: tuple[np.ndarray, ...]
    """Eight arrays uint8 [ceil(values / 8)]; the first value of a matrix is the highest bit of the first byte."""
    shape: tuple[int, ...]
    """Of the matrix; all axes but the first are one in rows."""
    group: int
    """Values that share a scale."""


def plane_bytes(values: int) -> int:
    """Return the bytes of one plane of so many values."""
    return -(-values // 8)


def split(x: Tensor, group: int) -> Planes:
    """Quantise a tensor of two axes or more and return its planes. Raises ConfigurationError for values that are not
    finite or too large for 16-bit floats."""
    found = quantise(x.reshape(len(x), -1), Format(PLANES, group))
    codes = found.codes.numpy() ^ _MIDDLE  # int8 in two's complement plus 128, as uint8
    planes = tuple(np.packbits((codes >> (PLANES - 1 - p)) & 1) for p in range(PLANES))
    return Planes(found.scales, planes, tuple(x.shape), group)


def joined(
    scales: Tensor, planes: Sequence[np.ndarray], shape: tuple[int, ...], group: int,
    lost: Mapping[int, Lost] | None = None,
) -> Tensor:  # fmt: skip
    """Return the weights, float32 of `shape`, from the first planes.

    scales: float16 [rows, groups]; planes: at least one, at most eight; lost: plane -> what did not come of it.
    Raises ConfigurationError if sizes do not fit.
    """
    count, rows = int(np.prod(shape)), shape[0]
    if not 1 <= len(planes) <= PLANES or any(plane.size != plane_bytes(count) for plane in planes):
        raise ConfigurationError(
            f"{len(planes)} planes of {[plane.size for plane in planes]} bytes for {count} values; legal are 1 to "
            f"{PLANES} of {plane_bytes(count)} bytes"
        )
    codes = np.zeros(count, np.uint8)
    known = np.full(count, len(planes), np.uint8)
    for p, plane in enumerate(planes):
        codes |= np.unpackbits(plane, count=count) << (PLANES - 1 - p)
        for begin, end in (lost or {}).get(p, ()):
            mine = known[8 * begin : 8 * end]
            np.minimum(mine, p, out=mine)
    width = PLANES - known  # bits that are not known
    steps = np.where(width == PLANES, 0.0, (2.0**width - 1) / 2).astype(np.float32)
    kept = codes & np.where(width == PLANES, 0, 0xFF << np.minimum(width, 7)).astype(np.uint8)
    values = kept.astype(np.float32) - _MIDDLE + steps
    values[known == 0] = 0.0
    spread = scales.float().repeat_interleave(group, dim=1)[:, : count // rows]
    return (torch.from_numpy(values).reshape(rows, -1) * spread).reshape(shape)


@torch.no_grad()
def rounded(x: Tensor, bits: int, group: int) -> Tensor:
    """Return the values that `joined` gives with the first `bits` planes of `split`, in the dtype of `x`."""
    rows = x.reshape(len(x), -1)
    found = quantise(rows, Format(PLANES, group))
    codes = found.codes.view(torch.int8).to(torch.int32) + _MIDDLE
    step = 2 ** (PLANES - bits)
    values = torch.div(codes, step, rounding_mode="floor") * step - _MIDDLE + (step - 1) / 2
    spread = found.scales.float().repeat_interleave(group, dim=1)[:, : rows.shape[1]]
    return (values.reshape(rows.shape) * spread).reshape(x.shape).to(x.dtype)
