# SPDX-License-Identifier: GPL-2.0-only
"""Describes who waits for what, for the texts of deadlocks and time-outs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

MAX_LINES = 40
_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
INSIDE = (_PACKAGE + "cosim" + os.sep, _PACKAGE + "replay" + os.sep, os.path.dirname(asyncio.__file__) + os.sep)
"""Folders whose files are between asyncio and the user."""


def is_of_user(filename: str) -> bool:
    """Return False for a file of `INSIDE`, and for contextlib."""
    return not filename.startswith(INSIDE) and "contextlib" not in filename


def describe_tasks(waiting: Sequence[asyncio.Task[Any]], failed: Sequence[asyncio.Task[Any]] = ()) -> str:
    """Return one line for each waiting task (name, what it awaits, where), and one for each failed task."""
    lines = [
        f"  task {task.get_name()!r} had failed: {_exception_text(task)}" for task in failed if not task.cancelled()
    ]
    lines += [f"  {describe_wait(task)}" for task in waiting if not task.done()]
    if len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], f"  and {len(lines) - MAX_LINES} more tasks"]
    return "\n".join(lines) or "  no task is waiting"


def describe_wait(task: asyncio.Task[Any]) -> str:
    """Return a task's name, what it awaits, and where."""
    return f"task {task.get_name()!r} waits for {_awaited(task)}{_place(task)}"


def _exception_text(task: asyncio.Task[Any]) -> str:
    error = task._exception  # task.exception() would mark it as seen
    return f"{type(error).__name__}: {error}"


def _awaited(task: asyncio.Task[Any]) -> str:
    future = task._fut_waiter  # type: ignore[attr-defined]
    if future is None:
        return "its turn"
    why = getattr(future, "why", None)
    if why is not None:
        return " ".join(why)
    if isinstance(future, asyncio.Task):
        return _name_of(future)
    if type(future).__name__ == "_GatheringFuture":
        names = [_name_of(child) for child in future._children if not child.done()]  # noqa: SLF001
        return "gather of " + ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return _primitive(task)


def _name_of(future: asyncio.Future[Any]) -> str:
    if not isinstance(future, asyncio.Task):
        return "a future"
    why = getattr(future._fut_waiter, "why", None)  # type: ignore[attr-defined]
    return f"task {future.get_name()!r}" + (f" ({' '.join(why)})" if why else "")


def _primitive(task: asyncio.Task[Any]) -> str:
    """Return the asyncio function that the task is in, for example Queue.get."""
    frame = _frames(task)[-1:] or [None]
    if frame[0] is None:
        return "a future"
    code = frame[0].f_code
    inside_asyncio = os.sep + "asyncio" + os.sep in code.co_filename
    return f"asyncio {getattr(code, 'co_qualname', code.co_name)}" if inside_asyncio else "a future"


def _place(task: asyncio.Task[Any]) -> str:
    """Return the user's line at which the task is: the innermost frame outside asyncio and this package."""
    for frame in reversed(_frames(task)):
        name = frame.f_code.co_filename
        if is_of_user(name):
            return f" ({os.path.basename(name)}:{frame.f_lineno})"
    return ""


def _frames(task: asyncio.Task[Any]) -> list[Any]:
    """Return the frames of the coroutines in which a task is suspended, outermost first."""
    frames = []
    step: Any = task.get_coro()
    while step is not None:
        frame = getattr(step, "cr_frame", None) or getattr(step, "gi_frame", None) or getattr(step, "ag_frame", None)
        if frame is None:
            break
        frames.append(frame)
        step = getattr(step, "cr_await", None) or getattr(step, "gi_yieldfrom", None) or getattr(step, "ag_await", None)
    return frames
