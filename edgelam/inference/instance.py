# SPDX-License-Identifier: GPL-2.0-only
"""An instance of a service on a node: queue, batches, memory, cold start.

Batching is by iteration, as in Orca (OSDI 2022) and vLLM: each iteration runs the next step of every request that is
being computed, and requests join and leave between iterations. For a module with one step that is ordinary batching.
An instance that has nothing to do waits `batch_wait_s` for a batch to fill. Requests of a higher priority are taken
first. An iteration takes the time of its work (computing.batched) on the node's processor, which other instances of the
node share, first come, first served.

A request holds memory of the node while it is computed. If there is not enough at the moment, it waits; if there never
can be, it is refused with OutOfDeviceMemory.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgelam.cosim.work import Work
from edgelam.errors import EdgelamError, OutOfDeviceMemory
from edgelam.inference.computing import Computing, Result, batched
from edgelam.inference.moments import Moment
from edgelam.inference.records import CallRecord, InstanceRecord
from edgelam.inference.service import Service

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.cosim.node import Node
    from edgelam.cosim.simulation import Simulation
    from edgelam.cosim.transport import Transport
    from edgelam.inference.requests import Request


@dataclass(slots=True, eq=False)
class Call:
    """A request at a service. Its future gets (outputs by the module's names, the moment at which they were there)."""

    request: Request
    inputs: dict[str, Tensor]
    """By the module's names."""
    begin: Moment
    future: asyncio.Future[tuple[dict[str, Tensor], Moment]]
    on_step: Callable[[dict[str, Tensor], Moment], object] | None = None
    result: Result | None = None


@dataclass(slots=True, eq=False)
class _Running:
    call: Call
    result: Result
    label: str
    moment: Moment
    done: int = 0
    start_ns: int = -1
    batch: int = 0


@dataclass(slots=True, eq=False)
class Site:
    """A node as its instances share it."""

    node: Node
    requests_bytes: int = 0
    """Memory that requests hold, which they will give back."""
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, label: str, size: int) -> None:
        """Hold memory for a request. Raises OutOfDeviceMemory."""
        self.node.memory.allocate(label, size)
        self.requests_bytes += size

    def give_back(self, label: str, size: int) -> None:
        """Free memory of a request; wake those who wait for it."""
        self.node.memory.free(label)
        self.requests_bytes -= size
        self._released.set()
        self._released.clear()

    def ever_fits(self, size: int) -> bool:
        """Return whether a request fits when no other holds memory."""
        memory = self.node.memory
        return size <= memory.capacity_bytes - (memory.used_bytes - self.requests_bytes)

    async def released(self) -> None:
        """Wait until a request gives memory back."""
        await self._released.wait()


