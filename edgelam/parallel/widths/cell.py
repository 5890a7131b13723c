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
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from edgelam.cosim.work import Work
from edgelam.errors import BatteryEmpty, ConfigurationError, RunEnded, TransferError
from edgelam.learning import band
from edgelam.learning.channels import Channels
from edgelam.learning.conversation import expect, number
from edgelam.parallel.widths.problem import Floats

if TYPE_CHECKING:
    from edgelam import cosim
    from edgelam.cosim.records import TransferRecord

OBSERVABLES = ("cell", "ue_block_counts", "ue_prb_slots", "trace_csi")
CONTROLS, OPTIONS = band.CONTROLS, band.OPTIONS
"""What a scenario must have, and must be told."""
Enforcement = Literal["share", "cap", "none"]
DOWN, UP = 0, 1  # the axis of the cell's observables and controls
CSI_EVERY_S = 0.1
PATIENCE_S = 10.0
"""Simulated: a device that takes longer for a message is left out of the plan."""


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


Counts = tuple[Floats, Floats]
"""Decoded bits, and resource blocks times slots [direction, ue]."""


@dataclasses.dataclass(frozen=True)
class Got:
    """A message that has arrived: its content and its transfer."""

    data: torch.Tensor
    record: TransferRecord

    @property
    def seconds(self) -> float:
        """From handing it over to its last byte."""
        return float(self.record.last_byte_s - self.record.queued_s)


