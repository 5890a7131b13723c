# SPDX-License-Identifier: GPL-2.0-only
"""The round loop of all algorithms: invitations, participation, deadlines, stragglers. An algorithm says what a device
and the server do in a round.

    server --invitation--> devices drawn for the round        (4 bytes: the round; -1 ends the run)
      ... the algorithm's own messages, which begin with their step
    server --release--> devices dropped at the deadline       (4 bytes: the round), which then give up the round

Without the policy "drop", there is no release message. If everybody takes part in every round and knows the number of
rounds (`announced` is False), there are no invitations, either: only the algorithm's messages are sent.

The server does not learn that the battery of a device is empty. With the policy "drop", it misses that device at each
deadline, and the rounds go on with the others. Without it, nobody would end the wait, so `BatteryEmpty` ends the run.

The same holds for a device out of reach, whose transfers wait and then fail: with "drop" it gives up the round, and
comes back with the next invitation that it gets. If it cannot be told of the end within a deadline, it learns of it
outside of the network, since nobody goes on waiting. Without "drop", `TransferError`, which names both nodes, ends the
run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from edgelam.errors import BatteryEmpty, TransferError, TransferRefused
from edgelam.learning.conversation import Link, Parts, number, on_its_way
from edgelam.learning.participation import draw

if TYPE_CHECKING:
    from edgelam import cosim

T = TypeVar("T")
END = -1


@dataclass(frozen=True)
class Rounds:
    """The rounds of a run: how many, who takes part, and how long the server waits."""

    numbers: range
    """Numbers of the rounds, from 0; a resumed run begins later."""
    participation: float = 1.0
    """Share of the devices drawn for each round."""
    deadline_s: float | None = None
    """Simulated seconds after which a device is late; None: never."""
    stragglers: Literal["wait", "drop"] = "wait"
    """What happens to a device that is late."""
    seed: int = 0
    """The seed of the draws."""
    announced: bool = True
    """Whether a round begins with an invitation. False: everybody takes part in all of them, without a deadline."""


@dataclass(frozen=True)
class FinishedRound(Generic[T]):
    """What the server knows about a round that has ended; times are in simulated seconds."""

    number: int
    start_s: float
    end_s: float
    num_devices: int
    dropped: frozenset[str]
    """Devices that were left out."""
    late: frozenset[str]
    """Devices that missed the deadline but were waited for."""
    result: T
    """The algorithm's result of the round."""


async def device_loop(
    link: Link,
    rounds: Rounds,
    work: Callable[[int], Awaitable[None]],
    *,
    give_up: Callable[[], None] = lambda: None,
    finished: Callable[[int], None] = lambda number: None,
) -> None:
    """Run a device: wait for invitations and do `work(round)`, until the server ends the run.

    give_up: called when the server has dropped the device within a round; the work has been cancelled by then.
    finished: called when the device learns that a round in which it took part has ended, with link.parts of that round.

    Raises BatteryEmpty, unless late devices are dropped: then such a device takes part in nothing more, and does not
    learn that its last round has ended.
    """
    try:
        await _take_part(link, rounds, work, give_up, finished)
    except BatteryEmpty as error:
        if rounds.stragglers != "drop":
            raise BatteryEmpty(
                f"{error}; rounds go on without such a device if the server drops devices that miss its deadline"
            ) from error
        give_up()


async def _take_part(
    link: Link,
    rounds: Rounds,
    work: Callable[[int], Awaitable[None]],
    give_up: Callable[[], None],
    finished: Callable[[int], None],
) -> None:
    if not rounds.announced:
        for round_number in rounds.numbers:
            await work(round_number)
        return
    last: int | None = None
    while True:
        invitation = await link.node.receive(link.server, tag="invitation")
        if last is not None:
            finished(last)
        round_number = int(invitation.data)
        if round_number == END:
            return
        arrived_s = on_its_way(invitation, 0.0, link.sim.now_s)
        link.parts = Parts(downlink_s=arrived_s, down_bytes=invitation.size_bytes, down_messages=1)
        last = round_number
        if rounds.stragglers != "drop":
            await work(round_number)
        elif not await _unless_released(link, round_number, work):
            give_up()


