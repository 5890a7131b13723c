# SPDX-License-Identifier: GPL-2.0-only
"""A device answers requests with the best size that it has, while larger ones come: two buffers, and no request lost.

A new size is decoded into memory beside the one that serves, and then takes its place at once. Requests that compute on
the old one end on it; its memory is free when the last one has. If there is no memory for both, the old one goes on
serving. Requests that come before anything is usable wait for it.

Inference can also begin while the first size is still coming (SLIDE, arXiv 2512.20946): each part computes as soon as
its blocks are there (`while_receiving`).
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgelam.cosim.work import Work
from edgelam.downloading.device import Device
from edgelam.downloading.encoding import Received
from edgelam.downloading.lattice import Lattice, Point
from edgelam.downloading.work import work_of
from edgelam.errors import OutOfDeviceMemory

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.cosim.node import Node

Inputs = tuple["Tensor", "Tensor | None"]


@dataclasses.dataclass(frozen=True)
class Answered:
    """A request that was answered."""

    point: Point
    """The size that has answered."""
    asked_s: float
    begin_s: float
    """When there was a size, and computing was asked for."""
    end_s: float
    logits: Any = None
    """[1, C]; None if only the time was wanted."""

    @property
    def e2e_s(self) -> float:
        """From the request to its answer."""
        return self.end_s - self.asked_s


@dataclasses.dataclass
class _Version:
    point: Point
    label: str
    model: Received | None
    users: int = 0
    retired: bool = False


class Serving:
    """One model that serves on a device."""

    def __init__(self, node: Node, lattice: Lattice, device: Device | None = None) -> None:
        """device: where the bytes of blocks are; None, or without a store: only times and sizes are computed."""
        self.node, self.lattice = node, lattice
        self.swaps: list[tuple[float, Point]] = []
        """(time, size) of each swap."""
        self.kept_back: list[tuple[float, Point, str]] = []
        """Sizes for which there was no memory beside the one that serves, and why."""
        self._store = None if device is None else device.store
        self._active: _Version | None = None
        self._first = asyncio.Event()
        self._turn = asyncio.Lock()
        self._wanted: Point | None = None
        self._count = 0

    @property
    def active(self) -> Point | None:
        """The size that serves."""
        return None if self._active is None else self._active.point

    async def swap(self, point: Point) -> bool:
        """Bring a size into memory and let it serve; return whether it does. Of several that wait, the newest is taken.

        Decoding takes the time of reading its blocks and writing its weights.
        """
        self._wanted = point
        async with self._turn:
            if self._wanted != point:
                return False
            cost = work_of(self.lattice, point)
            self._count += 1
            label = f"model {self.lattice.name} #{self._count}"
            try:
                self.node.memory.allocate(label, cost.weight_bytes)
            except OutOfDeviceMemory as error:
                self.kept_back.append((asyncio.get_running_loop().time(), point, str(error)))
                return False
            try:
                work = Work(0, self.lattice.size_bytes(point) + cost.weight_bytes)
                async with self.node.compute("decode", work=work):
                    model = None
                    if self._store is not None:
                        model = Received(self.lattice, point, self._store.content)
                        for part in model.parts:
                            model.weights(part)
            except BaseException:  # a damaged block, an empty battery: the old one goes on
                self.node.memory.free(label)
                raise
            old, self._active = self._active, _Version(point, label, model)
            self.swaps.append((asyncio.get_running_loop().time(), point))
            self._first.set()
            if old is not None:
                old.retired = True
                self._free(old)
            return True

    async def answer(self, inputs: Inputs | None = None) -> Answered:
        """Answer a request; it waits until a size serves. inputs: of one sample; None: only the time is wanted."""
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        await self._first.wait()
        version, begin_s = self._active, loop.time()
        assert version is not None
        version.users += 1
        try:
            async with self.node.compute("infer", work=work_of(self.lattice, version.point).work):
                run = None if version.model is None or inputs is None else version.model.run
                logits = run(*inputs) if run is not None and inputs is not None else None
        finally:
            version.users -= 1
            self._free(version)
        return Answered(version.point, asked_s, begin_s, loop.time(), logits)

    def close(self) -> None:
        """Give the memory back."""
        if self._active is not None:
            self._active.retired = True
            self._free(self._active)
            self._active = None
            self._first.clear()

    def _free(self, version: _Version) -> None:
        if version.retired and not version.users:
            self.node.memory.free(version.label)
            version.retired = False


async def while_receiving(
    device: Device, lattice: Lattice, point: Point, inputs: Inputs | None = None,
    said: Callable[[str, float], object] = lambda part, at_s: None,
) -> Answered:  # fmt: skip
    """Answer one request with a size that is still coming: each part computes as soon as its blocks are there.

    said: called with each part and when it had computed. The blocks must come in the order in which they compute, as a
    `Download` with this size as its next one brings them. Raises StorageError if a block is damaged.
    """
    loop = asyncio.get_running_loop()
    asked_s, begin_s = loop.time(), -1.0
    real = device.store is not None and inputs is not None
    model = Received(lattice, point, device.store.content) if device.store is not None and real else None
    x, mask = inputs if inputs is not None else (None, None)
    needed: dict[str, list[str]] = {}
    for piece in lattice.needs(point):
        needed.setdefault(piece.part, []).append(lattice.pieces[piece].digest)
    for part, blocks in needed.items():
        await device.until(blocks)
        begin_s = loop.time() if begin_s < 0 else begin_s
        async with device.node.compute("infer", work=work_of(lattice, point, [part]).work):
            if model is not None:
                x = model.advance(part, x, mask)  # type: ignore[arg-type]
        said(part, loop.time())
    return Answered(point, asked_s, begin_s, loop.time(), x if model is not None else None)
