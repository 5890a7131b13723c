# SPDX-License-Identifier: GPL-2.0-only
"""A model as a lattice of sizes: depth x width x bits, and the blocks that each size needs.

A nested model (edgelam/models/nested) is cut into *pieces*: for each of its parts and widths a *frame* (scales, biases,
normalisation: 16-bit floats) and groups of bit planes. A *point* of the lattice needs some of the pieces, and a point
that is at least as deep, wide and fine needs these and more. So nothing is stored or sent twice, whichever points are
used.

A lattice is also the manifest of the model: a small file that says which block each piece is, and all that is needed to
compute with them. It is what TS 22.261 calls the topology of a model, and is always sent reliably.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from edgelam.caching.library import Library
from edgelam.caching.manifest import Block, check_name
from edgelam.errors import ConfigurationError
from edgelam.files.digests import BLANK, KEY, check_seal, sealed
from edgelam.files.storage import StorageError
from edgelam.models.nested.bit_planes import PLANES
from edgelam.models.nested.network import part_names
from edgelam.models.nested.shape import PLANED, STEM, Shape

FORMAT = 1
BITS = (2, 3, 4, 6, 8)
GROUP = 64


@dataclasses.dataclass(frozen=True, order=True)
class Point:
    """One size of a model."""

    depth: int
    """Layers, at an exit."""
    width: int
    """Number of the width, from 0."""
    bits: int
    """Of each weight."""

    def within(self, other: Point) -> bool:
        """Return whether another point has all that this one has."""
        return self.depth <= other.depth and self.width <= other.width and self.bits <= other.bits

    def __str__(self) -> str:
        """Short, for tables."""
        return f"d{self.depth} w{self.width} b{self.bits}"


@dataclasses.dataclass(frozen=True, order=True)
class Piece:
    """A part of a model at a width: its frame, or some of its bit planes."""

    part: str
    width: int
    """What this width adds to the one before it."""
    first: int
    """First plane, from 0; -1: the frame."""
    last: int
    """One after the last plane; 0: the frame."""

    def __str__(self) -> str:
        """As in the manifest."""
        return f"{self.part}/{self.width}/" + ("frame" if self.first < 0 else f"{self.first}-{self.last}")


def frame(part: str, width: int) -> Piece:
    """Return the frame of a part at a width."""
    return Piece(part, width, -1, 0)


@dataclasses.dataclass(frozen=True)
class Lattice:
    """A model in pieces."""

    name: str
    shape: Shape
    bits: tuple[int, ...]
    """Bits that a point can have, ascending; the last is at most 8."""
    group: int
    """Values that share a scale."""
    tensors: Mapping[str, Mapping[str, tuple[int, ...]]]
    """Part -> tensor name -> shape of the whole tensor."""
    pieces: Mapping[Piece, Block]

    def __post_init__(self) -> None:
        """Refuse a lattice that lacks a piece, or has one that nothing needs."""
        check_name(self.name)
        if (
            not self.bits
            or list(self.bits) != sorted(set(self.bits))
            or not 1 <= self.bits[0] <= self.bits[-1] <= PLANES
        ):
            raise ConfigurationError(f"bits are {self.bits}; legal are numbers from 1 to {PLANES}, ascending")
        wanted = set(pieces_of(self.shape, self.bits, self.tensors))
        if absent := sorted(wanted - set(self.pieces)):
            raise ConfigurationError(f"model {self.name!r} lacks {len(absent)} pieces, such as {absent[0]}")
        if surplus := sorted(set(self.pieces) - wanted):
            raise ConfigurationError(f"model {self.name!r} has a piece {surplus[0]}, which no size of it needs")

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """All points, in order."""
        return tuple(Point(*each) for each in itertools.product(self.shape.exits, range(self.shape.widths), self.bits))

    @property
    def whole(self) -> Point:
        """The point that has everything."""
        return self.points[-1]

    def check(self, point: Point) -> Point:
        """Return the point. Raises ConfigurationError if the lattice does not have it."""
        if point not in self.points:
            raise ConfigurationError(
                f"model {self.name!r} has no size of depth {point.depth}, width {point.width} and {point.bits} bits; "
                f"depths are {self.shape.exits}, widths 0 to {self.shape.widths - 1}, bits {self.bits}"
            )
        return point

    def needs(self, point: Point) -> tuple[Piece, ...]:
        """Return the pieces of a point, in the order in which they compute."""
        self.check(point)
        depth, width, bits = point.depth, point.width, point.bits
        return tuple(
            piece for part in part_names(self.shape, depth)
            for piece in pieces_of(self.shape, self.bits, self.tensors, part)
            if piece.width <= width and piece.last <= bits
        )  # fmt: skip

    def blocks(self, point: Point, held: Collection[str] = ()) -> dict[str, int]:
        """Return the blocks of a point (digest -> bytes), in the order in which they compute, but those in `held`."""
        found = (self.pieces[piece] for piece in self.needs(point))
        return {block.digest: block.size_bytes for block in found if block.digest not in held}

    def size_bytes(self, point: Point, held: Collection[str] = ()) -> int:
        """Return the bytes of the blocks of a point that are not in `held`."""
        return sum(self.blocks(point, held).values())

    @cached_property
    def library(self) -> Library:
        """Its points as models of a library, in order; blocks are digests."""
        return Library.of_lists((str(point), self.blocks(point).items()) for point in self.points)

    @cached_property
    def manifest(self) -> bytes:
        """The lattice as a file: JSON with its own digest."""
        content = {
            "format": FORMAT, "model": self.name, "shape": json.loads(self.shape.to_json()), "bits": list(self.bits),
            "group": self.group,
            "tensors": {part: {name: list(shape) for name, shape in tensors.items()}
                        for part, tensors in self.tensors.items()},
            "pieces": {str(piece): [block.digest, block.size_bytes] for piece, block in self.pieces.items()},
            KEY: BLANK,
        }  # fmt: skip
        return sealed(json.dumps(content).encode() + b"\n")

    @cached_property
    def manifest_block(self) -> Block:
        """The manifest as a block."""
        return Block(hashlib.sha256(self.manifest).hexdigest(), len(self.manifest))

    @classmethod
    def from_manifest(cls, content: bytes, path: Path) -> Lattice:
        """Read a manifest. path: for errors. Raises StorageError for what is damaged or no manifest of a lattice."""
        if not check_seal(content, path):
            raise StorageError(f"{path} is no manifest of a nested model: it has no digest")
        try:
            found: dict[str, Any] = json.loads(content)
            if found["format"] != FORMAT:
                raise StorageError(f"{path} has format {found['format']!r}; legal is {FORMAT}")
            shape = Shape.from_json(json.dumps(found["shape"]))
            bits = tuple(int(each) for each in found["bits"])
            tensors = {
                part: {name: tuple(map(int, size)) for name, size in each.items()}
                for part, each in found["tensors"].items()
            }
            named = {str(piece): piece for piece in pieces_of(shape, bits, tensors)}
            pieces = {named[name]: Block(*block) for name, block in found["pieces"].items()}
            return cls(found["model"], shape, bits, int(found["group"]), tensors, pieces)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:  # also ConfigurationError
            raise StorageError(f"{path} is no manifest of a nested model: {error}") from None


def pieces_of(
    shape: Shape, bits: tuple[int, ...], tensors: Mapping[str, Mapping[str, tuple[int, ...]]], part: str | None = None
) -> list[Piece]:
    """Return all pieces of a model, or of one part: the frame and the planes of each width."""
    parts = [STEM, *shape.layer_names, *(shape.exit_name(depth) for depth in shape.exits)] if part is None else [part]
    found = []
    for name in parts:
        planed = any(is_planed(name, tensor) for tensor in tensors[name])
        for width in range(shape.widths if name.startswith("layer") else 1):
            found.append(frame(name, width))
            if planed:
                found += [Piece(name, width, a, b) for a, b in zip((0, *bits[:-1]), bits, strict=True)]
    return found


def library_of(lattices: Iterable[Lattice]) -> Library:
    """Return whole models as a library, each with its manifest: what tiers keep and deliver (edgelam/caching)."""
    return Library.of_lists(
        (lattice.name, [(lattice.manifest_block.digest, lattice.manifest_block.size_bytes),
                        *lattice.blocks(lattice.whole).items(),
                        *((block.digest, block.size_bytes) for block in lattice.pieces.values())])
        for lattice in lattices
    )  # fmt: skip


def is_planed(part: str, tensor: str) -> bool:
    """Return whether a tensor is kept as bit planes: the large matrices of the stem and of layers."""
    return not part.startswith("exit") and tensor in PLANED
