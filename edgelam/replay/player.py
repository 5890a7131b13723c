# SPDX-License-Identifier: GPL-2.0-only
"""Plays a recorded program (recorder.py) again: over another network, with other devices, and without PyTorch.

Each recorded task becomes a coroutine that does the recorded operations, with payloads of the recorded sizes. It uses
the same event loop and asyncio's own groups, events and queues, so what happens at one instant happens in the same
order as in a real run. Everything that may differ is compared with the recording: which message a receive gets, who
computes first on a node, what is done when the program asks. If it differs, the replay ends with `NotReplayable`.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.cosim.observer import Observer
from edgelam.cosim.records import ComputeRecord, TransferRecord
from edgelam.cosim.transfer_spec import TransferSpec
from edgelam.cosim.units import NEVER_NS
from edgelam.cosim.work import Work
from edgelam.errors import NotReplayable
from edgelam.replay.recorder import Operation

if TYPE_CHECKING:
    from edgelam.cosim.compute import ComputeBlock
    from edgelam.cosim.core import Core
    from edgelam.cosim.node import Node
    from edgelam.cosim.simulation import Simulation
    from edgelam.cosim.transfers import Outgoing

_Do = Callable[["ProgramPlayer", Operation], Coroutine[Any, Any, None]]
_DO: dict[str, _Do] = {}


def _does(*kinds: str) -> Callable[[_Do], _Do]:
    def note(function: _Do) -> _Do:
        _DO.update(dict.fromkeys(kinds, function))
        return function

    return note


class ProgramPlayer(Observer):
    """One program: call ``cosim.simulate(player.main, ..., program=player)``, then read the results."""

    def __init__(self, operations: Iterable[Operation], *, any_order: bool = False) -> None:
        """Play `operations`, in the order in which they were recorded.

        any_order: compute blocks of different tasks on one node may change their order (they share no state).
        """
        self.transfers: dict[tuple[int, str], TransferRecord] = {}
        """Records of transfers by recorded number and receiver, in the order in which they ended."""
        self.blocks: dict[int, ComputeRecord] = {}
        """Records of compute blocks by recorded number, in the order in which they ended."""
        self.sends = 0
        """Number of transfers."""
        self.sent = 0
        """Number of transfers that have begun."""
        self._any_order = any_order
        self._scripts: dict[int, list[Operation]] = defaultdict(list)
        self._tasks = {1}  # the numbers of tasks
        self._turns: dict[str, deque[int]] = defaultdict(deque)  # node -> its compute blocks, in recorded order
        for operation in operations:
            if operation.task:
                self._scripts[operation.task].append(operation)
            if operation.kind == "spawn":
                self._tasks.add(operation.object)
            elif operation.kind == "compute":
                self._turns[operation.node].append(operation.object)
            elif operation.kind == "send":
                self.sends += 1
        self._things: dict[int, Any] = {}  # tasks, futures, groups, ... by recorded number
        self._recorded: dict[int, int] = {}  # transfer in this run -> recorded transfer
        self._readings: dict[int, float] = {}
        self._queued_s: dict[int, float] = {}
        self._core: Core

    def begin(self, core: Core) -> Observer:
        """The simulation is ready."""
        self._core = core
        return self

    async def main(self, sim: Simulation) -> None:
        """The main coroutine."""
        self._check_nodes(sim.nodes)
        await self._play(1)

    def transfer_ended(self, outgoing: Outgoing, record: TransferRecord) -> None:
        """Keep its record."""
        number = self._recorded[record.id]
        self.transfers[number, record.receiver] = record
        self._queued_s[number] = record.queued_s

    def value(self, reading: list[Any]) -> float:
        """Return the value of a reading here: of the clock, a node's energy, or a message's times (see traced.py)."""
        kind, number = reading[0], int(reading[1])
        if kind in ("clock", "energy"):
            return self._readings[number]
        if kind == "queued":
            return self._queued_s[number]
        return self.transfers[number, reading[2]].last_byte_s  # arrived

    def _check_nodes(self, there: Mapping[str, Node]) -> None:
        named: dict[str, None] = {}
        for script in self._scripts.values():
            for operation in script:
                if operation.node:
                    named[operation.node] = None
                if operation.kind == "send":
                    named.update(dict.fromkeys(json.loads(operation.text)["to"]))
        missing = [name for name in named if name not in there]
        if missing:
            raise NotReplayable(
                f"the run uses nodes {', '.join(missing)}, which scenario {self._core.scenario!r} does not have; there "
                f"are: {', '.join(there)}. Its options set the number of nodes of each kind (numUe=..., numEdge=...)"
            )

    async def _play(self, task: int) -> None:
        for operation in self._scripts.get(task, ()):
            await _DO[operation.kind](self, operation)
        if not self._scripts.get(task) or self._scripts[task][-1].kind != "end":
            future = self._core.loop.create_future()  # it had not finished when the run ended
            future.why = ("the end of the run",)
            await future

    def _thing(self, number: int) -> Any:
        if number not in self._things:
            if number in self._tasks:
                raise self._otherwise(f"a task is awaited that has not been started yet (operation {number})")
            self._things[number] = self._core.loop.create_future()
        return self._things[number]

    def _several(self, text: str) -> list[Any]:
        return [self._thing(int(number)) for number in text.split()]

    def _otherwise(self, what: str) -> NotReplayable:
        return NotReplayable(
            f"over this network, the run would have done something else: at simulated time "
            f"{self._core.loop.now_ns / 1e9:.9f} s {what}"
        )

    # ---- tasks and futures ---------------------------------------------------------------------------------------

    @_does("end")
    async def _end(self, op: Operation) -> None:
        pass

    @_does("spawn")
    async def _spawn(self, op: Operation) -> None:
        maker = self._things[op.amount] if op.amount else self._core.loop
        self._things[op.object] = maker.create_task(self._play(op.object), name=op.text)

    @_does("await")
    async def _await(self, op: Operation) -> None:
        await self._thing(op.object)

    @_does("gather")
    async def _gather(self, op: Operation) -> None:
        self._things[op.object] = asyncio.gather(*self._several(op.text))

    @_does("wait")
    async def _wait(self, op: Operation) -> None:
        await asyncio.wait(self._several(op.text))

    @_does("group")
    async def _group(self, op: Operation) -> None:
        self._things[op.object] = await asyncio.TaskGroup().__aenter__()

    @_does("ungroup")
    async def _ungroup(self, op: Operation) -> None:
        await self._things[op.object].__aexit__(None, None, None)

    @_does("set")
    async def _set(self, op: Operation) -> None:
        if not self._thing(op.object).done():
            self._thing(op.object).set_result(None)

    @_does("sleep")
    async def _sleep(self, op: Operation) -> None:
        await asyncio.sleep(float("inf") if op.amount >= NEVER_NS else op.amount / 1e9)

    @_does("yield")
    async def _yield(self, op: Operation) -> None:
        await asyncio.sleep(0)

    @_does("job")
    async def _job(self, op: Operation) -> None:
        self._things[op.object] = self._core.loop.run_in_executor(None, int)

    @_does("done")
    async def _done(self, op: Operation) -> None:
        if self._thing(op.object).done() != bool(op.amount):
            raise self._otherwise(f"a future is{' not' if op.amount else ''} done yet when the program asks for it")

    @_does("timeout")
    async def _timeout(self, op: Operation) -> None:
        def over() -> None:
            raise self._otherwise(f"a time-out of {op.amount / 1e9:.9g} s is over")

        self._things[op.object] = self._core.loop.call_later(op.amount / 1e9, over)

    @_does("untimeout")
    async def _untimeout(self, op: Operation) -> None:
        self._things[op.object].cancel()

    @_does("event")
    async def _event(self, op: Operation) -> None:
        self._things[op.object] = asyncio.Event()
        if op.amount:
            self._things[op.object].set()

    @_does("event-wait")
    async def _event_wait(self, op: Operation) -> None:
        await self._things[op.object].wait()

    @_does("event-set")
    async def _event_set(self, op: Operation) -> None:
        self._things[op.object].set()

    @_does("event-clear")
    async def _event_clear(self, op: Operation) -> None:
        self._things[op.object].clear()

    @_does("event-is-set")
    async def _event_is_set(self, op: Operation) -> None:
        if self._things[op.object].is_set() != bool(op.amount):
            raise self._otherwise(f"an event is{' not' if op.amount else ''} set yet when the program asks for it")

    @_does("queue")
    async def _queue(self, op: Operation) -> None:
        queue: asyncio.Queue[int] = asyncio.Queue(op.amount)
        for index in range(op.extra):
            queue.put_nowait(-1 - index)
        self._things[op.object] = queue

    @_does("queue-put", "queue-put-nowait")
    async def _queue_put(self, op: Operation) -> None:
        queue = self._things[op.object]
        if op.kind == "queue-put":
            await queue.put(op.amount)
        elif queue.full():
            raise self._otherwise("a queue is full")
        else:
            queue.put_nowait(op.amount)

    @_does("queue-get", "queue-get-nowait")
    async def _queue_get(self, op: Operation) -> None:
        queue = self._things[op.object]
        if op.kind == "queue-get-nowait" and queue.empty():
            raise self._otherwise("a queue is empty")
        if await queue.get() != op.amount:
            raise self._otherwise("a queue holds other things, because others put first")

    # ---- nodes ---------------------------------------------------------------------------------------------------

    @_does("send")
    async def _send(self, op: Operation) -> None:
        nodes, transfers, facts = self._core.nodes, self._core.transfers, json.loads(op.text)
        outgoing = transfers.start(
            nodes[op.node],
            [nodes[name] for name in facts["to"]],
            np.broadcast_to(np.uint8(0), op.amount),
            TransferSpec.from_note(facts),
        )
        self._recorded[outgoing.id] = op.object
        self.sent += 1
        for record in await transfers.finish(outgoing):
            if record.status != "complete":
                raise self._otherwise(
                    f"transfer {record.tag!r} from {record.source} to {record.receiver} is {record.status} "
                    f"({record.lost_bytes:,} bytes lost): what was learned would differ"
                )

    @_does("receive")
    async def _receive(self, op: Operation) -> None:
        node, asked = self._core.nodes[op.node], json.loads(op.text)
        source = self._core.nodes[asked["source"]] if asked["source"] else None
        arrival = await self._core.transfers.take(node, source, asked["tag"])
        if self._recorded[arrival.transfer] != op.object:
            other = f"{arrival.spec.tag!r} from {arrival.source.name}"
            raise self._otherwise(f"{op.node} gets another message ({other}) than in the recording")

    @_does("compute")
    async def _compute(self, op: Operation) -> None:
        node = self._core.nodes[op.node]
        if self._turns[op.node].popleft() != op.object and not self._any_order:
            raise self._otherwise(
                f"block {op.text!r} computes on {op.node} before another task's, which was first in the recording: if "
                "both touch the same weights, what was learned would differ. If they share nothing, use --any-order"
            )
        block = node.compute(op.text, work=Work())
        self._things[op.object] = block
        await block.__aenter__()

    @_does("computed")
    async def _computed(self, op: Operation) -> None:
        block: ComputeBlock = self._things.pop(op.object)
        block.work = Work(op.amount, op.extra)
        await block.__aexit__(None, None, None)
        assert block.record is not None
        self.blocks[op.object] = block.record

    @_does("clock")
    async def _clock(self, op: Operation) -> None:
        self._readings[op.object] = self._core.loop.now_ns / 1e9

    @_does("energy")
    async def _energy(self, op: Operation) -> None:
        self._readings[op.object] = self._core.nodes[op.node].energy_j
