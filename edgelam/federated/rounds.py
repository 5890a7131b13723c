# SPDX-License-Identifier: GPL-2.0-only
"""The round loop, written once: invitations, participation, deadlines, stragglers, records. An algorithm fills in what
a device and the server do in a round.

    server --invitation--> devices drawn for the round        (4 bytes: the round; -1 ends the run)
      ... the algorithm's own messages, each headed by its step ...
    server --release--> devices dropped at the deadline       (4 bytes: the round), which then give the round up

A dropped device may still have messages of an old round under way; the step number heading every message tells them
apart. Without the policy "drop" there is no release message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from edgelam.errors import ConfigurationError
from edgelam.federated.records import DeviceRecord, DeviceRoundRecord, Report, RoundRecord
from edgelam.federated.setup import Setup
from edgelam.learning.participation import draw

if TYPE_CHECKING:
    from edgelam import cosim

T = TypeVar("T")
END = -1


def device_nodes(sim: cosim.Simulation, setup: Setup) -> list[cosim.Node]:
    """The nodes that hold data: the first `num_devices` with role "ue"."""
    nodes = [node for node in sim.nodes.values() if node.role == "ue"]
    wanted = setup.settings.num_devices
    if len(nodes) < wanted:
        raise ConfigurationError(f"num_devices is {wanted} but the scenario has {len(nodes)} user devices (role ue)")
    return nodes[:wanted]


def server_node(sim: cosim.Simulation) -> cosim.Node:
    """The node that serves: the first with role "edge", else the first with role "cloud"."""
    for role in ("edge", "cloud"):
        for node in sim.nodes.values():
            if node.role == role:
                return node
    roles = sorted({node.role for node in sim.nodes.values()})
    raise ConfigurationError(f"the scenario has no server (role edge or cloud), only {', '.join(roles) or 'nothing'}")


def number(value: int) -> torch.Tensor:
    """A whole number as it travels: 4 bytes."""
    return torch.tensor(value, dtype=torch.int32)


@dataclass
class Parts:
    """A device's time in one round, as it adds up (simulated seconds)."""

    compute_s: float = 0.0
    uplink_s: float = 0.0
    downlink_s: float = 0.0
    loss_sum: float = 0.0
    num_samples: int = 0


@dataclass
class RoundFacts:
    """What the server knows about a finished round and a device's record needs."""

    start_s: float
    end_s: float
    dropped: frozenset[str]


@dataclass
class Log:
    """Shared between the coroutines of one run, for its records only: nothing here reaches the learning."""

    method: str
    sim: cosim.Simulation
    report: Report
    rounds: dict[int, RoundFacts] = field(default_factory=dict)

    def device_round(self, round_number: int, device: str, parts: Parts) -> None:
        """Report a device's round; the time it did not account for is waiting."""
        facts = self.rounds[round_number]
        left = facts.end_s - facts.start_s
        spent = []
        # the server may be done before the device hears of it: never account for more than the round lasted
        for seconds in (parts.downlink_s, parts.compute_s, parts.uplink_s):
            spent.append(np.minimum(seconds, left))
            left -= spent[-1]
        counted = device not in facts.dropped
        loss = parts.loss_sum / parts.num_samples if parts.num_samples else float("nan")
        self.report(
            DeviceRoundRecord(
                self.method, round_number, device, facts.start_s, facts.end_s,
                spent[1], spent[2], spent[0], left, loss, parts.num_samples, counted,
            )
        )  # fmt: skip