class Cell:
    """One cell as the server sees it."""

    def __init__(self, sim: cosim.Simulation, server: cosim.Node, probe_bytes: int) -> None:
        """probe_bytes: what is sent in each direction to measure a rate. Raises ConfigurationError for no such cell."""
        band.refuse_without(sim, OBSERVABLES, CONTROLS)
        if probe_bytes < 1:
            raise ConfigurationError(f"probe_bytes is {probe_bytes}; a whole number from 1 is legal")
        self.sim, self.server, self.probe_bytes = sim, server, probe_bytes
        self._band = band.Band(sim, server)
        self.ues = self._band.ues
        self._channels = Channels(sim, CSI_EVERY_S)
        self._round = 0
        self._busy: dict[str, tuple[float, float]] = {}  # seconds computed, at which time

    def following(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Keep the newest CQI of each device while the body goes on."""
        return self._channels.following()

    async def measure(self, names: Sequence[str]) -> Measured:
        """Ask these devices for their states, after probes in both directions with no shares in force.

        Rates are those of the blocks that were sent beside the others. A device whose power is exhausted has less power
        in each resource block of a larger share, so its uplink rate alone is overestimated (by up to a third, seen).

        A device that does not answer within PATIENCE_S simulated seconds at any of that, or whose battery is empty, is
        left out: `Measured.devices` are those that answered. Raises RunEnded if there are none.
        """
        self._round += 1
        await self.release()
        nodes = [self.sim.node(name) for name in names]
        before = await self._counts()
        asked = await self._exchanges("state?", [(self.server, node, torch.zeros(1)) for node in nodes])
        probe = torch.zeros(self.probe_bytes, dtype=torch.uint8)
        for _ in range(2):  # the first one of a tcp connection has to open its window
            up = await self._exchanges("probe", [(node, self.server, probe) for node in nodes if node.name in asked])
        for _ in range(2):
            down = await self._exchanges("probe", [(self.server, node, probe) for node in nodes if node.name in up])
        after = await self._counts()
        nodes = [node for node in nodes if node.name in down]
        answers = await self._exchanges(
            "state", [(node, self.server, self._state(node, before, after)) for node in nodes]
        )  # fmt: skip
        nodes = [node for node in nodes if node.name in answers]
        if not nodes:
            raise RunEnded(f"no device answers: {', '.join(names)} were asked for their states")
        heard = [State(*answers[node.name].data.tolist()) for node in nodes]
        there = [node.name for node in nodes]
        bits_down, bits_up = (np.array([getattr(s, f"bits_per_block_{way}") for s in heard]) for way in ("down", "up"))
        return Measured(
            tuple(there),
            tuple(heard),
            self._rates(bits_up, [up[name] for name in there], min(answers[name].seconds for name in there)),
            self._rates(bits_down, [down[name] for name in there], min(asked[name].seconds for name in there)),
            tuple(asked[name].seconds + answers[name].seconds for name in there),
        )

    async def release(self) -> None:
        """No shares and no caps."""
        await self._band.keep(np.zeros(len(self.ues)), capped=False)

    async def enforce(self, names: Sequence[str], shares: Sequence[float], how: Enforcement) -> None:
        """Have the base station keep to these shares of `names`; others get what is left over.

        share: `prb_share`, guaranteed, what is not used goes to others. cap: `prb_cap` beside it, hard: rounded to
        whole resource blocks. none: nobody has a share, all have the same claim.
        """
        given = np.zeros(len(self.ues))
        given[[self.ues.index(name) for name in names]] = shares
        await self._band.keep(np.zeros_like(given) if how == "none" else given, capped=how == "cap")

    async def _exchanges(self, tag: str, ways: Sequence[tuple[cosim.Node, cosim.Node, torch.Tensor]]) -> dict[str, Got]:
        """One message each way, all at once; what has arrived, by the name of the device."""
        found: dict[str, Got] = {}

        async def one(source: cosim.Node, to: cosim.Node, data: torch.Tensor) -> None:
            message = {"step": number(self._round), "data": data}
            device = to if source is self.server else source
            try:
                async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
                    sending = group.create_task(source.send(to, message, tag=tag), name=f"{tag} to {to.name}")
                    arriving = group.create_task(expect(to, source, tag, self._round), name=f"{tag} at {to.name}")
                found[device.name] = Got(arriving.result().data["data"], sending.result())
            except* (TimeoutError, TransferError, BatteryEmpty):
                pass  # it is left out

        async with asyncio.TaskGroup() as group:
            for way in ways:
                group.create_task(one(*way), name=tag)
        return found

    async def _counts(self) -> Counts:
        """So far."""
        bits = (await self.sim.observable("ue_block_counts").read()).value["decoded_bits"]
        blocks = (await self.sim.observable("ue_prb_slots").read()).value
        return bits.astype(float), blocks.astype(float)

    def _state(self, node: cosim.Node, before: Counts, after: Counts) -> torch.Tensor:
        """What a device says of itself: the fields of `State`, float32."""
        ue = self.ues.index(node.name)
        bits, blocks = (after[i][:, ue] - before[i][:, ue] for i in (0, 1))
        carried = np.maximum(bits, 1.0) / np.maximum(blocks, 1.0)
        free = node.memory.capacity_bytes - _foreign(node)
        state = State(
            carried[DOWN], carried[UP], float(self._channels.cqi[ue]), self._load(node), free, node.device.flops_per_s,
            node.device.memory_bandwidth_bytes_per_s,
        )  # fmt: skip
        return torch.tensor(dataclasses.astuple(state), dtype=torch.float32)

    def _rates(self, bits_per_block: Floats, probes: Sequence[Got], latency_s: float) -> tuple[float, ...]:
        """[device] goodput with the whole band: the cell's resource blocks a second times the bits of each."""
        blocks = float((self.probe_bytes * 8 / bits_per_block).sum())
        begun = min(each.record.queued_s for each in probes)
        ended = max(each.record.last_byte_s for each in probes)
        used = blocks / max(float(ended - begun) - latency_s, 1e-6)
        return tuple((used * bits_per_block).tolist())

    def _load(self, node: cosim.Node) -> float:
        busy_s, now_s = node.busy_s, self.sim.now_s
        last_busy_s, last_s = self._busy.get(node.name, (0.0, 0.0))
        self._busy[node.name] = busy_s, now_s
        return float((busy_s - last_busy_s) / (now_s - last_s)) if now_s > last_s else 0.0


def _foreign(node: cosim.Node) -> int:
    """Bytes of its memory that are not the training's own, which a new plan frees."""
    return sum(size for label, size in node.memory.held().items() if not label.startswith("looped "))
