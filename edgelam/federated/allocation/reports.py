# SPDX-License-Identifier: GPL-2.0-only
"""What a device tells before a round: its channel, what the round will carry, and how its last round went.

server --report?--> device        the number of the round (4 bytes)
server <--report--- device        `Report` (72 bytes, and the round)
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch

from edgelam.errors import BatteryEmpty
from edgelam.learning.channels import Channels
from edgelam.learning.conversation import Link, Parts, number, on_its_way

if TYPE_CHECKING:
    from edgelam import cosim

END = -1
UP = 1  # the axis of the cell's observables
RADIO_J = "ue_radio_j"
Coming = Callable[[int], tuple[int, int]]
"""The bytes that a device will send and get in a round."""


@dataclasses.dataclass(frozen=True)
class Report:
    """Numbers of 4 bytes. The last round is the last one that the device has finished; -1: none yet."""

    cqi: float
    """-1: the device has not reported a channel yet; 0: out of range."""
    rank: float
    uplink_sinr_db: float
    """With its power on a quarter of the band."""
    uplink_rank: float
    coming_up_bytes: float
    coming_down_bytes: float
    last_round: float
    up_s: float
    down_s: float
    compute_s: float
    up_bytes: float
    down_bytes: float
    up_messages: float
    down_messages: float
    up_latency_s: float
    """Of the report before this one; 0: none yet, or the first one of all."""
    down_latency_s: float
    """Of the newest question."""
    radio_j: float
    """Spent on sending so far."""
    compute_j: float
    """Spent on computing so far, above idle."""


class Agent:
    """One device's side."""

    def __init__(
        self, sim: cosim.Simulation, node: cosim.Node, server: cosim.Node, channels: Channels, coming: Coming | None
    ) -> None:
        """coming: what rounds will carry; None: as much as the last one did."""
        self.sim, self.node, self.server = sim, node, server
        self.ue = [each.name for each in sim.nodes.values() if each.role == "ue"].index(node.name)
        self._channels, self._coming = channels, coming
        self.last_round, self.last = -1, Parts()
        self._up_latency_s = self._down_latency_s = 0.0
        self._answers = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextlib.contextmanager
    def work(self, link: Link, round_number: int) -> Iterator[None]:
        """Around the device's part of a round: what it finishes is in its next report."""
        self._idle.clear()
        try:
            yield
            self.last_round, self.last = round_number, dataclasses.replace(link.parts)
        finally:
            self._idle.set()

    async def report(self, round_number: int) -> Report:
        """Return the report before a round."""
        last, ch, ue = self.last, self._channels, self.ue
        up_bytes, down_bytes = last.up_bytes, last.down_bytes
        if self._coming is not None and round_number != END:
            up_bytes, down_bytes = self._coming(round_number)
        radio_j, compute_j = await self.joules()
        values: list[float] = [float(ch.cqi[ue]) if ch.reported[ue] else -1.0]
        values += [float(each[ue]) for each in (ch.rank, ch.uplink_sinr_db, ch.uplink_rank)]
        values += [up_bytes, down_bytes, self.last_round]
        values += [last.uplink_s, last.downlink_s, last.compute_s, last.up_bytes, last.down_bytes]
        values += [last.up_messages, last.down_messages, self._up_latency_s, self._down_latency_s, radio_j, compute_j]
        return Report(*values)

    async def joules(self) -> tuple[float, float]:
        """Return what sending and computing have taken so far, J."""
        radio_j = float((await self.sim.observable(RADIO_J).read()).value[UP, self.ue])
        device = self.node.device
        return radio_j, self.node.busy_s * (device.busy_w - device.idle_w)

    async def answer(self) -> None:
        """Answer questions until the server ends the run, or the battery is empty."""
        try:
            while True:
                question = await self.node.receive(self.server, tag="report?")
                arrived_s = float(on_its_way(question, 0.0, self.sim.now_s))
                if (round_number := int(question.data)) == END:
                    return
                await self._idle.wait()  # the server may have everything before the device knows that
                counts = self._answers > 0  # the first messages set the connection up
                self._answers += 1
                if counts:
                    self._down_latency_s = arrived_s
                values = torch.tensor(dataclasses.astuple(await self.report(round_number)), dtype=torch.float32)
                start_s = self.sim.now_s
                await self.node.send(
                    self.server, {"step": number(round_number), "report": values}, tag="report", encoding="fp32"
                )
                if counts:
                    self._up_latency_s = self.sim.now_s - start_s
        except BatteryEmpty:
            return  # the server misses its reports, and leaves it out
