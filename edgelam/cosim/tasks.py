# SPDX-License-Identifier: GPL-2.0-only
"""Futures and tasks with a fixed order: they hash by sequence number, so that every set of them has one order.

The book of tasks of a loop is here, too; it ensures that every task's failure is noticed.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgelam.cosim.loop import SimLoop


class SimFuture(asyncio.Future[Any]):
    """A future that hashes by a sequence number, taken when it is first put into a set or a dict.

    `why` says what is awaited, as words to be joined, for deadlock reports.
    """

    why: tuple[str, ...] | None = None

    def __hash__(self) -> int:
        """The sequence number: the same in every run."""
        try:
            return self._sequence
        except AttributeError:
            self._sequence: int = self.get_loop().next_sequence()  # type: ignore[attr-defined]
            return self._sequence


class SimTask(asyncio.Task[Any]):
    """A task that hashes by its sequence number."""

    def __init__(
        self,
        coro: Generator[Any, None, Any] | Coroutine[Any, Any, Any],
        *,
        loop: SimLoop,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> None:
        """Start `coro` on `loop`; without a name it is called Task-<sequence number>."""
        self._sequence = loop.next_sequence()
        super().__init__(coro, loop=loop, name=name or f"Task-{self._sequence}", context=context)

    def __hash__(self) -> int:
        """The sequence number: the same in every run."""
        return self._sequence


class TaskBook:
    """All tasks of a loop: the unfinished ones, which it keeps alive, and those whose failure nobody has noticed.

    An exception that somebody awaits is left to them. An exception that nobody can ask for any more, because
    nothing else refers to the task, ends the run before simulated time moves on. Any other is raised at the end of the
    run, or with a deadlock.
    """

    def __init__(self) -> None:
        """Begin without tasks."""
        self._waiting: dict[SimTask, None] = {}
        self.failed: list[SimTask] = []

    @property
    def waiting(self) -> list[SimTask]:
        """Unfinished tasks, in the order in which they were made."""
        return list(self._waiting)

    def add(self, task: SimTask) -> None:
        """Keep a new task."""
        self._waiting[task] = None
        task.add_done_callback(self._done)

    def _done(self, task: Any) -> None:
        self._waiting.pop(task, None)
        if not task.cancelled() and task._exception is not None and task._log_traceback:
            self.failed.append(task)

    def raise_dropped(self) -> None:
        """Raise the exception of a task that nobody else refers to."""
        self.failed = [task for task in self.failed if task._log_traceback]
        for index in range(len(self.failed)):
            if sys.getrefcount(self.failed[index]) <= 2:  # the references are the list and the argument
                raise _seen(self.failed[index])

    def raise_failed(self) -> None:
        """Raise the first exception that nobody has asked for."""
        error = self.first_error()
        if error is not None:
            raise error

    def first_error(self) -> BaseException | None:
        """Return the first exception that nobody has asked for."""
        for task in self.failed:
            if task._log_traceback:
                return _seen(task)
        return None

    def close(self) -> None:
        """Forget everything, without the warnings that asyncio would print."""
        for task in self._waiting:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        for task in self.failed:
            task.exception()
        self._waiting.clear()
        self.failed.clear()


def _seen(task: SimTask) -> BaseException:
    error = task.exception()
    assert error is not None
    error.add_note(f"raised in task {task.get_name()!r}, which nobody awaited")
    return error
