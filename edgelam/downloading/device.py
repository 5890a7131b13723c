# SPDX-License-Identifier: GPL-2.0-only
"""The blocks that a device has: they take its storage, others can wait for them, and they outlive a download."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from edgelam.caching.blocks import BlockStore

if TYPE_CHECKING:
    from edgelam.cosim.node import Node


class Device:
    """A cache (edgelam/caching/delivery.py) that keeps everything and tells when something has come."""

    def __init__(self, node: Node, store: BlockStore | None = None) -> None:
        """node: its storage holds the blocks; store: has their bytes, and what it has is there from the beginning, so
        that a device that comes back in another simulation goes on with its store."""
        self.node, self.store = node, store
        self.held: dict[str, int] = {}
        self.on_block: list[Callable[[str, int], object]] = []
        """Called with each block that has come, and its bytes."""
        self._waiting: list[tuple[set[str], asyncio.Future[None]]] = []

    def look(self, blocks: Mapping[str, int]) -> list[str]:
        """Return the blocks that are not here, in order; those that the store has count as here."""
        for block, size in blocks.items():
            if block not in self.held and self.store is not None and self.store.has(block):
                self._hold(block, size)
        return [block for block in blocks if block not in self.held]

    def admit(self, block: str, size_bytes: int, keep: Collection[str] = ()) -> bool:
        """Take a block that has come. Raises OutOfDeviceStorage if there is no room."""
        if block not in self.held:
            self._hold(block, size_bytes)
            for call in self.on_block:
                call(block, size_bytes)
            for entry in [entry for entry in self._waiting if block in entry[0]]:
                entry[0].discard(block)
                if not entry[0]:
                    self._waiting.remove(entry)
                    if not entry[1].done():
                        entry[1].set_result(None)
        return True

    def drop(self, blocks: Iterable[str]) -> None:
        """Give up blocks, and their storage."""
        for block in blocks:
            if self.held.pop(block, None) is not None:
                self.node.storage.free(_label(block))

    async def until(self, blocks: Iterable[str]) -> None:
        """Wait until all these blocks are here."""
        absent = {block for block in blocks if block not in self.held}
        if absent:
            future = asyncio.get_running_loop().create_future()
            entry = (absent, future)
            self._waiting.append(entry)
            try:
                await future
            finally:
                if entry in self._waiting:
                    self._waiting.remove(entry)

    def _hold(self, block: str, size_bytes: int) -> None:
        self.node.storage.store(_label(block), size_bytes)
        self.held[block] = size_bytes


def _label(block: str) -> str:
    return f"block {block[:16]}"
