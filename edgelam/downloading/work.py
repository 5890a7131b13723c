# SPDX-License-Identifier: GPL-2.0-only
"""What one inference with a size of a model costs, in closed form."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from edgelam.cosim.work import Work
from edgelam.downloading.lattice import Lattice, Point
from edgelam.models.nested.network import part_names
from edgelam.models.nested.shape import AXES, STEM


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one inference, with the most tokens that an input can have."""

    flops: float
    bytes: float
    """Memory traffic: weights that are read, and what layers write and read."""
    weight_bytes: int
    """Of the weights in memory, float32."""

    @property
    def work(self) -> Work:
        """As a compute block takes it."""
        return Work(flops=round(self.flops), bytes=round(self.bytes))


def work_of(lattice: Lattice, point: Point, parts: Iterable[str] | None = None) -> Cost:
    """Return the cost of a point, or of some of its parts.

    Matrix products and normalisations count; of a table of tokens, the rows that are looked up are read.
    """
    shape, tokens = lattice.shape, lattice.shape.tokens
    heads, neurons = shape.shares[point.width]
    inner = heads * shape.width // shape.heads
    flops = traffic = 0.0
    weights = 0
    for part in part_names(shape, point.depth) if parts is None else parts:
        mine = _values(lattice, part, point.width)
        weights += 4 * mine
        norm = 8 * tokens * shape.width  # as edgelam/cosim/flop_formulas.py counts it
        if part == STEM and shape.kind == "text":
            flops += norm
            traffic += 4 * 2 * tokens * shape.width
            continue
        traffic += 4 * mine + 4 * 8 * tokens * shape.width
        if part == STEM:
            flops += 2 * (tokens - 1) * _count(lattice.tensors[STEM]["patch"])
        elif part.startswith("layer"):
            flops += 2 * tokens * shape.width * (4 * inner + 2 * neurons) + 4 * tokens**2 * inner + 2 * norm
        else:
            flops += norm + 2 * shape.width * shape.classes
    return Cost(flops, traffic, weights)


def _values(lattice: Lattice, part: str, width: int) -> int:
    total = 0
    for name, size in lattice.tensors[part].items():
        units = lattice.shape.units(name, width) if part.startswith("layer") else None
        total += _count(size) if units is None else _count(size) // size[AXES[name][1]] * units[1]
    return total


def _count(size: tuple[int, ...]) -> int:
    found = 1
    for length in size:
        found *= length
    return found
