# SPDX-License-Identifier: GPL-2.0-only
"""Computing takes simulated time: the compute block of a node, and the processor for which it waits.

How long a block takes is decided by the `compute` argument of `simulate`:

- `modelled`: the roofline of the node's profile over the block's counted work (deterministic; the default);
- `measured`: the wall-clock time that it took here, times the profile's `wall_factor` (not reproducible);
- `free`: no time.

A node's processor runs `ways` blocks at a time (one, unless its profile says otherwise), in the order in which they
asked, each with an equal, fixed share of its rates.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from time import perf_counter  # the machine's clock, even if a program has replaced that of the module
from typing import TYPE_CHECKING, Any

from edgelam.cosim.records import ComputeRecord
from edgelam.cosim.work import Work, WorkCounter
from edgelam.errors import AwaitInComputeError, ConfigurationError

if TYPE_CHECKING:
    from edgelam.cosim.core import Core
    from edgelam.cosim.loop import SimLoop
    from edgelam.cosim.node import Node
    from edgelam.cosim.tasks import SimFuture

MODES = ("modelled", "measured", "free")


class Processor:
    """A node's processor: up to `ways` blocks at a time, first come, first served; and what it has done so far."""

    def __init__(self, loop: SimLoop, node: str, ways: int) -> None:
        """Make a free processor of the node named `node`."""
        self.flops = 0
        self.busy_s = 0.0
        self.energy_j = 0.0
        """Above idle power."""
        self._loop = loop
        self._node = node
        self._free = ways
        self._queue: deque[SimFuture] = deque()

    async def acquire(self, label: str) -> None:
        """Wait for a place."""
        if self._free > 0 and not self._queue:
            self._free -= 1
            return
        future = self._loop.create_future()
        future.why = ("its turn to compute", repr(label), "on", self._node)
        self._queue.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release()  # the place had been given to us in the same instant
            raise

    def release(self) -> None:
        """Give the place to the next in the queue."""
        while self._queue:
            future = self._queue.popleft()
            if not future.done():
                future.set_result(None)
                return
        self._free += 1


class ComputeBlock:
    """``async with node.compute(label)``: the code inside is computed now, and takes simulated time.

    The code inside may not use `await`. When the block is left, the simulated time has passed; `work` and `record` say
    what was computed.
    """

    def __init__(
        self,
        core: Core,
        node: Node,
        processor: Processor,
        label: str,
        *,
        key: Hashable,
        work: Work | None,
        wall_s: float = 0.0,
    ) -> None:
        """Use `Node.compute`."""
        self._core = core
        self._processor = processor
        self.node = node
        """The node on which it computes."""
        self.label = label
        """Its name in records."""
        self._key = key
        self._given = work
        self.work = Work()
        """The counted work, known after the block."""
        self.record: ComputeRecord | None = None
        """The record of the block, known after it."""
        self._counter: WorkCounter | None = None
        self._asked_ns = self._start_ns = 0
        self._wall_s = 0.0
        self._earlier_s = wall_s

    async def __aenter__(self) -> ComputeBlock:
        """Wait for the node's turn, then begin to count."""
        loop = self._core.loop
        if loop.compute_block is not None:
            raise AwaitInComputeError(
                f"compute block {self.label!r} of {self.node.name} inside compute block {loop.compute_block}"
            )
        self._asked_ns = loop.now_ns
        loop.observer.compute_asked(self)
        await self._processor.acquire(self.label)
        self._start_ns = loop.now_ns
        try:
            self._begin()
        except BaseException:
            self._processor.release()
            raise
        loop.compute_block = f"{self.label!r} of {self.node.name}"
        return self

    def _begin(self) -> None:
        core = self._core
        if self.node.battery is not None:
            self.node.battery.check()
        if self._given is not None:
            self.work = self._given
        elif core.compute_mode == "modelled":
            known = None if self._key is None else core.work.get((self.label, self._key))
            if known is None:
                self._counter = WorkCounter()
                self._counter.__enter__()
            else:
                self.work = known
        self._wall_s = perf_counter()

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Let the simulated time pass, and free the node."""
        core, loop = self._core, self._core.loop
        wall_s = self._earlier_s + perf_counter() - self._wall_s
        loop.compute_block = None
        try:
            if self._counter is not None:
                self._counter.__exit__(kind, error, trace)
                self.work = self._counter.work
                if self._key is not None and error is None and self._counter.lasting:
                    core.work[self.label, self._key] = self.work
                self._counter = None
            loop.observer.compute_done(self, error)
            if error is None:
                with loop.observer.looking_on():
                    await self._take_time(wall_s)
        finally:
            self._processor.release()
            if error is None:
                self._note()

    async def _take_time(self, wall_s: float) -> None:
        device = self.node.device
        if self._core.compute_mode == "modelled":
            seconds = device.ways * device.seconds(self.work.flops, self.work.bytes)
        elif self._core.compute_mode == "measured":
            seconds = wall_s * device.wall_factor
        else:
            seconds = 0.0
        battery = self.node.battery
        if seconds > 0 and battery is not None:
            async with battery.lasting():
                with battery.computing():
                    await asyncio.sleep(seconds)
        elif seconds > 0:
            await asyncio.sleep(seconds)

    def _note(self) -> None:
        core, node, processor = self._core, self.node, self._processor
        seconds = (core.loop.now_ns - self._start_ns) / 1e9
        share_w = (node.device.busy_w - node.device.idle_w) / node.device.ways
        record = ComputeRecord(
            node=node.name,
            label=self.label,
            start_s=self._start_ns / 1e9,
            end_s=core.loop.now_ns / 1e9,
            flops=self.work.flops,
            bytes=self.work.bytes,
            energy_j=share_w * seconds,
            waited_s=(self._start_ns - self._asked_ns) / 1e9,
        )
        self.record = record
        processor.flops += record.flops
        processor.busy_s += seconds
        processor.energy_j += record.energy_j
        core.observer.compute_ended(self)
        if core.on_compute is not None:
            core.on_compute(record)
        core.observer.told()


def check_mode(mode: str) -> str:
    """Return `mode` if it is one of `MODES`."""
    if mode not in MODES:
        raise ConfigurationError(f"unknown compute mode {mode!r}; there are: {', '.join(MODES)}")
    return mode
