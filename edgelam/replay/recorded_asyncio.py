# SPDX-License-Identifier: GPL-2.0-only
"""asyncio's task groups, waits, time-outs, events and queues, as the recorder of the program (recorder.py) sees them.

Their state (who waits, whether an event is set, what is queued) decides whether a task waits at all, so it is not
enough to see futures: while a recorded loop runs, the methods below note the calls. A replay calls asyncio's own
objects in the same way. If somebody else may come first over another network (locks, as_completed, the first of
several), the program is refused.

The classes' own methods are wrapped, so ``from asyncio import Event`` makes no difference. For loops that do not
record, the wrappers pass everything on.
"""

from __future__ import annotations

import asyncio
import asyncio.locks
import asyncio.queues
import asyncio.taskgroups
import asyncio.tasks
import asyncio.timeouts
import functools
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgelam.cosim.units import to_ns
from edgelam.cosim.waiting import describe_wait
from edgelam.replay.recorded_futures import RECORDERS, RecordedGather

if TYPE_CHECKING:
    from edgelam.replay.recorder import ProgramRecorder


# ---- task groups and waits -----------------------------------------------------------------------------------------


async def _enter_group(original: Any, recorder: ProgramRecorder, group: Any) -> Any:
    number = recorder.new_object()
    if recorder.add("group", number):
        recorder.known.numbers[group] = number
    return await original(group)


async def _exit_group(original: Any, recorder: ProgramRecorder, group: Any, *error: Any) -> Any:
    number = recorder.known.numbers.get(group)
    if number is not None:
        recorder.add("ungroup", number)
    with recorder.looking_on():
        return await original(group, *error)


def _create_in_group(original: Any, recorder: ProgramRecorder, group: Any, *args: Any, **kwargs: Any) -> Any:
    recorder.present_group = recorder.known.numbers.get(group, 0)
    try:
        return original(group, *args, **kwargs)
    finally:
        recorder.present_group = 0


async def _wait(original: Any, recorder: ProgramRecorder, fs: Any, *how: Any) -> Any:
    timeout, return_when, loop = how
    if timeout is not None:
        recorder.depends_on_network("asyncio.wait with a timeout: the network decides who is done by then")
    if return_when == asyncio.FIRST_COMPLETED and len(fs) > 1:
        recorder.depends_on_network("asyncio.wait for the first of several: the network decides which is first")
    recorder.add("wait", text=recorder.numbers_of(fs))
    with recorder.looking_on():
        return await original(fs, timeout, return_when, loop)


def _sleep0(original: Any, recorder: ProgramRecorder) -> Any:
    recorder.add("yield")
    return original()


# ---- time-outs -----------------------------------------------------------------------------------------------------


async def _enter_timeout(original: Any, recorder: ProgramRecorder, timeout: asyncio.Timeout) -> Any:
    entered = await original(timeout)
    if (when := timeout.when()) is not None:
        recorder.known.numbers[timeout] = number = recorder.new_object()
        recorder.add("timeout", number, amount=to_ns(when) - recorder.now_ns)
    return entered


async def _leave_timeout(original: Any, recorder: ProgramRecorder, timeout: asyncio.Timeout, *error: Any) -> Any:
    if (number := recorder.known.numbers.get(timeout)) is not None:
        recorder.add("untimeout", number)
    return await original(timeout, *error)


def _put_off(original: Any, recorder: ProgramRecorder, timeout: asyncio.Timeout, when: float | None) -> None:
    if timeout in recorder.known.numbers:  # not while it is entered
        recorder.depends_on_network("a time-out is moved: the new time may depend on time")
    original(timeout, when)


def _timed_out(original: Any, recorder: ProgramRecorder, timeout: Any) -> None:
    if not timeout._task.quiet:  # noqa: SLF001
        recorder.refuse(f"a time-out was over: {describe_wait(timeout._task)}")  # noqa: SLF001
    original(timeout)


# ---- events --------------------------------------------------------------------------------------------------------


def _event(recorder: ProgramRecorder, event: Any) -> int:
    known = recorder.known.numbers
    if event not in known:
        known[event] = recorder.new_object()
        recorder.add("event", known[event], amount=int(event._value))  # noqa: SLF001
    return known[event]


async def _event_wait(original: Any, recorder: ProgramRecorder, event: Any) -> Any:
    recorder.add("event-wait", _event(recorder, event))
    with recorder.looking_on():
        return await original(event)


def _event_call(kind: str) -> Callable[..., Any]:
    def call(original: Any, recorder: ProgramRecorder, event: Any) -> Any:
        if asyncio.current_task() is None:
            recorder.refuse("an asyncio.Event is used by a callback: that is not recorded")
        number = _event(recorder, event)
        with recorder.looking_on():
            value = original(event)
        recorder.add(kind, number, amount=int(value or 0))
        return value

    return call


# ---- queues --------------------------------------------------------------------------------------------------------


def _queue(recorder: ProgramRecorder, queue: Any) -> int:
    known = recorder.known
    if queue not in known.numbers:
        known.numbers[queue] = recorder.new_object()
        known.queued[queue] = deque(-1 - i for i in range(len(queue._queue)))  # noqa: SLF001
        recorder.add("queue", known.numbers[queue], amount=queue._maxsize, extra=len(queue._queue))  # noqa: SLF001
        if type(queue) is not asyncio.Queue:
            recorder.depends_on_network(f"asyncio.{type(queue).__name__}: its order depends on who puts first")
    return known.numbers[queue]


async def _queue_put(original: Any, recorder: ProgramRecorder, queue: Any, item: Any) -> Any:
    number, token = _queue(recorder, queue), recorder.new_object()
    recorder.add("queue-put", number, amount=token)
    task: Any = asyncio.current_task()
    task.token = token  # for put_nowait, which is called when there is room
    with recorder.looking_on():
        return await original(queue, item)