class Instance:
    """One instance."""

    def __init__(
        self, sim: Simulation, site: Site, service: Service, *, computing: Computing, transport: Transport,
        note: Callable[[CallRecord], object], begin_ns: int,
    ) -> None:  # fmt: skip
        """note: is called with the record of each call; begin_ns: the time from which records count."""
        self.sim, self.site, self.service = sim, site, service
        self._computing, self._transport, self._note, self._begin_ns = computing, transport, note, begin_ns
        self.label = f"weights of {service.name}"
        self.outstanding = 0
        """Calls that have not ended."""
        self.failure: EdgelamError | None = None
        """Why it cannot serve."""
        self._queue: list[tuple[int, int, Call]] = []
        self._running: list[_Running] = []
        self._wake = asyncio.Event()
        self._loaded = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._repository: Node | None = None
        self._asked_ns = self._ready_ns = self._end_ns = -1
        self._file_bytes = self._calls = self._batches = 0

    # ---- life ----------------------------------------------------------------------------------------------------

    def start(self, repository: Node | None) -> None:
        """Begin to load from `repository`, and then to serve; None: the weights are there.

        Raises OutOfDeviceMemory, with both numbers, if the weights do not fit.
        """
        self._asked_ns = self.sim.now_ns
        self._repository = repository
        self.site.node.memory.allocate(self.label, self.service.weight_bytes)
        if repository is None:
            self._ready()
        name = f"{self.service.name} on {self.site.node.name}"
        self._task = asyncio.create_task(self._live(repository), name=name)

    async def loaded(self) -> None:
        """Wait until the weights are there. Raises the error for which they never will be."""
        await self._loaded.wait()
        if self.failure is not None:
            raise self.failure

    @property
    def started(self) -> bool:
        """Whether it loads or serves."""
        return self._task is not None

    @property
    def ready(self) -> bool:
        """Whether the weights are there."""
        return self._ready_ns >= 0 and self.failure is None

    def loads_from(self, node: str) -> bool:
        """Return whether its weights are on their way from this node."""
        return self.started and self._ready_ns < 0 and self._repository is not None and self._repository.name == node

    async def stop(self, error: EdgelamError | None = None) -> None:
        """End at once, and give back all memory. Calls that have not ended get `error`; None: they get no answer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            self._drop_running(error)
            self.site.node.memory.free(self.label)
        if error is not None:
            self.refuse(error)
        self._end_ns = self.sim.now_ns

    def submit(self, call: Call) -> None:
        """Put a call into the queue."""
        self._calls += 1
        self.outstanding += 1
        call.future.add_done_callback(self._ended)
        if self.failure is not None:
            call.future.set_exception(self.failure)
            return
        heapq.heappush(self._queue, (-call.request.priority, self._calls, call))
        self._wake.set()

    @property
    def received(self) -> int:
        """Calls that have come so far."""
        return self._calls

    def refuse(self, error: EdgelamError) -> None:
        """Give this error to all calls, from now on."""
        self.failure = error
        self._loaded.set()
        for _, _, call in self._queue:
            if not call.future.done():
                call.future.set_exception(error)
        self._queue.clear()

    def record(self) -> InstanceRecord:
        """Return what has become of it."""
        return InstanceRecord(
            self.service.name, self.site.node.name, self.service.declared, self.service.weight_bytes,
            self._seconds(self._asked_ns), self._seconds(self._ready_ns), self._file_bytes, self._calls, self._batches,
            self._seconds(self._end_ns),
        )  # fmt: skip

    async def _live(self, repository: Node | None) -> None:
        try:
            if repository is not None:
                await self._load(repository)
            while True:
                await self._wait()
                await self._admit()
                if self._running:
                    await self._iterate()
        except EdgelamError as error:  # no weights, or a battery that is empty
            self._drop_running(error)
            self.refuse(error)

    def _drop_running(self, error: EdgelamError | None) -> None:
        for item in self._running:
            self.site.give_back(item.label, item.result.memory_bytes)
            if error is not None and not item.call.future.done():
                item.call.future.set_exception(error)
        self._running.clear()

    async def _load(self, repository: Node) -> None:
        """Bring the weights, as a file, and write them to memory: read once and written once."""
        import torch

        node, service = self.site.node, self.service
        if repository is not node and service.file_bytes:
            data = torch.zeros(service.file_bytes, dtype=torch.uint8)
            self._file_bytes = await self._transport.carry(repository, node, data, f"weights of {service.name}")
        async with node.compute(f"load {service.name}", work=Work(0, 2 * service.weight_bytes)):
            pass
        self._ready()

    def _ready(self) -> None:
        self._ready_ns = self.sim.now_ns
        self._loaded.set()

    # ---- serving ---------------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        """Wait until there is something to do, and for a batch to fill."""
        if self._running:
            return
        while not self._queue:
            self._wake.clear()
            await self._wake.wait()
        until_ns = self.sim.now_ns + round(self.service.batch_wait_s * 1e9)
        while len(self._queue) < self.service.max_batch and self.sim.now_ns < until_ns:
            self._wake.clear()
            try:
                async with asyncio.timeout((until_ns - self.sim.now_ns) / 1e9):
                    await self._wake.wait()
            except TimeoutError:
                return

    async def _admit(self) -> None:
        """Take calls from the queue, as long as there is room; if there is none for the first one, wait for it."""
        while self._queue and len(self._running) < self.service.max_batch:
            priority, number, call = heapq.heappop(self._queue)
            if call.future.done():  # the request has given up
                continue
            if call.result is None:
                try:
                    call.result = self._computing.run(self.service.module, call.inputs)
                except EdgelamError as error:
                    call.future.set_exception(error)
                    continue
            size = call.result.memory_bytes
            label = f"request {call.request.id} at {self.service.name} ({number})"
            try:
                self.site.take(label, size)
            except OutOfDeviceMemory as error:
                if not self.site.ever_fits(size):
                    call.future.set_exception(error)
                    continue
                heapq.heappush(self._queue, (priority, number, call))
                if self._running:
                    return
                await self.site.released()
                continue
            moment = call.begin
            if self._ready_ns > moment.time_ns:
                moment = moment.after(self._ready_ns, "load")
            self._running.append(_Running(call, call.result, label, moment))

    async def _iterate(self) -> None:
        """Run one step of everything that is running."""
        batch = list(self._running)
        steps = [item.result.steps[item.done] for item in batch]
        block = self.site.node.compute(
            self.service.name, work=batched(steps), wall_s=sum(step.wall_s for step in steps)
        )  # fmt: skip
        async with block:
            pass
        assert block.record is not None
        start_ns, end_ns = round(block.record.start_s * 1e9), self.sim.now_ns
        self._batches += 1
        for item, step in zip(batch, steps, strict=True):
            item.start_ns = start_ns if item.start_ns < 0 else item.start_ns
            item.moment = item.moment.after(start_ns, "queue").after(end_ns, "compute")
            item.done += 1
            item.batch = max(item.batch, len(batch))
            if item.call.on_step is not None and not item.call.future.done():
                item.call.on_step(step.gives, item.moment)
            if item.done == len(item.result.steps) or item.call.future.done():
                self._finish(item)

    def _finish(self, item: _Running) -> None:
        self._running.remove(item)
        self.site.give_back(item.label, item.result.memory_bytes)
        call, steps = item.call, item.result.steps[: item.done]
        self._note(
            CallRecord(
                call.request.id, self.service.name, self.site.node.name, self.service.declared,
                self._seconds(call.begin.time_ns), self._seconds(item.start_ns), self._seconds(self.sim.now_ns),
                item.done, item.batch, sum(step.work.flops for step in steps), item.result.memory_bytes,
            )
        )  # fmt: skip
        if not call.future.done():
            call.future.set_result((item.result.outputs, item.moment))

    def _ended(self, future: asyncio.Future[Any]) -> None:
        self.outstanding -= 1

    def _seconds(self, time_ns: int) -> float:
        return math.nan if time_ns < 0 else (time_ns - self._begin_ns) / 1e9
