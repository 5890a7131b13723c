# SPDX-License-Identifier: GPL-2.0-only
"""Messages that have arrived at a node, and the coroutines that wait for one.

Both are filed under (source, tag), so that a server that waits for each of 1,000 devices does not search. Among several
that fit, the one that came first is taken: the oldest message for a receiver, the oldest receiver for a message.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from edgelam.cosim.loop import SimLoop
    from edgelam.cosim.tasks import SimFuture

M = TypeVar("M")
Key = tuple[int | None, str | None]


class Mailbox(Generic[M]):
    """One node's messages of type M."""

    def __init__(self, loop: SimLoop, node: str) -> None:
        """Make an empty mailbox of the node named `node`."""
        self._loop = loop
        self._node = node
        self._arrived: dict[tuple[int, str], deque[tuple[int, M]]] = {}
        self._waiting: dict[Key, deque[tuple[int, SimFuture]]] = {}
        self._count = 0  # numbers messages and receivers in one order

    def __len__(self) -> int:
        """Messages that nobody has taken yet."""
        return sum(map(len, self._arrived.values()))

    def deliver(self, source: int, tag: str, message: M) -> None:
        """Give the message to the receiver that has waited longest among those it fits, or keep it."""
        best: deque[tuple[int, SimFuture]] | None = None
        for key in ((source, tag), (source, None), (None, tag), (None, None)):
            queue = self._waiting.get(key)
            while queue and queue[0][1].done():
                queue.popleft()
            if queue and (best is None or queue[0][0] < best[0][0]):
                best = queue
        if best is not None:
            best.popleft()[1].set_result((source, tag, message))
        else:
            self._count += 1
            self._arrived.setdefault((source, tag), deque()).append((self._count, message))

    async def take(self, source: int | None, tag: str | None, source_name: str) -> M:
        """The oldest message that fits (None: any), waiting for one if there is none."""
        key = self._oldest(source, tag)
        if key is not None:
            queue = self._arrived[key]
            message = queue.popleft()[1]
            if not queue:
                del self._arrived[key]
            return message
        future = self._loop.create_future()
        future.why = (
            "receive on",
            self._node,
            "from",
            source_name,
            "with any tag" if tag is None else f"with tag {tag!r}",
        )
        self._count += 1
        waiting = self._waiting.setdefault((source, tag), deque())
        while waiting and waiting[0][1].done():  # those that gave up
            waiting.popleft()
        waiting.append((self._count, future))
        try:
            return (await future)[2]
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # it came in the same instant: the next receiver has it
                came_from, came_as, message = future.result()
                self._put_back(came_from, came_as, message)
            raise

    def _put_back(self, source: int, tag: str, message: M) -> None:
        self.deliver(source, tag, message)
        queue = self._arrived.get((source, tag))
        if queue and queue[-1][1] is message:  # nobody else waits: it stays the oldest
            queue.pop()
            queue.appendleft((queue[0][0] - 1 if queue else 0, message))

    def _oldest(self, source: int | None, tag: str | None) -> tuple[int, str] | None:
        if source is not None and tag is not None:
            return (source, tag) if (source, tag) in self._arrived else None
        fits = [
            (queue[0][0], key)
            for key, queue in self._arrived.items()
            if (source is None or key[0] == source) and (tag is None or key[1] == tag)
        ]
        return min(fits)[1] if fits else None