async def _queue_get(original: Any, recorder: ProgramRecorder, queue: Any) -> Any:
    number = _queue(recorder, queue)
    with recorder.looking_on():
        item = await original(queue)
    task: Any = asyncio.current_task()
    recorder.add("queue-get", number, amount=task.token)
    return item


def _queue_put_nowait(original: Any, recorder: ProgramRecorder, queue: Any, item: Any) -> None:
    task: Any = asyncio.current_task()
    number = _queue(recorder, queue)
    if task is None:
        recorder.refuse("an asyncio.Queue is used by a callback: that is not recorded")
        original(queue, item)
        recorder.known.queued[queue].append(0)
        return
    inside = task.quiet > 0  # in put
    token = task.token if inside else recorder.new_object()
    try:
        with recorder.looking_on():
            original(queue, item)
    except asyncio.QueueFull:
        recorder.depends_on_network("asyncio.Queue.put_nowait found the queue full")
        raise
    recorder.known.queued[queue].append(token)
    recorder.add("queue-put-nowait", number, amount=token)


def _queue_get_nowait(original: Any, recorder: ProgramRecorder, queue: Any) -> Any:
    number = _queue(recorder, queue)
    try:
        with recorder.looking_on():
            item = original(queue)
    except asyncio.QueueEmpty:
        recorder.depends_on_network("asyncio.Queue.get_nowait found the queue empty")
        raise
    queued = recorder.known.queued[queue]
    token = queued.popleft() if queued else 0
    task: Any = asyncio.current_task()
    if task is None:
        recorder.refuse("an asyncio.Queue is used by a callback: that is not recorded")
    else:
        task.token = token  # for get
    recorder.add("queue-get-nowait", number, amount=token)
    return item


# ---- what depends on time ------------------------------------------------------------------------------------------


def _refusing(name: str, why: str) -> Callable[..., Any]:
    def call(original: Any, recorder: ProgramRecorder, *args: Any, **kwargs: Any) -> Any:
        recorder.depends_on_network(f"asyncio.{name}: {why}")
        return original(*args, **kwargs)

    return call


_WHO_IS_FIRST = "who gets it first depends on the network"
_HOW_FULL = "how full the queue is depends on the network"
_WRAPPERS: list[tuple[Any, str, Callable[..., Any]]] = [
    (asyncio.taskgroups.TaskGroup, "__aenter__", _enter_group),
    (asyncio.taskgroups.TaskGroup, "__aexit__", _exit_group),
    (asyncio.taskgroups.TaskGroup, "create_task", _create_in_group),
    (asyncio.tasks, "_wait", _wait),
    (asyncio.tasks, "__sleep0", _sleep0),
    (asyncio.timeouts.Timeout, "__aenter__", _enter_timeout),
    (asyncio.timeouts.Timeout, "__aexit__", _leave_timeout),
    (asyncio.timeouts.Timeout, "reschedule", _put_off),
    (asyncio.timeouts.Timeout, "_on_timeout", _timed_out),
    (asyncio.locks.Event, "wait", _event_wait),
    (asyncio.locks.Event, "set", _event_call("event-set")),
    (asyncio.locks.Event, "clear", _event_call("event-clear")),
    (asyncio.locks.Event, "is_set", _event_call("event-is-set")),
    (asyncio.queues.Queue, "get", _queue_get),
    (asyncio.queues.Queue, "put", _queue_put),
    (asyncio.queues.Queue, "get_nowait", _queue_get_nowait),
    (asyncio.queues.Queue, "put_nowait", _queue_put_nowait),
    *((asyncio.queues.Queue, name, _refusing(f"Queue.{name}", _HOW_FULL)) for name in ("empty", "full", "qsize")),
    (asyncio.queues.Queue, "join", _refusing("Queue.join", "when all is done is not recorded")),
    (asyncio.locks.Lock, "acquire", _refusing("Lock", _WHO_IS_FIRST)),
    (asyncio.locks.Semaphore, "acquire", _refusing("Semaphore", _WHO_IS_FIRST)),
    (asyncio.locks.Condition, "wait", _refusing("Condition", _WHO_IS_FIRST)),
    (asyncio.locks.Barrier, "wait", _refusing("Barrier", _WHO_IS_FIRST)),
]
_originals: list[Any] = []  # the methods that the wrappers replace


@contextmanager
def recorded(loop: asyncio.AbstractEventLoop, recorder: ProgramRecorder) -> Iterator[None]:
    """Keep the wrappers in place while `loop` runs."""
    if not _originals:
        for owner, name, wrapper in _WRAPPERS:
            original = getattr(owner, name)
            _originals.append((owner, name, original))
            setattr(owner, name, _passing_on(original, wrapper))
        _originals.append((asyncio.tasks, "_GatheringFuture", asyncio.tasks._GatheringFuture))  # type: ignore[attr-defined]
        asyncio.tasks._GatheringFuture = RecordedGather  # type: ignore[attr-defined]
    RECORDERS[loop] = recorder
    try:
        yield
    finally:
        del RECORDERS[loop]
        if not RECORDERS:
            while _originals:
                setattr(*_originals.pop())


def _passing_on(original: Any, wrapper: Callable[..., Any]) -> Any:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        recorder = RECORDERS.get(asyncio._get_running_loop())
        if recorder is None:
            return original(*args, **kwargs)
        task: Any = asyncio.current_task()
        if task is not None and task.quiet:
            inside_queue = wrapper in (_queue_put_nowait, _queue_get_nowait) and args[0] in recorder.known.queued
            if not inside_queue:
                return original(*args, **kwargs)
        return wrapper(original, recorder, *args, **kwargs)

    return call