class Link:
    """One device's side of its conversation with the server, with the time each part takes added up."""

    def __init__(self, sim: cosim.Simulation, node: cosim.Node, server: cosim.Node, setup: Setup) -> None:
        """Between the device `node` and `server`."""
        self.sim, self.node, self.server = sim, node, server
        self.encoding = setup.settings.encoding
        self.parts = Parts()

    async def send(self, tag: str, step: int, data: dict[str, Any], *, encoding: str | None = None) -> None:
        """Send tensors, headed by the step; returns when the last byte is acknowledged."""
        start_s = self.sim.now_s
        await self.node.send(self.server, {"step": number(step), **data}, tag=tag, encoding=encoding or self.encoding)
        self.parts.uplink_s += self.sim.now_s - start_s

    async def receive(self, tag: str, step: int) -> dict[str, Any]:
        """The server's message of that step; older ones are thrown away."""
        start_s = self.sim.now_s
        message = await expect(self.node, self.server, tag, step)
        self.parts.downlink_s += _on_its_way(message, start_s, self.sim.now_s)
        return dict(message.data)

    @contextmanager
    def accounting(self) -> Iterator[None]:
        """Count the simulated time within as this device's computing (with waiting for its processor)."""
        start_s = self.sim.now_s
        yield
        self.parts.compute_s += self.sim.now_s - start_s


def _on_its_way(message: cosim.Message, from_s: float, to_s: float) -> float:
    """The part of [from_s, to_s] in which the message was being transferred."""
    return np.maximum(0.0, to_s - np.maximum(from_s, message.queued_s))


async def expect(node: cosim.Node, source: cosim.Node, tag: str, step: int) -> cosim.Message:
    """The message of that step; older ones (of a round in which the source was dropped) are thrown away."""
    while True:
        message = await node.receive(source, tag=tag)
        if int(message.data["step"]) == step:
            return message


async def device_loop(
    link: Link, log: Log, setup: Setup, work: Callable[[int], Awaitable[None]], give_up: Callable[[], None]
) -> None:
    """A device's life: wait for invitations, do `work(round)`, until the server ends the run.

    give_up: called when the server has dropped the device within a round; work has been cancelled by then.
    """
    last: int | None = None
    while True:
        invitation = await link.node.receive(link.server, tag="invitation")
        if last is not None:
            log.device_round(last, link.node.name, link.parts)
        round_number = int(invitation.data)
        if round_number == END:
            return
        link.parts = Parts(downlink_s=_on_its_way(invitation, 0.0, link.sim.now_s))
        last = round_number
        if setup.settings.stragglers != "drop":
            await work(round_number)
        elif not await _unless_released(link, round_number, work):
            give_up()


