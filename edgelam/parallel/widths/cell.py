# SPDX-License-Identifier: GPL-2.0-only
"""What the server learns of a cell before it decides, and how a decision is put into force.

All of it crosses the network. The server sends each device a short request; all devices then send a probe up at once,
and get one down at once; each device answers with its state: what it has measured of its link (bits that a resource
block carried, retransmissions included), the CQI of its newest report, its load, free memory and speed. From the
probes' time the server has the goodput of the cell, from the states how it is spread over devices:

    rate of device k with the whole band = used * bits_per_block[k]
    used = sum over devices of (probe bits / bits_per_block) / (last arrival - first byte - latency)

in resource blocks a second that carry payload, by direction. So headers, slots of the other direction, requests and
grants are in the rates as they were measured; nothing is taken from Shannon's formula. The latency is that of the
answers, which are short. The shares go to the base station as a transfer, and are in force when it has arrived.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam import cosim
    from edgelam.parallel.widths.problem import Floats

OBSERVABLES = ("cell", "ue_block_counts", "ue_prb_slots", "trace_csi")
CONTROLS = ("prb_share", "prb_cap")
OPTIONS = {"scheduler": "external"}
"""What a scenario must have, and must be told."""
Enforcement = Literal["share", "cap", "none"]
DOWN, UP = 0, 1  # the axis of the cell's observables and controls
CSI_EVERY_S = 0.1


@dataclasses.dataclass(frozen=True)
class State:
    """What a device reports: seven numbers of 4 bytes."""

    bits_per_block_down: float
    """Bits of its own that a resource block of a slot has carried, retransmissions counted as blocks."""
    bits_per_block_up: float
    cqi: float
    """Of its newest report to the base station; 0: none yet."""
    load: float
    """Part of the time since its last report in which it computed."""
    free_bytes: float
    """Of its memory, for its shard."""
    flops_per_s: float
    memory_bytes_per_s: float

    def seconds(self, work: Work) -> float:
        """Its roofline, as in `DeviceProfile.seconds`."""
        return max(work.flops / self.flops_per_s, work.bytes / self.memory_bytes_per_s)


@dataclasses.dataclass(frozen=True)
class Measured:
    """What the server knows after a round of reports; tuples over devices are in the order asked for."""

    devices: tuple[str, ...]
    states: tuple[State, ...]
    rate_up_bps: tuple[float, ...]
    rate_down_bps: tuple[float, ...]
    """Goodput with the whole band, bit/s."""
    latency_s: tuple[float, ...]
    """Of a short message down and a short one up."""


class Cell:
    """One cell as the server sees it."""

    def __init__(self, sim: cosim.Simulation, server: cosim.Node, probe_bytes: int) -> None:
        """probe_bytes: what is sent in each direction to measure a rate. Raises ConfigurationError for no such cell."""
        for kind, wanted, there in (
            ("observable", OBSERVABLES, sim.observables), ("control", CONTROLS, sim.controls),
        ):  # fmt: skip
            for name in wanted:
                if name not in there:
                    raise ConfigurationError(
                        f"scenario {sim.scenario!r} has no {kind} {name!r}: shares of a band are planned and enforced "
                        f"in a 5G cell (nr-urban-micro, nr-indoor) with the option scheduler=external"
                    )
        if probe_bytes < 1:
            raise ConfigurationError(f"probe_bytes is {probe_bytes}; a whole number from 1 is legal")
        self.sim, self.server, self.probe_bytes = sim, server, probe_bytes
        self.ues = [node.name for node in sim.nodes.values() if node.role == "ue"]
        self.gnb = next((node for node in sim.nodes.values() if node.role == "gnb"), None)
        self._cqi = np.zeros(len(self.ues))
        self._busy: dict[str, tuple[float, float]] = {}  # seconds computed, at which time

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Keep the newest CQI of each device while the body goes on."""
        task = asyncio.create_task(self._follow(), name="CQI of the devices")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        async with self.sim.observable("trace_csi").subscribe(CSI_EVERY_S, aside=True) as readings:
            async for reading in readings:
                for report in reading.value:
                    self._cqi[report["ue"]] = report["cqi"]

    async def measure(self, names: Sequence[str]) -> Measured:
        """Ask these devices for their states, after probes in both directions."""
        nodes = [self.sim.node(name) for name in names]
        numbers = [self.ues.index(name) for name in names]
        before = await self._counts()
        asked = await asyncio.gather(*(self._short(self.server, node, "state?") for node in nodes))
        up = await self._probe([(node, self.server) for node in nodes])
        down = await self._probe([(self.server, node) for node in nodes])
        after = await self._counts()
        bits = [self._bits_per_block(before, after, direction)[numbers] for direction in (DOWN, UP)]
        states = [
            State(float(bits[DOWN][i]), float(bits[UP][i]), float(self._cqi[numbers[i]]), self._load(node),
                  float(node.memory.capacity_bytes - _foreign(node)), node.device.flops_per_s,
                  node.device.memory_bandwidth_bytes_per_s)
            for i, node in enumerate(nodes)
        ]  # fmt: skip
        answers = await asyncio.gather(*(self._answer(n, s) for n, s in zip(nodes, states, strict=True)))
        heard, answered = [state for state, _ in answers], [record for _, record in answers]
        bits_down, bits_up = (np.array([getattr(s, f"bits_per_block_{way}") for s in heard]) for way in ("down", "up"))
        return Measured(
            tuple(names),
            tuple(heard),
            _rates(self.probe_bytes, bits_up, up, min(map(_seconds, answered))),
            _rates(self.probe_bytes, bits_down, down, min(map(_seconds, asked))),
            tuple(_seconds(a) + _seconds(b) for a, b in zip(asked, answered, strict=True)),
        )

    async def enforce(self, names: Sequence[str], shares: Sequence[float], how: Enforcement) -> None:
        """Have the base station keep to these shares of `names`; others get what is left over.

        share: `prb_share`, guaranteed, what is not used goes to others. cap: `prb_cap` beside it, hard: rounded to
        whole resource blocks. none: nobody has a share, all have the same claim.
        """
        given = np.zeros(len(self.ues))
        given[[self.ues.index(name) for name in names]] = shares
        if how == "none":
            given[:] = 0.0
        both = np.stack([given, given])
        if self.gnb is not None:
            await self.server.send(self.gnb, torch.from_numpy(both).float(), tag="shares")
        # the last digit of a sum of 1 may be above it
        await self.sim.control("prb_share").set(np.floor(both * 2**32) / 2**32)
        if how == "cap":
            prbs = int((await self.sim.observable("cell").read()).value["prbs"])
            caps = np.where(both > 0, np.maximum(1, np.round(both * prbs)), prbs)
            await self.sim.control("prb_cap").set(caps.astype(np.uint32))

    async def _short(self, source: cosim.Node, to: cosim.Node, tag: str) -> Any:
        sending = asyncio.create_task(source.send(to, torch.zeros(1), tag=tag), name=f"{tag} to {to.name}")
        await to.receive(source, tag=tag)
        return await sending

    async def _answer(self, node: cosim.Node, state: State) -> tuple[State, Any]:
        """The state as it has arrived, and the record of its transfer."""
        values = torch.tensor([getattr(state, field.name) for field in dataclasses.fields(state)])
        sending = asyncio.create_task(node.send(self.server, values, tag="state"), name=f"state of {node.name}")
        message = await self.server.receive(node, tag="state")
        return State(*message.data.tolist()), await sending

    async def _probe(self, ways: Sequence[tuple[cosim.Node, cosim.Node]]) -> list[Any]:
        """A probe each way, all at once; twice, since the first one of a tcp connection has to open its window."""
        records: list[Any] = []
        for _ in range(2):
            sending = [
                asyncio.create_task(source.send(to, bytes(self.probe_bytes), tag="probe"), name="probe")
                for source, to in ways
            ]
            for source, to in ways:
                await to.receive(source, tag="probe")
            records = [await task for task in sending]
        return records

    async def _counts(self) -> tuple[Floats, Floats]:
        """[direction, ue] decoded bits, and resource blocks times slots, so far."""
        bits = (await self.sim.observable("ue_block_counts").read()).value["decoded_bits"]
        blocks = (await self.sim.observable("ue_prb_slots").read()).value
        return bits.astype(float), blocks.astype(float)

    def _bits_per_block(self, before: Any, after: Any, direction: int) -> Floats:
        bits, blocks = after[0][direction] - before[0][direction], after[1][direction] - before[1][direction]
        return np.asarray(np.maximum(bits, 1.0) / np.maximum(blocks, 1.0))

    def _load(self, node: cosim.Node) -> float:
        busy_s, now_s = node.busy_s, self.sim.now_s
        last_busy_s, last_s = self._busy.get(node.name, (0.0, 0.0))
        self._busy[node.name] = busy_s, now_s
        return float((busy_s - last_busy_s) / (now_s - last_s)) if now_s > last_s else 0.0


def _seconds(record: Any) -> float:
    return float(record.last_byte_s - record.queued_s)


def _foreign(node: cosim.Node) -> int:
    """Bytes of its memory that are not the training's own, which a new plan frees."""
    return sum(size for label, size in node.memory.held().items() if not label.startswith("looped "))


def _rates(probe_bytes: int, bits_per_block: Floats, records: Sequence[Any], latency_s: float) -> tuple[float, ...]:
    """[device] goodput with the whole band: the cell's resource blocks a second times the bits of each."""
    blocks = float((probe_bytes * 8 / bits_per_block).sum())
    begun, ended = min(r.queued_s for r in records), max(r.last_byte_s for r in records)
    used = blocks / max(float(ended - begun) - latency_s, 1e-6)
    return tuple((used * bits_per_block).tolist())
