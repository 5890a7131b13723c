# SPDX-License-Identifier: GPL-2.0-only
"""`asyncio.timeout` and `asyncio.wait_for` that say what was waited for.

Their `TimeoutError` has no text in asyncio. In a simulated loop (see ordering.py, which puts these in place), the text
names the task, what it awaited (node, sender, tag), the line, and the simulated time.
"""

from __future__ import annotations

import asyncio
import asyncio.timeouts
from collections.abc import Awaitable
from types import TracebackType
from typing import Any

from edgelam.cosim.waiting import describe_wait


class SimTimeout(asyncio.Timeout):  # type: ignore[misc]
    """An `asyncio.Timeout` whose `TimeoutError` has a text."""

    _waited_for = ""

    def _on_timeout(self) -> None:
        # before the task is cancelled: afterwards it awaits nothing
        task = self._task  # type: ignore[attr-defined]
        self._waited_for = f"{describe_wait(task)}; time-out at simulated time {task.get_loop().time():.9f} s"
        super()._on_timeout()  # type: ignore[misc]

    async def __aexit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the block; raise TimeoutError with its text if the time is over."""
        try:
            await super().__aexit__(exc_type, error, traceback)
        except TimeoutError as expired:
            if not expired.args:
                expired.args = (self._waited_for,)
            raise


def timeout(delay: float | None) -> SimTimeout:
    """`asyncio.timeout` in simulated seconds."""
    return timeout_at(None if delay is None else asyncio.get_running_loop().time() + delay)


def timeout_at(when: float | None) -> SimTimeout:
    """`asyncio.timeout_at` in simulated seconds."""
    return SimTimeout(when)


async def wait_for(fut: Awaitable[Any], timeout: float | None) -> Any:
    """`asyncio.wait_for` in simulated seconds; `fut` is cancelled when the time is over."""
    if timeout is not None and timeout <= 0:
        task = asyncio.ensure_future(fut)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise TimeoutError(f"wait_for({timeout}) does not wait")
    async with SimTimeout(None if timeout is None else asyncio.get_running_loop().time() + timeout):
        return await fut
