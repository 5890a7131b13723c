# SPDX-License-Identifier: GPL-2.0-only
"""Nodes that have failed, and work that ends when others know it.

A node that has failed computes and sends nothing more, for good. Whoever waits for it learns of that some time later.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from edgelam.inference.attempt import NodeLost

T = TypeVar("T")


class Failures:
    """The failures of a simulation."""

    def __init__(self) -> None:
        """Begin with nodes that are all up."""
        self._down: set[str] = set()
        self._known: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def add(self, node: str) -> None:
        """Note that a node has failed, which nobody knows yet."""
        self._down.add(node)

    def tell(self, node: str) -> None:
        """Have everybody know that a node has failed."""
        self._known[node].set()

    def is_down(self, node: str) -> bool:
        """Return whether a node has failed, known or not."""
        return node in self._down

    def is_known(self, node: str) -> bool:
        """Return whether a node has failed, and that is known."""
        return self._known[node].is_set()

    async def surviving(self, work: Coroutine[Any, Any, T], nodes: Iterable[str]) -> T:
        """Return what `work` gives, which needs these nodes.

        Raises NodeLost, when it is known, if one of them has failed before the work was done; then the work is ended.
        """
        names = list(dict.fromkeys(nodes))
        task = asyncio.create_task(work)
        lost = [asyncio.create_task(self._known[name].wait()) for name in names]
        try:
            await asyncio.wait([task, *lost], return_when=asyncio.FIRST_COMPLETED)
            for name in names:
                if name in self._down:
                    task.cancel()
                    await self._known[name].wait()
                    raise NodeLost(f"{name} has failed")
            return await task
        finally:
            for each in (task, *lost):
                each.cancel()
            await asyncio.gather(task, *lost, return_exceptions=True)
