# SPDX-License-Identifier: GPL-2.0-only
"""A rank's synchronous view of the simulation: plain Python that now and then lets simulated time pass.

The program of a rank is no coroutine. It holds the clock while it runs, and the event loop runs only inside `run`: when
the program waits for a communication, when what it has computed takes its simulated time, and at the end. A
communication is a task of the loop that goes on whenever the loop runs, so what a rank computes and what it sends
overlap as they do on a machine that has a network card.

PyTorch is told that a communication is over (by futures with their callbacks, which may begin further communication and
wait for it) when the program waits for it, or for the oldest one first, and never inside the loop: so all ranks begin
everything in the same order, whatever comes when.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from edgelam.cosim.bridge_clock import BridgeClock
from edgelam.cosim.core import Core
from edgelam.cosim.simulation import Simulation
from edgelam.errors import ConfigurationError, NotSimulatedError, RunEnded
from edgelam.parallel.job import FIRST, Job
from edgelam.parallel.reporting import Reports

if TYPE_CHECKING:
    from edgelam.parallel.group import Group
    from edgelam.parallel.metering import Meter
    from edgelam.parallel.works import NetworkWork

T = TypeVar("T")
_current: Session | None = None


def session() -> Session:
    """The session of this process, which attaches to the run at the first call.

    Raises ConfigurationError where the process is no rank, AttachError where there is no run.
    """
    global _current  # noqa: PLW0603  # a process is one rank
    if _current is None:
        _current = Session(Job.of_environment())
    if _current.pid != os.getpid():
        raise ConfigurationError(
            f"process {os.getpid()} was started by rank {_current.rank} and is no rank itself: it cannot communicate"
        )
    return _current


def current() -> Session | None:
    """The session of this process; None if it has not attached, or in a process that a rank has forked."""
    return _current if _current is not None and _current.pid == os.getpid() else None


class Session:
    """One rank attached to the run."""

    def __init__(self, job: Job) -> None:
        """Attach to the run that the environment names, and take over this rank's node."""
        address, participant = os.environ.get("EDGELAM_ADDRESS"), os.environ.get("EDGELAM_PARTICIPANT", "")
        if not address or not participant.isdecimal() or not FIRST <= int(participant) < job.participants:
            raise ConfigurationError(
                f"a rank needs EDGELAM_ADDRESS and EDGELAM_PARTICIPANT (from {FIRST} to {job.participants - 1}) in its "
                "environment; edgelam.parallel.environment has them"
            )
        self.job, self.pid = job, os.getpid()
        self.rank, self.size = int(participant) - FIRST, len(job.ranks)
        self.name = job.ranks[self.rank]
        """The node's name."""
        self.meter: Meter | None = None
        """Counts what the program computes; None: nothing is counted yet."""
        self.worlds = 0
        """How many times the program has made its default process group."""
        self.at_once = False
        """A communication is waited for when PyTorch asks for its future."""
        self.reports = Reports(self._post)
        self._clock = BridgeClock(address, int(participant), name=f"rank {self.rank} at {self.name}")
        core = Core(
            self._clock,
            devices=job.devices,
            compute=job.compute,
            on_transfer=self.reports.transfer,
            on_compute=self.reports.compute,
        )
        self._core = core
        self.sim = Simulation(core, seed=int(os.environ.get("EDGELAM_SEED", "1")))
        self.loop = core.loop
        self.node = self.sim.node(self.name)
        self.sim.claim(self.node)
        self._thread = threading.get_ident()
        self._under_way: dict[NetworkWork, None] = {}
        self._groups: list[Group] = []
        self._asked = 0
        self._over = False
        atexit.register(self._at_exit)

    # ---- letting time pass -----------------------------------------------------------------------------------------

    @property
    def may_run(self) -> bool:
        """Whether the loop can run now: it is the program's own thread, and not inside the loop."""
        return threading.get_ident() == self._thread and not self.loop.is_running() and not self._over

    def run(self, coroutine: Awaitable[T]) -> T:
        """Let simulated time pass until `coroutine` is done, and return its result."""
        if threading.get_ident() != self._thread:
            raise NotSimulatedError(
                f"rank {self.rank} communicates from thread {threading.current_thread().name!r}: when a thread does so "
                "depends on the machine, not on the simulation. Communicate from the thread that began the program"
            )
        if self._over:
            raise RunEnded(f"rank {self.rank} has left the run: it communicates no more")
        tracer = _set_tracer(None)  # PyTorch's compiler looks at the frames of the program, not at these
        try:
            if self.meter is None:
                return self._run(coroutine)
            with self.meter.paused():
                return self._run(coroutine)
        finally:
            _set_tracer(tracer)

    def _run(self, coroutine: Awaitable[T]) -> T:
        import torch

        # the program may be in inference mode or have a default device; what carries out its communication is not
        with torch.inference_mode(False), torch._C.DisableTorchFunction():
            result: T = self.loop.run_until_complete(coroutine)
        return result

    def begin(self, work: NetworkWork, operation: Coroutine[Any, Any, None]) -> None:
        """Begin a communication: `operation` goes on whenever the loop runs, and then `work.done` is set."""
        self.charge()
        self._under_way[work] = None

        async def whole() -> None:
            try:
                await operation
            except Exception as error:
                work.error = error
            if not work.done.done():
                work.done.set_result(None)

        self.loop.create_task(whole(), name=f"{work.what} of the program")

    def completed(self, work: NetworkWork) -> None:
        """PyTorch has been told that a communication is over."""
        self._under_way.pop(work, None)

    def drain(self, until: Callable[[], bool] | None = None) -> None:
        """Wait for the communication that is under way, and for what its callbacks begin, the oldest first.

        until: stop as soon as it holds.
        """
        self.charge()
        while self._under_way and not (until is not None and until()):
            work = next(iter(self._under_way))
            if not work.done.done():
                self.run(work.done)
            work.complete()

    def charge(self) -> None:
        """Let the time pass that the program's computing since the last call takes."""
        if self.meter is not None and self.may_run:
            self.meter.charge()

    def sleep(self, seconds: float) -> None:
        """Let so much simulated time pass."""
        import asyncio

        self.charge()
        self.run(asyncio.sleep(seconds))

    # ---- the launcher ------------------------------------------------------------------------------------------------

    def _post(self, kind: str, *content: Any) -> None:
        self._core.others.post(0, "rank", [kind, 0, *content])

    def ask(self, what: str, kind: str, *content: Any, timeout_s: float | None = None) -> Any:
        """Ask the launcher and wait for its answer; `what` is said where the run stalls.

        Raises TimeoutError after `timeout_s` of simulated time.
        """
        self.charge()
        self._asked += 1
        return self.run(self._ask(what, self._asked, kind, content, timeout_s))

    async def _ask(self, what: str, number: int, kind: str, content: tuple[Any, ...], timeout_s: float | None) -> Any:
        import asyncio

        await self.sim.post(0, "rank", [kind, number, what, *content])
        try:
            async with asyncio.timeout(timeout_s):
                return await self.sim.collect(0, f"{what} ({number})")
        except TimeoutError:
            await self.sim.post(0, "rank", ["forget", number, what])
            raise

    # ---- groups, and the end -----------------------------------------------------------------------------------------

    def add_group(self, group: Group) -> None:
        """A group of this rank's, whose sends are waited for at the end."""
        self._groups.append(group)

    def end(self, status: int = 0) -> None:
        """Leave the run in good order: what is under way comes to its end."""
        if self._over:
            return
        if self.meter is not None:
            self.meter.stop()
        self.drain()
        for group in self._groups:
            self.run(group.drain())
        self.reports.flush()
        self._post("done", status)
        self._over = True
        self.loop.close()
        self._clock.detach()
        self._clock.close()

    def _at_exit(self) -> None:
        """A program that was started by hand ends: leave in good order, unless it has failed."""
        if self._over or os.getpid() != self.pid:
            return
        if hasattr(sys, "last_value"):  # what nobody caught
            self.let_go()
        else:
            self.end()

    def hand_over(self, kind: str, content: bytes) -> None:
        """Give the launcher something that it asks nothing about."""
        self._post(kind, content)

    def explain_interrupt(self, interrupt: KeyboardInterrupt) -> None:
        """Raise what came instead of Ctrl-C where the run is over."""
        self._clock.explain_interrupt(interrupt)

    def let_go(self) -> None:
        """Leave without a word: the others see that this rank has ended."""
        self._over = True
        self._clock.close()


def _set_tracer(tracer: Any) -> Any:
    """Set what looks at every frame before it runs, and return what did so before."""
    import torch

    return torch._C._dynamo.eval_frame.set_eval_frame(tracer)  # noqa: SLF001
