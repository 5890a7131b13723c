# SPDX-License-Identifier: GPL-2.0-only
"""From a nested model to the bytes of its pieces, and back to a model of some size, also while it is still coming.

A frame is the 16-bit floats of its tensors, one after another: the scales of planed matrices, then everything else,
each in alphabetical order. A piece of planes is, plane by plane, the bits of all planed matrices in alphabetical order,
each matrix filled up to whole bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from edgelam.caching.blocks import BlockStore
from edgelam.caching.manifest import Block
from edgelam.downloading.lattice import BITS, GROUP, Lattice, Piece, Point, frame, is_planed, pieces_of
from edgelam.errors import ConfigurationError
from edgelam.files.storage import StorageError
from edgelam.models.nested.bit_planes import Lost, joined, plane_bytes, split
from edgelam.models.nested.network import Nested, layer, leave, part_names, stem
from edgelam.models.nested.shape import AXES, STEM, Shape

Content = Callable[[str], bytes]
"""Digest -> the bytes of a block."""


@torch.no_grad()
def encode(
    nested: Nested, name: str, *, bits: Sequence[int] = BITS, group: int = GROUP
) -> tuple[Lattice, dict[str, bytes]]:
    """Return the lattice of a nested model, and the bytes of its blocks by digest. Raises ConfigurationError."""
    shape, bits = nested.shape, tuple(bits)
    tensors = {part: {key: tuple(value.shape) for key, value in nested.tensors(part).items()} for part in nested.parts}
    contents: dict[str, bytes] = {}
    pieces: dict[Piece, Block] = {}
    for part in nested.parts:
        for width in range(shape.widths if part.startswith("layer") else 1):
            mine = {key: _own(shape, part, key, value, width) for key, value in nested.tensors(part).items()}
            planed = {key: split(v, group) for key, v in mine.items() if v is not None and is_planed(part, key)}
            floats = [found.scales for found in planed.values()]
            floats += [v for key, v in mine.items() if v is not None and key not in planed]
            for piece in pieces_of(shape, bits, tensors, part):
                if piece.width != width:
                    continue
                if piece.first < 0:
                    content = b"".join(_half(each) for each in floats)
                else:
                    content = b"".join(
                        found.planes[p].tobytes() for p in range(piece.first, piece.last) for found in planed.values()
                    )
                digest = hashlib.sha256(content).hexdigest()
                contents[digest] = content
                pieces[piece] = Block(digest, len(content))
    return Lattice(name, shape, bits, group, tensors, pieces), contents


def keep(lattice: Lattice, contents: Mapping[str, bytes], store: BlockStore) -> None:
    """Put all blocks of a model, and its manifest, into a store. Raises StorageError."""
    for block in (*lattice.pieces.values(), lattice.manifest_block):
        content = lattice.manifest if block == lattice.manifest_block else contents[block.digest]
        store.receive(content, expected=block.digest)


class Received:
    """A model of some size, decoded from blocks; parts are decoded when they first compute.

    Shape suffixes: see edgelam/models/nested/network.py.
    """

    def __init__(
        self, lattice: Lattice, point: Point, content: Content, lost: Mapping[str, Lost] | None = None
    ) -> None:
        """content: returns the bytes of a block, whose hash it has checked (`BlockStore.content` does), and raises if
        it is not there; lost: digest -> byte ranges of a block of planes that did not come.

        Raises ConfigurationError for a point that there is not, and for a frame with losses.
        """
        self.lattice, self.point = lattice, lattice.check(point)
        self._content, self._lost = content, lost or {}
        for piece in lattice.needs(point):
            if piece.first < 0 and self._lost.get(lattice.pieces[piece].digest):
                raise ConfigurationError(f"piece {piece} has losses: scales and biases must come whole")
        self._decoded: dict[str, dict[str, Tensor]] = {}

    @property
    def parts(self) -> list[str]:
        """The parts that compute, in order."""
        return list(part_names(self.lattice.shape, self.point.depth))

    @torch.no_grad()
    def run(self, inputs: Tensor, mask_BL: Tensor | None = None) -> Tensor:
        """Return logits [B, C]. Raises StorageError for a block that is damaged."""
        x = inputs
        for part in self.parts:
            x = self.advance(part, x, mask_BL)
        return x

    @torch.no_grad()
    def advance(self, part: str, x: Tensor, mask_BL: Tensor | None = None) -> Tensor:
        """Return what leaves a part: hidden states [B, L, D], or logits [B, C] after the exit."""
        shape, w = self.lattice.shape, self.weights(part)
        if part == STEM:
            return stem(shape, w, x)
        return layer(shape, w, x, mask_BL) if part.startswith("layer") else leave(shape, w, x, mask_BL)

    def weights(self, part: str) -> dict[str, Tensor]:
        """Return the tensors of a part, float32."""
        if part not in self._decoded:
            widths = self.point.width + 1 if part.startswith("layer") else 1
            steps = [self._step(part, width) for width in range(widths)]
            self._decoded[part] = {
                name: torch.cat([step[name] for step in steps if name in step], dim=AXES[name][1])
                if part.startswith("layer") and name in AXES else steps[0][name]
                for name in sorted(steps[0])
            }  # fmt: skip
        return self._decoded[part]

    def _step(self, part: str, width: int) -> dict[str, Tensor]:
        """Return what a width adds to the tensors of a part."""
        lattice = self.lattice
        sizes = dict(_sizes(lattice, part, width))
        planed = [name for name in sizes if is_planed(part, name)]
        values = self._floats(frame(part, width))
        scales: dict[str, Tensor] = {}
        at = 0
        for name in planed:
            rows, columns = sizes[name][0], int(np.prod(sizes[name][1:]))
            groups = -(-columns // lattice.group)
            scales[name], at = values[at : at + rows * groups].reshape(rows, groups), at + rows * groups
        found: dict[str, Tensor] = {}
        for name, size in sizes.items():
            if name not in planed:
                count = int(np.prod(size))
                found[name], at = values[at : at + count].float().reshape(size), at + count
        if at != len(values):
            raise StorageError(f"piece {frame(part, width)} has {len(values)} numbers, and {at} are needed")
        planes = self._planes(part, width, {name: plane_bytes(int(np.prod(sizes[name]))) for name in planed})
        for name in planed:
            arrays, lost = planes[name]
            found[name] = joined(scales[name], arrays, sizes[name], lattice.group, lost)
        return found

    def _floats(self, piece: Piece) -> Tensor:
        return torch.from_numpy(np.frombuffer(self._bytes(piece), "<f2").copy())

    def _planes(
        self, part: str, width: int, sizes: Mapping[str, int]
    ) -> dict[str, tuple[list[np.ndarray], dict[int, list[tuple[int, int]]]]]:
        """Return for each matrix its planes, and what of each plane is lost. sizes: bytes of a plane of each."""
        found: dict[str, tuple[list[np.ndarray], dict[int, list[tuple[int, int]]]]] = {name: ([], {}) for name in sizes}
        for piece in pieces_of(self.lattice.shape, self.lattice.bits, self.lattice.tensors, part):
            if piece.width != width or piece.first < 0 or piece.last > self.point.bits:
                continue
            content = np.frombuffer(self._bytes(piece), np.uint8)
            lost = self._lost.get(self.lattice.pieces[piece].digest, ())
            at = 0
            for plane in range(piece.first, piece.last):
                for name, size in sizes.items():
                    arrays, gaps = found[name]
                    arrays.append(content[at : at + size])
                    mine = [(max(a - at, 0), min(b - at, size)) for a, b in lost if a < at + size and b > at]
                    if mine:
                        gaps[plane] = mine
                    at += size
            if at != len(content):
                raise StorageError(f"piece {piece} has {len(content)} bytes, and {at} are needed")
        return found

    def _bytes(self, piece: Piece) -> bytes:
        block = self.lattice.pieces[piece]
        content = self._content(block.digest)
        if len(content) != block.size_bytes:
            raise StorageError(f"piece {piece} has {len(content)} bytes, not {block.size_bytes}")
        return content


def _sizes(lattice: Lattice, part: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the tensors that a width of a part adds, in alphabetical order, with their shapes."""
    for name, size in sorted(lattice.tensors[part].items()):
        units = lattice.shape.units(name, width) if part.startswith("layer") else None
        if units is not None:
            axis = AXES[name][1]
            yield name, (*size[:axis], units[1] - units[0], *size[axis + 1 :])
        elif width == 0:
            yield name, size


def _own(shape: Shape, part: str, name: str, tensor: Tensor, width: int) -> Tensor | None:
    """Return what a width adds to a tensor; None if nothing."""
    units = shape.units(name, width) if part.startswith("layer") else None
    if units is not None:
        return tensor.narrow(AXES[name][1], units[0], units[1] - units[0])
    return tensor if width == 0 else None


def _half(tensor: Tensor) -> bytes:
    content: bytes = tensor.detach().half().contiguous().numpy().astype("<f2").tobytes()
    return content
