# SPDX-License-Identifier: GPL-2.0-only
"""Jobs in threads: simulated time stands still until they are done, and results come in the order of submission."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgelam.cosim.loop import SimLoop
    from edgelam.cosim.tasks import SimFuture


class Jobs:
    """The jobs of one loop that are not done yet."""

    def __init__(self) -> None:
        """Begin without jobs; the default executor is made when it is needed."""
        self.executor: Executor | None = None
        self._running: deque[tuple[Future[Any], SimFuture]] = deque()

    def __bool__(self) -> bool:
        """True while a job is not done."""
        return bool(self._running)

    def submit(
        self, loop: SimLoop, executor: Executor | None, func: Callable[..., Any], args: tuple[Any, ...]
    ) -> SimFuture:
        """Start `func(*args)` in a thread; the future gets its result."""
        if executor is None:
            if self.executor is None:
                self.executor = ThreadPoolExecutor(thread_name_prefix="edgelam")
            executor = self.executor
        future = loop.create_future()
        future.why = (f"a job in an executor ({getattr(func, '__name__', func)})",)
        self._running.append((executor.submit(func, *args), future))
        return future

    def finish_oldest(self) -> None:
        """Wait for the oldest job, and give its future the result."""
        job, future = self._running.popleft()
        error = job.exception()  # blocks; Ctrl-C ends it
        if future.done():
            return
        if error is None:
            future.set_result(job.result())
        else:
            future.set_exception(error)

    def shutdown(self, *, wait: bool) -> None:
        """End the threads of the default executor."""
        if self.executor is not None:
            self.executor.shutdown(wait=wait, cancel_futures=not wait)
