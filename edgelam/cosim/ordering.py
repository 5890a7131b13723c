# SPDX-License-Identifier: GPL-2.0-only
"""Gives asyncio functions a fixed order that would otherwise depend on memory addresses.

`asyncio.as_completed` puts its coroutines into a set before it makes tasks of them, so they start in the order of their
addresses. While a simulated loop runs, it (and `asyncio.wait`, for futures that are not the loop's own) is wrapped:
arguments become tasks in the order in which they are given. For a loop that is not simulated, the wrappers do nothing.
Code with `from asyncio import as_completed` holds the function itself, which cannot be wrapped: use
`cosim.as_completed`. `timeout` and `wait_for` are wrapped here, too, because of their texts (timeouts.py); a loop in
another thread also gets that text.
"""

from __future__ import annotations

import asyncio
import asyncio.tasks
import asyncio.timeouts
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from edgelam.cosim import timeouts
from edgelam.errors import NotSimulatedError

_as_completed = asyncio.as_completed
_wait = asyncio.wait
_timeouts = (asyncio.timeout, asyncio.timeout_at, asyncio.wait_for)
_simulated: list[asyncio.AbstractEventLoop] = []


def _simulated_loop() -> Any:
    loop = asyncio._get_running_loop()
    return next((known for known in _simulated if known is loop), None)


def as_completed(fs: Iterable[Any], *, timeout: float | None = None) -> Any:
    """Do as `asyncio.as_completed`, but start coroutines in the given order, and keep the order of equal times."""
    if (loop := _simulated_loop()) is not None:
        if asyncio.isfuture(fs) or asyncio.iscoroutine(fs):
            raise TypeError(f"expect an iterable of futures, not {type(fs).__name__}")
        fs = [asyncio.ensure_future(f) for f in fs]
        _refuse_foreign("as_completed", fs)
        loop.observer.depends_on_network("asyncio.as_completed: which is first depends on the network")
    return _as_completed(fs, timeout=timeout)


async def wait(fs: Iterable[Any], *, timeout: float | None = None, return_when: str = asyncio.ALL_COMPLETED) -> Any:
    """Do as `asyncio.wait`, but refuse futures whose order in a set is that of their addresses."""
    if _simulated_loop() is not None:
        fs = list(fs)
        _refuse_foreign("wait", fs)
    return await _wait(fs, timeout=timeout, return_when=return_when)


def _refuse_foreign(name: str, fs: Iterable[Any]) -> None:
    for f in fs:
        if asyncio.isfuture(f) and type(f).__hash__ is object.__hash__:
            raise NotSimulatedError(
                f"asyncio.{name} was given a {type(f).__name__}, which has no fixed order; wrap what it awaits in a "
                "coroutine of its own and make a task of that"
            )


@contextmanager
def fixed_order(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Keep the wrappers in place while `loop` runs."""
    _simulated.append(loop)
    asyncio.as_completed = asyncio.tasks.as_completed = as_completed
    asyncio.wait = asyncio.tasks.wait = wait
    _install_timeouts(timeouts.timeout, timeouts.timeout_at, timeouts.wait_for)
    try:
        yield
    finally:
        _simulated.remove(loop)
        if not _simulated:
            asyncio.as_completed = asyncio.tasks.as_completed = _as_completed
            asyncio.wait = asyncio.tasks.wait = _wait
            _install_timeouts(*_timeouts)


def _install_timeouts(timeout: Any, timeout_at: Any, wait_for: Any) -> None:
    asyncio.timeout = asyncio.timeouts.timeout = timeout
    asyncio.timeout_at = asyncio.timeouts.timeout_at = timeout_at
    asyncio.wait_for = asyncio.tasks.wait_for = wait_for
