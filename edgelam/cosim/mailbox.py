# SPDX-License-Identifier: GPL-2.0-only
"""Messages that have arrived at a node, and the coroutines that wait for one.

Both are filed under what a receiver may ask for, (source, tag), where one or both may be open. So a server with 1,000
devices does not search. If several fit, the one that came first is taken: the oldest message for a receiver, and the
oldest receiver for a message.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from edgelam.cosim.loop import SimLoop
    from edgelam.cosim.tasks import SimFuture

M = TypeVar("M")
Key = tuple[int | None, str | None]


class _Filed(NamedTuple):
    number: int
    source: int
    tag: str
    message: object


def _keys(source: int, tag: str) -> tuple[Key, Key, Key, Key]:
    return (source, tag), (source, None), (None, tag), (None, None)


class Mailbox(Generic[M]):
    """One node's messages of type M."""

    def __init__(self, loop: SimLoop, node: str) -> None:
        """Make an empty mailbox of the node named `node`."""
        self._loop = loop
        self._node = node
        self._arrived: dict[Key, OrderedDict[int, _Filed]] = {}
        self._waiting: dict[Key, deque[tuple[int, SimFuture]]] = {}
        self._count = 0  # numbers messages and receivers in one order

    def __len__(self) -> int:
        """Number of messages that nobody has taken yet."""
        return len(self._arrived.get((None, None), ()))

    def deliver(self, source: int, tag: str, message: M) -> None:
        """Give the message to the receiver that has waited longest of those that it fits, or keep it."""
        self._count += 1
        self._deliver(_Filed(self._count, source, tag, message), last=True)

    def _deliver(self, filed: _Filed, last: bool) -> None:
        keys = _keys(filed.source, filed.tag)
        best: Key | None = None
        for key in keys:
            queue = self._waiting.get(key)
            while queue and queue[0][1].done():  # receivers that have given up
                queue.popleft()
            if queue and (best is None or queue[0][0] < self._waiting[best][0][0]):
                best = key
        if best is not None:
            waiting = self._waiting[best]
            waiting.popleft()[1].set_result(filed)
            if not waiting:
                del self._waiting[best]
            return
        for key in keys:
            shelf = self._arrived.get(key)
            if shelf is None:
                shelf = self._arrived[key] = OrderedDict()
            shelf[filed.number] = filed
            if not last:
                shelf.move_to_end(filed.number, last=False)

    async def take(self, source: int | None, tag: str | None, source_name: str) -> M:
        """Return the oldest message that fits (None: any); if there is none, wait for one."""
        shelf = self._arrived.get((source, tag))
        if shelf is not None:
            filed = next(iter(shelf.values()))
            for key in _keys(filed.source, filed.tag):
                del self._arrived[key][filed.number]
                if not self._arrived[key]:
                    del self._arrived[key]
            return filed.message  # type: ignore[return-value]
        future = self._loop.create_future()
        asked = "with any tag" if tag is None else f"with tag {tag!r}"
        future.why = ("receive on", self._node, "from", source_name, asked)
        self._count += 1
        waiting = self._waiting.setdefault((source, tag), deque())
        while waiting and waiting[0][1].done():
            waiting.popleft()
        waiting.append((self._count, future))
        try:
            return (await future).message
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # it came in the same instant: the next receiver gets it
                self._deliver(future.result(), last=False)
            raise
