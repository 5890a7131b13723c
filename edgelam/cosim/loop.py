# SPDX-License-Identifier: GPL-2.0-only
"""An asyncio event loop in simulated time.

Time is an integer number of nanoseconds and belongs to a `Clock` (clock.py). The loop runs everything that is ready.
Only when nothing is left, it asks the clock to go on to the next timer or to the next event of the network, whichever
comes first. `asyncio.sleep`, `timeout`, `gather`, `TaskGroup`, `Queue`, `Event` and so on therefore all mean
simulated time.

Order never depends on memory addresses or on how fast the machine is:

- what is ready runs first in, first out; timers due at the same nanosecond run in the order they were set;
- events of the network come before timers due at the same nanosecond;
- tasks and futures hash by a sequence number, so that the sets asyncio keeps of them have one order;
- an executor's results come back in the order in which its jobs were submitted, and the clock stands still until then.

What cannot be given a meaning in simulated time (sockets, subprocesses, signals) is refused.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from edgelam.cosim.jobs import Jobs
from edgelam.cosim.observer import NOBODY, Observer
from edgelam.cosim.ordering import fixed_order
from edgelam.cosim.refused import RefusingLoop
from edgelam.cosim.tasks import SimFuture, SimTask, TaskBook
from edgelam.cosim.units import NEVER_NS, NS_PER_S, to_ns
from edgelam.cosim.waiting import describe_tasks
from edgelam.errors import AwaitInComputeError, NotSimulatedError, RunCancelled, StalledError

if TYPE_CHECKING:
    from edgelam.cosim.clock import Clock, Event

T = TypeVar("T")

# Rounds of the loop without the clock being asked to move, after which the program is taken to spin for ever (for
# example `while True: await asyncio.sleep(0)`): no sensible program goes round this often in zero time.
STALLED_AFTER = 2_000_000


class SimLoop(RefusingLoop):
    """The loop; `run` drives one main coroutine to its end."""

    def __init__(self, clock: Clock, on_event: Callable[[Event], None] | None = None) -> None:
        """Run on `clock`; `on_event` gets each event of the network, in order."""
        self._clock = clock
        self.on_event = on_event
        self.now_ns = clock.now_ns
        self.compute_block: str | None = None  # the compute block that is open (compute.py): no await inside
        self._sequence = 0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._num_cancelled = 0
        self._rounds = 0
        self._running = False
        self._stopping = False
        self._closed = False
        self._frozen = False  # the run has ended: tasks clean up, and the clock does not move any more
        self._thread = 0
        self._fatal: BaseException | None = None
        self.tasks = TaskBook()
        self.observer: Observer = NOBODY
        self._jobs = Jobs()
        self._asyncgens: WeakValueDictionary[int, Any] = WeakValueDictionary()
        self._exception_handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None

    # ---- running ---------------------------------------------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` to its end and return its result; whatever goes wrong anywhere in the run is raised."""
        task = self.create_task(main, name="main")
        try:
            result: T = self.run_until_complete(task)
        except asyncio.CancelledError as error:
            raise RunCancelled(
                f"the main coroutine was cancelled at simulated time {self.now_ns / NS_PER_S:.9f} s"
            ) from error
        self.tasks.raise_failed()
        return result

    def run_until_complete(self, future: Any) -> Any:
        """Run until `future` (a future or a coroutine) is done and return its result."""
        future = asyncio.ensure_future(future, loop=self)
        future.add_done_callback(self._stop_with)
        try:
            self.run_forever()
        finally:
            future.remove_done_callback(self._stop_with)
        if not future.done():
            raise RuntimeError("the event loop was stopped before the future was done")
        return future.result()

    def run_forever(self) -> None:
        """Run until `stop` is called."""
        if self._running or self._closed:
            raise RuntimeError("this event loop is " + ("already running" if self._running else "closed"))
        outer_loop = asyncio._get_running_loop()  # a notebook's loop, for example: it stands still in the meantime
        outer_hooks = sys.get_asyncgen_hooks()
        self._running = True
        self._thread = threading.get_ident()
        sys.set_asyncgen_hooks(firstiter=self._asyncgen_started, finalizer=self._asyncgen_dropped)
        asyncio._set_running_loop(self)
        try:
            with fixed_order(self), self.observer.running():
                self._stopping = False
                while not self._stopping:
                    self._run_round()
        finally:
            self._running = False
            asyncio._set_running_loop(outer_loop)
            sys.set_asyncgen_hooks(*outer_hooks)

    def stop(self) -> None:
        """Make `run_forever` return after what is being run now."""
        self._stopping = True

    def close(self) -> None:
        """Cancel every task that is left and let it clean up, with the clock standing still; then close.

        A task whose clean-up waits for simulated time or for the network is dropped there.
        """
        if self._closed:
            return
        if self._running:
            raise RuntimeError("a running event loop cannot be closed")
        self._frozen = True
        self.compute_block = None
        self._fatal = None
        for task in self.tasks.waiting:
            task.cancel("the run is over")
        self._drain()
        for generator in [*self._asyncgens.values()]:
            self.create_task(generator.aclose())
        self._drain()
        self.tasks.close()
        self._ready.clear()
        self._timers.clear()
        self._closed = True
        self._jobs.shutdown(wait=False)

    def _drain(self) -> None:
        """Run what is ready until nothing is; errors in the clean-up are ignored."""
        for _ in range(10_000):
            if not self._ready:
                return
            try:
                self.call_soon(self.stop)
                self.run_forever()
            except Exception:
                continue

    def _run_round(self) -> None:
        ready = self._ready
        if not ready:
            self._advance()
        self._rounds += 1
        if self._rounds > STALLED_AFTER:
            self._stalled()
        handle = None
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            try:
                handle._context.run(handle._callback, *handle._args)  # type: ignore[attr-defined]  # noqa: SLF001
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self.call_exception_handler({"message": "exception in a callback", "exception": error})
            if self.compute_block is not None:
                self._await_in_compute()
        del handle  # a traceback may keep this frame: it must not keep the task that failed
        if self._fatal is not None:
            raise self._fatal

    def _advance(self) -> None:
        """Nothing is ready: let jobs finish, then let simulated time move to the next timer or event."""
        if self._frozen:
            self._stopping = True
            return
        if self.tasks.failed:
            self.tasks.raise_dropped()
        if self._jobs:
            self._rounds = 0
            self._jobs.finish_oldest()
            return
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
            self._num_cancelled -= 1
        deadline = timers[0][0] if timers else NEVER_NS
        if deadline > self.now_ns:
            self._rounds = 0
            clock = self._clock
            events = clock.wait(deadline)
            if clock.now_ns < self.now_ns:
                raise AssertionError(f"the clock went back from {self.now_ns} ns to {clock.now_ns} ns")
            self.now_ns = clock.now_ns
            if events:
                on_event = self.on_event
                assert on_event is not None
                for event in events:
                    on_event(event)
        now = self.now_ns
        while timers and timers[0][0] <= now:
            handle = heapq.heappop(timers)[2]
            if handle._cancelled:
                self._num_cancelled -= 1
            else:
                handle._scheduled = False  # type: ignore[attr-defined]
                self._ready.append(handle)

    def _stop_with(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled() and isinstance(future.exception(), (SystemExit, KeyboardInterrupt)):
            return  # run_forever is left by the exception itself
        self.stop()

    # ---- time and callbacks ----------------------------------------------------------------------------------

    def time(self) -> float:
        """Simulated time in seconds."""
        return self.now_ns / NS_PER_S

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Run `callback` after everything that is ready already, at the same simulated time."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run `callback` after `delay` seconds, to the nearest nanosecond."""
        delay_ns = to_ns(delay)
        self.observer.timer_set(callback, args, delay_ns)
        return self._call_at_ns(min(self.now_ns + delay_ns, NEVER_NS), callback, args, context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run `callback` at simulated time `when` in seconds, to the nearest nanosecond."""
        when_ns = to_ns(when)
        self.observer.timer_set(callback, args, when_ns - self.now_ns)
        return self._call_at_ns(when_ns, callback, args, context)

    def _call_at_ns(
        self,
        when_ns: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when_ns / NS_PER_S, callback, args, self, context)
        if when_ns < NEVER_NS:
            heapq.heappush(self._timers, (when_ns, self.next_sequence(), timer))
            timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if handle._scheduled:  # type: ignore[attr-defined]
            self._num_cancelled += 1
            if self._num_cancelled > 100 and self._num_cancelled > len(self._timers) // 2:
                self._timers = [t for t in self._timers if t[2] is not handle and not t[2]._cancelled]
                heapq.heapify(self._timers)
                self._num_cancelled = 0

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Do as `call_soon`, but only in the loop's own thread: the end of another thread's work is not simulated."""
        if self._thread and threading.get_ident() != self._thread:
            error = NotSimulatedError(
                "a thread called into the simulated event loop: when it does depends on the machine, not on the "
                "simulation. Use loop.run_in_executor or asyncio.to_thread, which hold the clock"
            )
            self._fatal = self._fatal or error
            raise error
        return self.call_soon(callback, *args, context=context)

    def next_sequence(self) -> int:
        """Return the next number in the one order of everything that this loop does."""
        self._sequence += 1
        return self._sequence

    # ---- tasks and futures -----------------------------------------------------------------------------------

    def create_future(self) -> SimFuture:
        """Return a pending `SimFuture`."""
        return self.observer.future_type(loop=self)

    def create_task(
        self,
        coro: Any,
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **unused: Any,
    ) -> SimTask:
        """Start a coroutine. The loop keeps the task alive until it is done, even if nobody else does."""
        if self._closed:
            raise RuntimeError("the event loop is closed")
        task = self.observer.task_type(coro, loop=self, name=name, context=context)
        self.tasks.add(task)
        self.observer.task_started(task)
        return task

    def describe_waiting(self) -> str:
        """Describe who waits for what, with one line for each task (for deadlock reports)."""
        return describe_tasks(self.tasks.waiting, self.tasks.failed)

    def _stalled(self) -> None:
        raise StalledError(
            f"the program went round {STALLED_AFTER:,} times at simulated time {self.now_ns / NS_PER_S:.9f} s without "
            "waiting for anything: simulated time moves only while everybody waits (a loop around asyncio.sleep(0) "
            "never does)\n" + self.describe_waiting()
        )

    def _await_in_compute(self) -> None:
        block, self.compute_block = self.compute_block, None
        raise AwaitInComputeError(
            f"await inside the compute block {block}: only what is computed in the block counts as its work, and "
            "while it runs the node does nothing else. Move the await out of the block\n" + self.describe_waiting()
        )

    # ---- threads and generators ----------------------------------------------------------------------------------

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> SimFuture:  # type: ignore[override]
        """Run `func(*args)` in a thread. The clock stands still until it is done; results come in order."""
        future = self._jobs.submit(self, executor, func, args)
        self.observer.job_submitted(future)
        return future

    def set_default_executor(self, executor: Executor) -> None:
        """Use `executor` if none is given."""
        self._jobs.executor = executor

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the threads of the default executor to end."""
        self._jobs.shutdown(wait=True)

    async def shutdown_asyncgens(self) -> None:
        """Close all asynchronous generators that are open."""
        for generator in [*self._asyncgens.values()]:
            await generator.aclose()

    def _asyncgen_started(self, generator: Any) -> None:
        self._asyncgens[self.next_sequence()] = generator

    def _asyncgen_dropped(self, generator: Any) -> None:
        if not self._closed:
            self.create_task(generator.aclose())

    # ---- state and errors --------------------------------------------------------------------------------------

    def is_running(self) -> bool:
        """True inside `run_forever`."""
        return self._running

    @property
    def is_over(self) -> bool:
        """True when the run has ended and tasks only clean up."""
        return self._frozen

    def is_closed(self) -> bool:
        """True after `close`."""
        return self._closed

    def get_exception_handler(self) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None:
        """Return the handler that the user has set, if any."""
        return self._exception_handler

    def set_exception_handler(
        self, handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None
    ) -> None:
        """Give `handler(loop, context)` the errors of callbacks, which otherwise end the run."""
        self._exception_handler = handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """End the run with the error."""
        error = context.get("exception")
        if isinstance(error, BaseException) and self._fatal is None and not self._frozen:
            self._fatal = error

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Called by asyncio for errors that reach nobody: ends the run unless a handler is set."""
        if self._exception_handler is not None:
            self._exception_handler(self, context)
        else:
            self.default_exception_handler(context)
