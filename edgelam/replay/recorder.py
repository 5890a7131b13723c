# SPDX-License-Identifier: GPL-2.0-only
"""Records a run's program: the operations of every task, in order, so that they can be replayed.

An operation is a row: which task did what (`kind`), with which thing (`object`), where (`node`). No operation says
*when*: a task goes on when what it awaits has come. When they are played again (player.py) over another network, the
same operations take the time that this network takes.

These kinds exist: spawn, await, gather, wait, group, ungroup, set, sleep, yield, job, done (joins and futures);
event..., queue... (asyncio's); send, receive, compute, computed (nodes); timeout, untimeout; clock, energy (readings
that are written into tables); row (a table's row with such a reading, see programs.py); end (of a task).

If the operations of a program may differ over another network, it cannot be replayed: `refuse` notes why.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from edgelam import scenarios
from edgelam.cosim.observer import Observer
from edgelam.cosim.waiting import is_of_user
from edgelam.replay.recorded_asyncio import recorded
from edgelam.replay.recorded_futures import RecordedFuture, RecordedTask, set_by_timer
from edgelam.replay.traced import Traced

if TYPE_CHECKING:
    from edgelam.cosim.compute import ComputeBlock
    from edgelam.cosim.core import Core
    from edgelam.cosim.loop import SimLoop
    from edgelam.cosim.node import Node
    from edgelam.cosim.records import TransferRecord
    from edgelam.cosim.transfer_spec import TransferSpec
    from edgelam.cosim.transfers import Arrival, Outgoing

MAX_REASONS = 10
COLUMNS: dict[str, type] = {
    "simulation": int,  # number of the simulation in the run, from 0
    "task": int,  # the task that does it, from 1 (the main coroutine); 0: none
    "kind": str,
    "object": int,  # number of a task, future, transfer, block, reading, ...; each is unique in its simulation
    "node": str,
    "text": str,  # a name or JSON
    "amount": int,  # bytes, nanoseconds, FLOPs
    "extra": int,
    "time_ns": int,  # when it happened; not used to replay
}


class Operation(NamedTuple):
    """One row of a program, without its simulation."""

    task: int
    kind: str
    object: int
    node: str
    text: str
    amount: int
    extra: int
    time_ns: int


class Known:
    """The numbers of asyncio's objects (groups, time-outs, events, queues), and of the items in each queue."""

    def __init__(self) -> None:
        """Begin without any."""
        self.numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self.queued: WeakKeyDictionary[Any, deque[int]] = WeakKeyDictionary()


class _End(Observer):
    """Notes the end of a simulation whose tasks are not recorded."""

    def __init__(self, recorder: ProgramRecorder) -> None:
        """For `recorder`."""
        self.ended = recorder.ended  # type: ignore[method-assign]


