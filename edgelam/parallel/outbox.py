# SPDX-License-Identifier: GPL-2.0-only
"""Sends of one node that go on while the program does: a collective ends when its data has come, not its own data's
acknowledgement.

A send that fails interrupts the operation that is under way, which raises its error; where none is, the next operation
does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Unpack

if TYPE_CHECKING:
    from edgelam.cosim import Node
    from edgelam.cosim.transfer_spec import TransferOptions


class Outbox:
    """What a node has begun to send."""

    def __init__(self, node: Node) -> None:
        """Of `node`; empty."""
        self._node = node
        self._under_way: dict[asyncio.Task[Any], None] = {}
        self._operations: dict[asyncio.Task[Any], None] = {}
        self._error: BaseException | None = None

    async def send(self, to: Node | Sequence[Node], data: Any, **how: Unpack[TransferOptions]) -> None:
        """Begin to send; the values have been taken when this returns."""
        task = asyncio.create_task(self._node.send(to, data, **how))
        self._under_way[task] = None
        task.add_done_callback(self._ended)
        await asyncio.sleep(0)  # the task runs until the transfer is under way

    def _ended(self, task: asyncio.Task[Any]) -> None:
        del self._under_way[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = self._error or error
            for operation in self._operations:
                operation.cancel()

    @contextmanager
    def operation(self) -> Iterator[None]:
        """The current task is in an operation that fails if a send does."""
        self._check()
        current = asyncio.current_task()
        assert current is not None
        self._operations[current] = None
        try:
            yield
        except asyncio.CancelledError:
            if self._error is None:
                raise
            current.uncancel()
            self._check()
        finally:
            self._operations.pop(current, None)

    def _check(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    async def drain(self) -> None:
        """Wait until everything that was sent is over. Raises the error of a send that failed."""
        while self._under_way:
            await asyncio.wait(list(self._under_way))
        self._check()