async def _unless_released(link: Link, round_number: int, work: Callable[[int], Awaitable[None]]) -> bool:
    """Do the round's work, or stop when the server releases the device; return whether the work was finished."""

    async def released() -> None:
        while int((await link.node.receive(link.server, tag="release")).data) < round_number:
            pass  # the release of an older round, which this device has finished nevertheless

    async def working() -> None:
        await work(round_number)

    tasks = [asyncio.create_task(working()), asyncio.create_task(released())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finished = tasks[0].done()
        if finished:
            tasks[0].result()
        return finished
    except TransferRefused:
        raise
    except TransferError:  # it is out of reach; the server drops it
        return False
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def each(devices: Sequence[cosim.Node], exchange: Callable[[cosim.Node], Awaitable[T]], until_s: float | None,
               sim: cosim.Simulation) -> dict[str, T]:  # fmt: skip
    """Do `exchange(device)` with all devices at once; return results by name, in the order of `devices`.

    until_s: simulated time at which exchanges that are not finished are cancelled and left out; None: wait for all.
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


async def everybody(devices: Sequence[cosim.Node], exchange: Callable[[cosim.Node], Awaitable[T]]) -> dict[str, T]:
    """Do as `each` if nobody can be late: in a task group, whose tasks have the names of their devices."""

    async def one(device: cosim.Node) -> T:
        return await exchange(device)

    async with asyncio.TaskGroup() as group:
        tasks = {device.name: group.create_task(one(device), name=f"round with {device.name}") for device in devices}
    return {name: task.result() for name, task in tasks.items()}


class Exchange:
    """The server's side of one round: who takes part, who has been dropped, and how long to wait."""

    def __init__(self, sim: cosim.Simulation, node: cosim.Node, chosen: Sequence[cosim.Node], round_number: int,
                 rounds: Rounds) -> None:  # fmt: skip
        """Make a round that starts now with the devices `chosen`."""
        self.sim, self.node, self.round, self.rounds = sim, node, round_number, rounds
        self.chosen = list(chosen)
        self.active = list(chosen)
        self.start_s = sim.now_s
        self.late: set[str] = set()

    async def invite_and(self, exchange: Callable[[cosim.Node], Awaitable[T]], share: float = 1.0) -> dict[str, T]:
        """Invite every device (if rounds are announced), then do the first exchange with it."""
        if not self.rounds.announced:
            return await everybody(self.active, exchange)

        async def first(device: cosim.Node) -> T:
            await self.node.send(device, number(self.round), tag="invitation")
            return await exchange(device)

        return await self.each(first, share)

    async def each(self, exchange: Callable[[cosim.Node], Awaitable[T]], share: float = 1.0) -> dict[str, T]:
        """Do an exchange with every device still active; with the policy "drop", those not finished after `share`
        of the round's deadline are dropped from the round."""
        if not self.rounds.announced:
            return await everybody(self.active, exchange)
        deadline_s = self.rounds.deadline_s
        drop = self.rounds.stragglers == "drop" and deadline_s is not None
        cut_off_s = None if deadline_s is None else self.start_s + share * deadline_s

        # a device that waited for a late one in an earlier phase is not late itself
        nobody_was_late = not self.late

        async def noting(device: cosim.Node) -> T:
            result = await exchange(device)
            if cut_off_s is not None and nobody_was_late and self.sim.now_s > cut_off_s:
                self.late.add(device.name)
            return result

        async def reaching(device: cosim.Node) -> list[T]:
            """Return the result in a list, which is empty if the device is out of reach."""
            try:
                return [await noting(device)]
            except TransferError as error:
                if not drop or isinstance(error, TransferRefused):
                    raise
                return []

        found = await each(self.active, reaching, cut_off_s if drop else None, self.sim)
        results = {name: result for name, one in found.items() for result in one}
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
    rounds: Rounds,
    *,
    serve: Callable[[Exchange], Awaitable[T]],
    finished: Callable[[FinishedRound[T]], None],
    choose: Callable[[int], Awaitable[Sequence[cosim.Node]]] | None = None,
) -> list[T]:
    """Do all rounds: `serve` does one, and `finished` gets it. Returns the results of `serve`.

    choose: who takes part in a round, decided before it begins; None: those drawn for it (participation.py).
    """
    results: list[T] = []
    releases: list[tuple[cosim.Node, int, asyncio.Task[Any]]] = []
    for round_number in rounds.numbers:
        if choose is None:
            chosen = [devices[i] for i in draw(len(devices), rounds.participation, round_number, rounds.seed)]
        else:
            chosen = list(await choose(round_number))
        exchange = Exchange(sim, node, chosen, round_number, rounds)
        results.append(await serve(exchange))
        if rounds.stragglers == "drop":
            releases += [
                (device, round_number, asyncio.create_task(_release(node, device, round_number)))
                for device in exchange.dropped
            ]
        dropped = frozenset(device.name for device in exchange.dropped)
        late = frozenset(exchange.late - dropped)
        finished(
            FinishedRound(round_number, exchange.start_s, sim.now_s, len(chosen), dropped, late, results[-1])
        )  # fmt: skip
    limit_s = rounds.deadline_s if rounds.stragglers == "drop" else None
    for device, round_number, release in releases:
        await _within(limit_s, release, node, device, ("release", round_number))
    if rounds.announced:
        await each(devices, lambda device: _end(limit_s, node, device), None, sim)
    return results


async def _release(node: cosim.Node, device: cosim.Node, round_number: int) -> None:
    await node.send(device, number(round_number), tag="release")


async def _end(limit_s: float | None, node: cosim.Node, device: cosim.Node) -> None:
    await _within(limit_s, node.send(device, number(END), tag="invitation"), node, device, ("invitation", END))


async def _within(
    limit_s: float | None, sending: Awaitable[Any], node: cosim.Node, device: cosim.Node, what: tuple[str, int]
) -> None:
    """Wait for a last message to a device; after limit_s (None: no limit), send it outside of the network."""
    try:
        async with asyncio.timeout(limit_s):
            await sending
    except (TimeoutError, TransferError):
        if limit_s is None:
            raise
        tag, value = what
        await node.send(device, number(value), tag=tag, protocol="ideal")
