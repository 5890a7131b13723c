# SPDX-License-Identifier: GPL-2.0-only
"""The observer of a simulation: the loop has one, and cosim tells it about the few events that matter.

An `Observer` does nothing. The observers of edgelam.replay (one records what the tasks do, one does it again) are
subclasses of it, given to `cosim.simulate` as ``program=``. It may read everything, and changes no simulated time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from edgelam.cosim.tasks import SimFuture, SimTask

if TYPE_CHECKING:
    from edgelam.cosim.compute import ComputeBlock
    from edgelam.cosim.core import Core
    from edgelam.cosim.node import Node
    from edgelam.cosim.records import TransferRecord
    from edgelam.cosim.transfer_spec import TransferSpec
    from edgelam.cosim.transfers import Arrival, Outgoing


class Observer:
    """An observer that does nothing; a subclass overrides the methods that it needs."""

    future_type: type[SimFuture] = SimFuture
    """The class of the loop's futures."""
    task_type: type[SimTask] = SimTask
    """The class of the loop's tasks."""

    # ---- the simulation ----------------------------------------------------------------------------------------

    def asked(self, **arguments: Any) -> None:
        """`simulate` has been called with these arguments, as JSON can hold them; the scenario can be started."""

    def begin(self, core: Core) -> Observer:
        """The simulation is ready; its main coroutine comes next. Returns who is told of it: this, as a rule."""
        return self

    def running(self) -> AbstractContextManager[None]:
        """Entered while the loop runs."""
        return nullcontext()

    def ended(self) -> None:
        """The main coroutine has returned, and no task has failed."""

    # ---- tasks and futures -------------------------------------------------------------------------------------

    def looking_on(self) -> AbstractContextManager[None]:
        """See the function `looking_on`."""
        return nullcontext()

    def depends_on_network(self, what: str) -> None:
        """The current task does something whose outcome another network may change; what: a description in words."""

    def task_started(self, task: SimTask) -> None:
        """A task has been made."""

    def timer_set(self, callback: Any, args: tuple[Any, ...], delay_ns: int) -> None:
        """A callback is to be called after `delay_ns`."""

    def job_submitted(self, future: SimFuture) -> None:
        """A job has gone to a thread; the clock stands still until it is done and `future` has its result."""

    # ---- nodes -------------------------------------------------------------------------------------------------

    def transfer_started(self, outgoing: Outgoing, asked: TransferSpec) -> None:
        """A transfer has been asked for; asked: the request itself, while `outgoing` holds what the run makes of it."""

    def transfer_ended(self, outgoing: Outgoing, record: TransferRecord) -> None:
        """A transfer has ended at one receiver; `on_transfer` comes next, then `told`."""

    def message_received(self, node: Node, source: Node | None, tag: str | None, arrival: Arrival) -> None:
        """`node` has taken a message that it waited for, from `source` (None: anybody) with `tag` (None: any)."""

    def compute_asked(self, block: ComputeBlock) -> None:
        """A compute block asks for its node."""

    def compute_done(self, block: ComputeBlock, error: BaseException | None) -> None:
        """The code of a block has run (or failed with `error`): its work is known, its time is still to pass."""

    def compute_ended(self, block: ComputeBlock) -> None:
        """The time of a block has passed; `on_compute` comes next, then `told`."""

    def told(self) -> None:
        """The user's function for the transfer or computation that has just ended has returned."""

    # ---- readings: what the program is given instead of the number -----------------------------------------------

    def read_clock(self, now_s: float) -> float:
        """The program reads the simulated time."""
        return now_s

    def read_energy(self, node: str, joules: float) -> float:
        """The program reads a node's energy."""
        return joules

    def read_times(self, arrival: Arrival, queued_s: float, last_byte_s: float) -> tuple[float, float]:
        """The program is given the times of a message."""
        return queued_s, last_byte_s


NOBODY = Observer()


@contextmanager
def looking_on() -> Iterator[None]:
    """What the current task does inside, and the tasks that it makes there, are not part of the recorded program.

    Use it for code that only observes (that follows positions, or writes traces), and on which nothing in the run
    depends. Put it around the single steps, not around the run's own code.
    """
    observer: Observer = getattr(asyncio._get_running_loop(), "observer", NOBODY)
    with observer.looking_on():
        yield
