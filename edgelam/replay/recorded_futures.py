# SPDX-License-Identifier: GPL-2.0-only
"""Futures and tasks that tell the recorder of the program (recorder.py) who waits for them, and who sets them."""

from __future__ import annotations

import asyncio
import asyncio.futures
import asyncio.tasks
import sys
from typing import TYPE_CHECKING, Any

from edgelam.cosim.tasks import SimFuture, SimTask
from edgelam.cosim.waiting import INSIDE

if TYPE_CHECKING:
    from edgelam.replay.recorder import ProgramRecorder

RECORDERS: dict[asyncio.AbstractEventLoop | None, ProgramRecorder] = {}
"""The recorders of the loops that run and are recorded."""
set_by_timer = asyncio.futures._set_result_unless_cancelled  # type: ignore[attr-defined]  # what asyncio.sleep uses


def _recorder(future: Any) -> ProgramRecorder:
    recorder: ProgramRecorder = future.get_loop().observer
    return recorder


class _Asked(asyncio.Future[Any]):
    """Notes the answer when a program asks a future or task whether it is done; a replay compares it."""

    def done(self) -> bool:
        """Do as the future does, and note it."""
        value = super().done()
        self._note(value)
        return value

    def result(self) -> Any:
        """Do as the future does, and note it."""
        self._note(super().done())
        return super().result()

    def _note(self, value: bool) -> None:
        if not sys._getframe(2).f_code.co_filename.startswith(INSIDE):  # these know when to ask a future
            _recorder(self).add("done", _recorder(self).number_of(self), amount=int(value))


class RecordedFuture(_Asked, SimFuture):
    """A `SimFuture` of a loop that records. One that says `why` it is awaited is cosim's own, and is not recorded."""

    number = 0  # given when the program first refers to it
    sleep_ns: int | None = None  # of asyncio.sleep: how long
    is_job = False  # of an executor
    _awaited = False  # by the program
    _set_by_callback = False

    def __await__(self) -> Any:
        """Do as the future does, and note it."""
        if self.sleep_ns is not None:
            _recorder(self).add("sleep", amount=self.sleep_ns)
        elif self.is_job or self.why is None:
            recorder = _recorder(self)
            if recorder.add("await", recorder.number_of(self)):
                self._awaited = True
                self._look()
        return super().__await__()

    __iter__ = __await__

    def set_result(self, result: Any) -> None:
        """Do as the future does, and note it."""
        self._is_set()
        super().set_result(result)

    def set_exception(self, exception: Any) -> None:
        """Do as the future does, and note it."""
        if self.why is None:
            _recorder(self).depends_on_network("a future is given an exception")
        self._is_set()
        super().set_exception(exception)

    def _is_set(self) -> None:
        if self.why is not None or self.sleep_ns is not None:
            return
        if asyncio.current_task() is None:
            self._set_by_callback = True
            self._look()
        else:
            recorder = _recorder(self)
            recorder.add("set", recorder.number_of(self))

    def _look(self) -> None:
        if self._awaited and self._set_by_callback:
            _recorder(self).refuse("a future that a task awaits is set by a callback: that is not recorded")


class RecordedTask(_Asked, SimTask):
    """A `SimTask` of a loop that records. While `quiet` is above 0, what it does is not part of the program."""

    number = 0
    quiet = 1  # until the recorder takes it in
    token = 0  # number of what it puts into a queue or gets from one

    def __await__(self) -> Any:
        """Do as the task does, and note it."""
        recorder = _recorder(self)
        recorder.add("await", self.number)
        return super().__await__()

    __iter__ = __await__

    def cancel(self, msg: Any = None) -> bool:
        """Do as the task does, and note it."""
        if not super().done() and not self.get_loop().is_over:  # type: ignore[attr-defined]
            _recorder(self).depends_on_network(f"task {self.get_name()!r} is cancelled")
        return super().cancel(msg)


class RecordedGather(asyncio.tasks._GatheringFuture):  # type: ignore[name-defined]
    """The future that `asyncio.gather` returns in a loop that records."""

    number = 0

    def __init__(self, children: Any, *, loop: Any) -> None:
        """Do as asyncio does, and note it."""
        super().__init__(children, loop=loop)
        recorder = RECORDERS.get(loop)
        if recorder is not None:
            number = recorder.new_object()
            if recorder.add("gather", number, text=recorder.numbers_of(children)):
                self.number = number

    def __await__(self) -> Any:
        """Do as asyncio does, and note it."""
        recorder = RECORDERS.get(self.get_loop())
        if recorder is not None and self.number:
            recorder.add("await", self.number)
        return super().__await__()

    __iter__ = __await__
