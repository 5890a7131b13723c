# SPDX-License-Identifier: GPL-2.0-only
"""Quantisation of weights and activations to a few bits, in groups, and the exact bytes that they take on a wire.

Each group of values along the last axis has one scale, so that its largest value in magnitude is the largest code:

    scale = fp16(max |x| / (2^(bits - 1) - 1)),   code = round(x / scale),   x' = code x scale

Some channels of transformers' activations are thousands of times larger than the others (T. Dettmers et al.,
arXiv 2208.07339). As many *outlier channels* as one likes are taken out and kept as 16-bit floats.

Shape suffixes: R rows, W width, G groups of a row.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgelam.errors import ConfigurationError

MOST_HALF = 65504.0  # the largest 16-bit float
FEWEST_BITS, MOST_BITS = 2, 8


@dataclasses.dataclass(frozen=True)
class Format:
    """How values are quantised. Raises ConfigurationError for what is not legal."""

    bits: int = 8
    """Bits of a code, 2 to 8."""
    group: int = 32
    """Values along the last axis that have a scale in common; the last group of a row may be shorter. 0: whole rows."""
    outliers: int = 0
    """Channels (places on the last axis) that are kept as 16-bit floats: those with the largest magnitude."""

    def __post_init__(self) -> None:
        """Check."""
        if not FEWEST_BITS <= self.bits <= MOST_BITS:
            raise ConfigurationError(f"bits is {self.bits}; legal are {FEWEST_BITS} to {MOST_BITS}")
        if self.group < 0 or self.outliers < 0:
            raise ConfigurationError(f"group is {self.group} and outliers {self.outliers}; both must be at least 0")

    @classmethod
    def parse(cls, text: str) -> Format:
        """Read ``int8``, ``int4``, and with groups and outlier channels: ``int4/64``, ``int4/32+8``."""
        found = re.fullmatch(r"int(\d+)(?:/(\d+))?(?:\+(\d+))?", text)
        if not found:
            raise ConfigurationError(
                f"format {text!r}; legal are intB, intB/GROUP, intB/GROUP+OUTLIERS, such as int4/32+8"
            )
        bits, group, outliers = found.groups()
        return cls(int(bits), 32 if group is None else int(group), int(outliers or 0))

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"int{self.bits}/{self.group}" + (f"+{self.outliers}" if self.outliers else "")

    def wire_bytes(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of a tensor of this shape: codes packed without gaps, scales, outliers and their places."""
        width = shape[-1] if shape else 1
        rows = math.prod(shape[:-1]) if width else 0
        outliers = min(self.outliers, width)
        codes = -(-rows * (width - outliers) * self.bits // 8)
        return codes + 2 * rows * self._groups(width - outliers) + outliers * (2 * rows + 4)

    def _groups(self, width: int) -> int:
        return -(-width // (self.group or max(width, 1)))


@dataclasses.dataclass(frozen=True)
class Quantised:
    """A quantised tensor; everything but `shape` and `format` is what crosses a wire (`parts`)."""

    codes: Tensor
    """uint8, the codes of all rows, packed without gaps; the lowest bit first."""
    scales: Tensor
    """float16 [R, G]."""
    outliers: Tensor
    """float16 [R, outlier channels]."""
    places: Tensor
    """int32 [outlier channels], ascending."""
    shape: tuple[int, ...]
    format: Format

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """The tensors that cross a wire, with encoding "exact"."""
        return (self.codes, self.scales, self.outliers, self.places)

    @property
    def nbytes(self) -> int:
        """Bytes of the parts."""
        return sum(part.numel() * part.element_size() for part in self.parts)

    def restored(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the values, of the shape that was quantised."""
        width = self.shape[-1] if self.shape else 1
        rows, inner = len(self.scales), width - len(self.places)
        codes = _unpacked(self.codes, rows * inner, self.format.bits).reshape(rows, inner)
        x_RW = torch.empty(rows, width)
        kept = torch.ones(width, dtype=torch.bool)
        kept[self.places.long()] = False
        x_RW[:, kept] = codes.float() * _spread(self.scales.float(), inner, self.format)
        x_RW[:, self.places.long()] = self.outliers.float()
        return x_RW.reshape(self.shape).to(dtype)


@torch.no_grad()
def quantise(x: Tensor, format: Format) -> Quantised:
    """Quantise real values of any shape. Raises ConfigurationError for NaN, infinite values and those beyond 65504."""
    if not x.is_floating_point():
        raise ConfigurationError(f"values of {x.dtype} cannot be quantised; legal are real floating-point numbers")
    width = x.shape[-1] if x.dim() else 1
    x_RW = x.detach().to(torch.float32).reshape(-1, width) if x.numel() else torch.zeros(0, width)
    if x.numel() and not float(x_RW.abs().max()) <= MOST_HALF:
        raise ConfigurationError(f"values cannot be quantised: one is NaN, infinite or larger than {MOST_HALF:g}")
    largest_W = x_RW.abs().amax(0) if len(x_RW) else torch.zeros(width)
    order = torch.sort(largest_W, descending=True, stable=True).indices
    places = order[: min(format.outliers, width)].sort().values
    kept = torch.ones(width, dtype=torch.bool)
    kept[places] = False
    inner_RW = x_RW[:, kept]
    scales_RG = _scales(inner_RW, format)
    divisor = _spread(scales_RG.float(), inner_RW.shape[1], format)
    most = 2 ** (format.bits - 1) - 1
    codes = torch.where(divisor > 0, inner_RW / divisor, 0.0).round().clamp(-most, most).to(torch.int16)
    return Quantised(
        _packed(codes.flatten(), format.bits), scales_RG, x_RW[:, places].half(), places.to(torch.int32),
        tuple(x.shape), format,
    )  # fmt: skip


def rounded(x: Tensor, format: Format) -> Tensor:
    """Return the values as they are after quantisation, in their own dtype."""
    return quantise(x, format).restored(x.dtype)


@torch.no_grad()
def quantise_weights(model: nn.Module, format: Format, skip: Callable[[str], bool] = lambda name: False) -> int:
    """Round the matrices of a model in place, and return the bytes of all its weights on a wire.

    Parameters of two or more axes are quantised (rows are along the last axis; kernels of convolutions are flattened to
    [outputs, rest]); all others, and those for which `skip` of their name is true, become 16-bit floats. What several
    modules share counts once. Buffers that belong to the model (statistics of normalisation) stay as they are.
    """
    saved = model.state_dict()
    total = sum(b.numel() * b.element_size() for name, b in model.named_buffers() if name in saved)
    for name, weight in model.named_parameters():
        matrix = weight.reshape(len(weight), -1) if weight.dim() > 1 else weight
        if weight.dim() > 1 and not skip(name):
            found = quantise(matrix, format)
            weight.copy_(found.restored(weight.dtype).reshape(weight.shape))
            total += found.nbytes
        else:
            weight.copy_(weight.clamp(-MOST_HALF, MOST_HALF).half().to(weight.dtype))
            total += 2 * weight.numel()
    return total


def _scales(x_RW: Tensor, format: Format) -> Tensor:
    """Return float16 [R, G]. Of a group whose values are all below 4e-6 or so, the scale is zero, and so are they."""
    rows, width = x_RW.shape
    group = format.group or max(width, 1)
    groups = -(-width // group)
    padded = torch.zeros(rows, groups * group)
    padded[:, :width] = x_RW.abs()
    exact = padded.reshape(rows, groups, group).amax(2) / (2 ** (format.bits - 1) - 1) if groups else padded
    return exact.half()


def _spread(scales_RG: Tensor, width: int, format: Format) -> Tensor:
    """[R, G] -> [R, width]: the scale of each value."""
    return scales_RG.repeat_interleave(format.group or max(width, 1), dim=1)[:, :width]


def _packed(codes: Tensor, bits: int) -> Tensor:
    """int16 [n], signed -> uint8 [ceil(n * bits / 8)]."""
    if bits == 8:
        return codes.to(torch.int8).view(torch.uint8)
    unsigned = codes & (2**bits - 1)
    each = ((unsigned[:, None] >> torch.arange(bits, dtype=torch.int16)) & 1).flatten()
    whole = torch.zeros(-(-len(each) // 8) * 8, dtype=torch.int16)
    whole[: len(each)] = each
    weights = 2 ** torch.arange(8, dtype=torch.int16)
    return (whole.reshape(-1, 8) * weights).sum(1).to(torch.uint8)


def _unpacked(packed: Tensor, count: int, bits: int) -> Tensor:
    """Return the signed codes, int16 [count]."""
    if bits == 8:
        return packed.view(torch.int8).to(torch.int16)
    each = ((packed.to(torch.int16)[:, None] >> torch.arange(8, dtype=torch.int16)) & 1).flatten()[: count * bits]
    unsigned = (each.reshape(count, bits) * 2 ** torch.arange(bits, dtype=torch.int16)).sum(1).to(torch.int16)
    return torch.where(unsigned >= 2 ** (bits - 1), unsigned - 2**bits, unsigned)