class ProgramRecorder(Observer):
    """Records what the tasks of one simulation do. Give it to `cosim.simulate(..., program=recorder)`."""

    future_type = RecordedFuture
    task_type = RecordedTask

    def __init__(
        self,
        write: Callable[[list[Operation]], object],
        *,
        on_end: Callable[[ProgramRecorder], object] | None = None,
        rows_at_once: int = 4096,
        simulation: int = 0,
    ) -> None:
        """write: gets the operations, many at a time; on_end: is called when the simulation has ended well.

        simulation: its number within its run.
        """
        self.settings: dict[str, Any] = {}
        """The arguments of `simulate`, as JSON can hold them."""
        self.reasons: list[str] = []
        """Why it cannot be replayed; empty: it can be."""
        self.about: tuple[str, int, str] | None = None
        """While a record is reported: (transfer, its number, receiver) or (compute, the block's number, node)."""
        self.known = Known()
        self.simulation = simulation
        self._blocks: dict[ComputeBlock, int] = {}  # those in progress -> their numbers
        self._write, self._on_end, self._rows_at_once = write, on_end, rows_at_once
        self._operations: list[Operation] = []
        self._loop: SimLoop | None = None
        self._objects = 0
        self._last_clock: tuple[int, int] = (0, 0)  # (number of operations then, reading) of the last reading
        self._count = 0
        self._last_task = 0
        self._senders: dict[str, dict[tuple[str, str], None]] = {}  # receiver -> (source, tag) of what was sent to it
        self._from_anybody: dict[tuple[str, str | None], None] = {}

    # ---- from simulate -----------------------------------------------------------------------------------------

    def asked(self, **arguments: Any) -> None:
        """Keep the arguments, with the checksum of the scenario's file."""
        self.settings = arguments
        if arguments["scenario"] != "none":
            self.settings["scenario_sha256"] = scenarios.checksum_of(arguments["scenario"])

    def begin(self, core: Core) -> Observer:
        """The simulation begins. Of several participants nothing is recorded, and only its end is noted."""
        if self._loop is not None:
            raise RuntimeError("a ProgramRecorder records one simulation")
        self._loop = core.loop
        self.settings["nodes"] = {node.name: node.role for node in core.nodes.values()}
        if core.participants > 1:
            self.refuse(f"{core.participants} participants: only what a single process does can be recorded")
        if self.settings.get("compute") == "measured":
            self.refuse("compute is measured: the time of computing was this machine's wall time")
        return self if core.participants == 1 else _End(self)

    def running(self) -> AbstractContextManager[None]:
        """Watch the calls of asyncio."""
        assert self._loop is not None
        return recorded(self._loop, self)

    def ended(self) -> None:
        """The simulation has ended well."""
        for node, tag in self._from_anybody:
            fitting = {source for source, sent in self._senders.get(node, ()) if tag in (None, sent)}
            if len(fitting) > 1:
                self.refuse(
                    f"{node} receives {'anything' if tag is None else repr(tag)} from anybody, and {len(fitting)} nodes"
                    f" send it: the network decides whose message comes first"
                )
        self.flush()
        if self._on_end is not None:
            self._on_end(self)

    def flush(self) -> None:
        """Write what has not been written."""
        if self._operations:
            self._write(self._operations)
            self._operations = []

    # ---- operations --------------------------------------------------------------------------------------------

    @property
    def operations(self) -> int:
        """Number of operations so far."""
        return self._count

    def add(
        self, kind: str, object: int = 0, *, node: str = "", text: str = "", amount: int = 0, extra: int = 0
    ) -> bool:
        """Note what the current task does; return False if the task is not recorded."""
        task: Any = asyncio.current_task(self._loop)
        if task is None or task.quiet:
            return False
        now_ns = self._loop.now_ns  # type: ignore[union-attr]
        self._note(Operation(task.number, kind, object, node, text, amount, extra, now_ns))
        return True

    def _note(self, operation: Operation) -> None:
        self._operations.append(operation)
        self._count += 1
        if len(self._operations) >= self._rows_at_once:
            self.flush()

    @property
    def now_ns(self) -> int:
        """Simulated time in nanoseconds."""
        assert self._loop is not None
        return self._loop.now_ns

    def new_object(self) -> int:
        """Return a number for something to which operations refer."""
        self._objects += 1
        return self._objects

    def refuse(self, reason: str) -> None:
        """Note that the program depends on time: it cannot be replayed."""
        if reason not in self.reasons and len(self.reasons) < MAX_REASONS:
            self.reasons.append(reason)

    def depends_on_network(self, what: str) -> None:
        """Refuse, unless the current task only observes."""
        task: Any = asyncio.current_task(self._loop)
        if task is not None and not task.quiet:
            self.refuse(f"{what} (task {task.get_name()!r}, {self._when()}{_place()})")

    def compared(self) -> None:
        """Refuse: two times were compared."""
        self.depends_on_network(
            "simulated times are compared: what they decide may change; numpy.minimum and "
            "numpy.maximum of two times decide nothing"
        )

    def _when(self) -> str:
        return f"simulated time {self.now_ns / 1e9:.9f} s"

    # ---- tasks and futures -------------------------------------------------------------------------------------

    present_group = 0  # the number of the TaskGroup that makes a task just now

    @contextmanager
    def looking_on(self) -> Iterator[None]:
        """What the current task does inside is not part of the program."""
        task: Any = asyncio.current_task(self._loop)
        if task is None:
            yield
            return
        task.quiet += 1
        try:
            yield
        finally:
            task.quiet -= 1

    def task_started(self, task: Any) -> None:
        """Note the task, unless the task that made it only observes."""
        task.add_done_callback(self._finished)
        parent: Any = asyncio.current_task(self._loop)
        if parent is None and self._objects == 0:  # the main coroutine
            task.number, task.quiet = self.new_object(), 0
        elif parent is None:
            self.refuse(f"task {task.get_name()!r} was started by a callback, not by a task ({self._when()})")
        elif not parent.quiet:
            task.number, task.quiet = self.new_object(), 0
            name, now_ns = task.get_name(), self.now_ns
            self._note(Operation(parent.number, "spawn", task.number, "", name, self.present_group, 0, now_ns))

    def _finished(self, task: Any) -> None:
        if task.quiet or self._loop is None or self._loop.is_over:
            return
        if task.cancelled():
            self.refuse(f"task {task.get_name()!r} was cancelled ({self._when()})")
        elif task._exception is not None:
            error = task._exception
            self.refuse(f"task {task.get_name()!r} failed: {type(error).__name__} ({self._when()})")
        else:
            self._note(Operation(task.number, "end", 0, "", "", 0, 0, self.now_ns))

    def number_of(self, future: Any) -> int:
        """Return the number of a future, task or gather."""
        number: int | None = getattr(future, "number", None)
        if number is None:
            self.depends_on_network(f"a {type(future).__name__} that was not made by the recorded loop is awaited")
            return 0
        if number == 0:
            number = future.number = self.new_object()
        return number

    def numbers_of(self, futures: Any) -> str:
        """Return the numbers of several, as text."""
        return " ".join(str(self.number_of(future)) for future in futures)

    # ---- nodes -------------------------------------------------------------------------------------------------

    def transfer_started(self, outgoing: Outgoing, asked: TransferSpec) -> None:
        """Note the transfer, with the requested protocol."""
        receivers, source = list(outgoing.receivers.values()), outgoing.source.name
        text = json.dumps({"to": receivers} | asked.noted())
        if self.add("send", outgoing.id, node=source, text=text, amount=outgoing.size_bytes):
            for receiver in receivers:
                self._senders.setdefault(receiver, {})[source, asked.tag] = None
            if asked.deadline_s is not None:
                self.depends_on_network(f"transfer {asked.tag!r} from {source} has a deadline")

    def transfer_ended(self, outgoing: Outgoing, record: TransferRecord) -> None:
        """Rows that come now are about it."""
        self.about = ("transfer", record.id, record.receiver)
        if record.status != "complete":
            self.refuse(f"{outgoing.describe()}: {record.status}; another network may lose something else")

    def told(self) -> None:
        """Note that rows that come now are about no transfer or computation."""
        self.about = None

    def message_received(self, node: Node, source: Node | None, tag: str | None, arrival: Arrival) -> None:
        """Noted."""
        text = json.dumps({"source": source.name if source else None, "tag": tag})
        if self.add("receive", arrival.transfer, node=node.name, text=text) and source is None:
            self._from_anybody[node.name, tag] = None

    def compute_asked(self, block: ComputeBlock) -> None:
        """Noted."""
        self._blocks[block] = number = self.new_object()
        self.add("compute", number, node=block.node.name, text=block.label)

    def compute_done(self, block: ComputeBlock, error: BaseException | None) -> None:
        """Noted."""
        number = self._blocks[block]
        if error is not None:
            del self._blocks[block]
            self.depends_on_network(f"compute block {block.label!r} of {block.node.name} failed")
        self.add("computed", number, amount=block.work.flops, extra=block.work.bytes)

    def compute_ended(self, block: ComputeBlock) -> None:
        """Rows that come now are about it."""
        self.about = ("compute", self._blocks.pop(block), block.node.name)

    # ---- readings ----------------------------------------------------------------------------------------------

    def timer_set(self, callback: Any, args: tuple[Any, ...], delay_ns: int) -> None:
        """Refuse callbacks other than those of `asyncio.sleep`, whose waits are noted when they are awaited."""
        if callback is set_by_timer and isinstance(args[0], RecordedFuture):
            args[0].sleep_ns = delay_ns
        elif not isinstance(getattr(callback, "__self__", None), asyncio.Timeout):
            self.depends_on_network("a callback is called later: that is not recorded")

    def job_submitted(self, future: Any) -> None:
        """Noted."""
        future.is_job = True
        self.add("job", self.number_of(future))

    def read_clock(self, now_s: float) -> float:
        """Traced, where a recorded task reads it."""
        number, reading = self._last_clock
        task: Any = asyncio.current_task(self._loop)
        if task is None or task.quiet:
            return now_s
        if number != self._count or self._last_task != task.number:
            reading = self.new_object()
            self._note(Operation(task.number, "clock", reading, "", "", 0, 0, self.now_ns))
            self._last_clock, self._last_task = (self._count, reading), task.number
        return Traced(now_s, self, ["clock", reading])

    def read_energy(self, node: str, joules: float) -> float:
        """Traced, where a recorded task reads it."""
        reading = self.new_object()
        return Traced(joules, self, ["energy", reading]) if self.add("energy", reading, node=node) else joules

    def read_times(self, arrival: Arrival, queued_s: float, last_byte_s: float) -> tuple[float, float]:
        """Traced, where a recorded task receives the message."""
        task: Any = asyncio.current_task(self._loop)
        if task is None or task.quiet:
            return queued_s, last_byte_s
        number, receiver = arrival.transfer, arrival.receiver.name
        return Traced(queued_s, self, ["queued", number]), Traced(last_byte_s, self, ["arrived", number, receiver])


def _place() -> str:
    """Return the user's line: the innermost frame outside asyncio, contextlib and this package."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if is_of_user(name):
            return f", {name.rpartition('/')[2]}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
