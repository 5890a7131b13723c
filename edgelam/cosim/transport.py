# SPDX-License-Identifier: GPL-2.0-only
"""Transfers between coroutines that know both ends: the receiver goes on when the last byte has arrived."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from edgelam.cosim import encoding as codec
from edgelam.cosim.node import Node
from edgelam.cosim.records import Message


class Transport:
    """Carries values; keeps the tasks of senders that still wait for their acknowledgement."""

    def __init__(self) -> None:
        """Begin with no transfers."""
        self._count = 0
        self._open: set[asyncio.Task[Any]] = set()

    async def carry(
        self, source: Node, to: Node, data: Any, what: str, *, encoding: str = "exact", priority: int = 0
    ) -> int:
        """Send `data`, and return its size in bytes when the last byte has arrived. See `message`."""
        return (await self.message(source, to, data, what, encoding=encoding, priority=priority)).size_bytes

    async def message(
        self, source: Node, to: Node, data: Any, what: str, *, encoding: str = "exact", priority: int = 0
    ) -> Message:
        """Send `data`, and return what has arrived when its last byte has.

        A message without values (no soft tokens) is one byte, which says so: a transfer has at least one.

        what: the beginning of the transfer's tag. Raises TransferError if it does not arrive, BatteryEmpty.
        """
        if codec.wire_size(data, encoding) == 0:
            data = np.zeros(1, np.uint8)
        self._count += 1
        tag = f"{what} #{self._count}"
        sending = asyncio.create_task(
            source.send(to, data, tag=tag, encoding=encoding, priority=priority), name=f"send {tag}"
        )
        arriving = asyncio.create_task(to.receive(source, tag=tag), name=f"receive {tag}")
        try:
            await asyncio.wait((sending, arriving), return_when=asyncio.FIRST_COMPLETED)
            if not arriving.done():
                await sending  # raises if it has failed
            message = await arriving
        except BaseException:
            for task in (sending, arriving):
                task.cancel()
            await asyncio.gather(sending, arriving, return_exceptions=True)
            raise
        self._open.add(sending)
        sending.add_done_callback(self._ended)
        return message

    async def close(self) -> None:
        """Wait until all senders know that their transfers have ended."""
        if self._open:
            await asyncio.gather(*sorted(self._open, key=lambda task: task.get_name()), return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._open.discard(task)
        if not task.cancelled():
            task.exception()  # what happens after the last byte has arrived changes nothing