async def _unless_released(link: Link, round_number: int, work: Callable[[int], Awaitable[None]]) -> bool:
    """Do the round's work, or stop when the server releases the device; whether the work was finished."""

    async def released() -> None:
        while int((await link.node.receive(link.server, tag="release")).data) < round_number:
            pass  # the release of an older round, which this device finished none the less

    async def working() -> None:
        await work(round_number)

    tasks = [asyncio.create_task(working()), asyncio.create_task(released())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finished = tasks[0].done()
        if finished:
            tasks[0].result()
        return finished
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def each(devices: Sequence[cosim.Node], exchange: Callable[[cosim.Node], Awaitable[T]], until_s: float | None,
               sim: cosim.Simulation) -> dict[str, T]:  # fmt: skip
    """Do `exchange(device)` with all devices at once; results by name, in the order of `devices`.

    until_s: simulated time at which what is not finished is cancelled and left out; None: wait for all.
    """

    async def one(device: cosim.Node) -> T:
        return await exchange(device)

    tasks = {device.name: asyncio.create_task(one(device)) for device in devices}
    if not tasks:
        return {}
    try:
        timeout_s = None if until_s is None else max(0.0, until_s - sim.now_s)
        await asyncio.wait(list(tasks.values()), timeout=timeout_s, return_when=asyncio.FIRST_EXCEPTION)
        return {name: task.result() for name, task in tasks.items() if task.done()}
    finally:
        late = [task for task in tasks.values() if not task.done()]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


@dataclass
class RoundResult:
    """What an algorithm's server made of a round: samples that counted, by device name, and their summed loss."""

    samples: dict[str, int]
    loss_sum: float


class Exchange:
    """The server's side of one round: who takes part, who has been dropped, and how long to wait."""

    def __init__(self, sim: cosim.Simulation, node: cosim.Node, chosen: Sequence[cosim.Node], round_number: int,
                 setup: Setup) -> None:  # fmt: skip
        """A round that starts now with the devices `chosen`."""
        self.sim, self.node, self.round = sim, node, round_number
        self.chosen = list(chosen)
        self.active = list(chosen)
        self.start_s = sim.now_s
        self.late: set[str] = set()
        self._settings = setup.settings

    async def invite_and(self, exchange: Callable[[cosim.Node], Awaitable[T]], share: float) -> dict[str, T]:
        """Invite every device, then do the first exchange with it."""

        async def first(device: cosim.Node) -> T:
            await self.node.send(device, number(self.round), tag="invitation")
            return await exchange(device)

        return await self.each(first, share)

    async def each(self, exchange: Callable[[cosim.Node], Awaitable[T]], share: float) -> dict[str, T]:
        """Do an exchange with every device still active; with the policy "drop", those not finished after `share`
        of the round's deadline are dropped from the round."""
        deadline_s = self._settings.round_deadline_s
        drop = self._settings.stragglers == "drop" and deadline_s is not None
        cut_off_s = None if deadline_s is None else self.start_s + share * deadline_s

        # who waited for a late device in an earlier phase is not late itself
        nobody_was_late = not self.late

        async def noting(device: cosim.Node) -> T:
            result = await exchange(device)
            if cut_off_s is not None and nobody_was_late and self.sim.now_s > cut_off_s:
                self.late.add(device.name)
            return result

        results = await each(self.active, noting, cut_off_s if drop else None, self.sim)
        self.active = [device for device in self.active if device.name in results]
        return results

    @property
    def dropped(self) -> list[cosim.Node]:
        """Devices that were invited and are no longer active."""
        names = {device.name for device in self.active}
        return [device for device in self.chosen if device.name not in names]


async def server_loop(
    sim: cosim.Simulation,
    node: cosim.Node,
    devices: Sequence[cosim.Node],
    setup: Setup,
    log: Log,
    *,
    rounds: int,
    steps_per_round: int,
    serve: Callable[[Exchange], Awaitable[RoundResult]],
    after: Callable[[int], None],
) -> int:
    """All rounds: `serve` does one, `after(round)` looks at the model. Returns the samples that counted."""
    settings = setup.settings
    total = 0
    releases: list[asyncio.Task[Any]] = []
    for round_number in range(rounds):
        chosen = [devices[i] for i in draw(len(devices), settings.participation, round_number, setup.seed)]
        exchange = Exchange(sim, node, chosen, round_number, setup)
        result = await serve(exchange)
        if settings.stragglers == "drop":
            releases += [asyncio.create_task(_release(node, device, round_number)) for device in exchange.dropped]
        samples = sum(result.samples.values())
        total += samples
        dropped = frozenset(device.name for device in exchange.dropped)
        log.rounds[round_number] = RoundFacts(exchange.start_s, sim.now_s, dropped)
        log.report(
            RoundRecord(
                log.method,
                round_number,
                min((round_number + 1) * steps_per_round, settings.rounds),
                exchange.start_s,
                sim.now_s,
                result.loss_sum / samples if samples else float("nan"),
                samples,
                len(chosen),
                len(dropped),
                len(exchange.late - dropped),
            )
        )
        after(round_number)
    for release in releases:
        await release
    await each(devices, lambda device: node.send(device, number(END), tag="invitation"), None, sim)
    return total


async def _release(node: cosim.Node, device: cosim.Node, round_number: int) -> None:
    await node.send(device, number(round_number), tag="release")


def report_nodes(log: Log, setup: Setup, devices: Sequence[cosim.Node], server: cosim.Node | None) -> None:
    """Report what the run cost each node."""
    for index, node in enumerate([*devices, *([server] if server else [])]):
        held = len(setup.shards[index]) if index < len(devices) else 0
        log.report(
            DeviceRecord(
                log.method,
                node.name,
                node.role,
                held,
                int(node.memory.peak_bytes),
                node.energy_j,
                int(node.flops),
            )
        )
