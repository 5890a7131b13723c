# SPDX-License-Identifier: GPL-2.0-only
"""The loop of migration in a simulation: slot by slot, a policy decides from what was measured, and sessions move.

At the beginning of a slot, users report what they have measured (latency, jitter, loss: 12 bytes) and servers what they
hold (12 bytes for each session) to the node that decides, whose processor then takes the operations of the policy; it
tells each server whose session is to move (8 bytes). All of this is transfers and computing. With `charge` False,
everything is known at once and deciding takes no time, which shows what deciding costs. Delays of links and the nearest
server are observables of the scenario.

The virtual queues get what was measured in the slot, never what was predicted. A server that has failed reports
nothing, and if the deciding node has failed, sessions stay where they are.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError
from edgelam.inference.dispatch import BYTES_AN_OPERATION
from edgelam.inference.migration.estimates import Estimates
from edgelam.inference.migration.hosting import Hosting
from edgelam.inference.migration.one_shot import Choice
from edgelam.inference.migration.policies import Policy
from edgelam.inference.migration.problem import RESOURCES, SlotProblem
from edgelam.inference.migration.queues import VirtualQueues
from edgelam.inference.migration.records import UNENDED, MigrationRecord, TurnRecord

if TYPE_CHECKING:
    from edgelam.cosim.node import Node
    from edgelam.cosim.simulation import Simulation

OBSERVED = ("edge_round_trip_s", "nearest_edge")
"""Observables that a scenario needs, over (UE, edge server)."""


@dataclasses.dataclass(frozen=True)
class SlotRecord:
    """One slot."""

    slot: int
    start_s: float
    decided_s: float
    """Seconds from its beginning until all servers knew the decision."""
    operations: int
    moves: int
    """How many moves began in it."""
    turns: int
    """How many turns ended in it."""
    penalty_s: float
    """Mean latency of these turns, and interruptions of the moves that ended in it for each session; NaN: no turns."""
    uses: np.ndarray
    """Measured, in the units of `Budgets`, [K]; NaN: nothing was measured."""
    queues: np.ndarray
    """Q at its end, [K]."""
    problem: SlotProblem
    """As the policy saw it."""


class Control:
    """Decides for all sessions of a simulation."""

    def __init__(
        self, sim: Simulation, hosting: Hosting, estimates: Estimates, policy: Policy, queues: VirtualQueues, *,
        at: str, charge: bool = True,
    ) -> None:  # fmt: skip
        """at: the node that decides. Raises ConfigurationError if it, or an observable (`OBSERVED`), does not exist."""
        self.sim, self.hosting, self.estimates, self.policy, self.queues = sim, hosting, estimates, policy, queues
        self.node, self.charge = sim.node(at), charge
        for name in OBSERVED:
            sim.observable(name)
        self.records: list[SlotRecord] = []
        self._seen_turns: set[int] = set()
        self._seen_moves = 0
        edges = [node.name for node in sim.nodes.values() if node.role == "edge"]
        unknown = [node.name for node in estimates.nodes if node.name not in edges]
        if unknown:
            raise ConfigurationError(
                f"sessions cannot be at {', '.join(unknown)}: the scenario says the distance to servers of the role "
                f"edge only: {', '.join(edges)}"
            )
        self._columns = [edges.index(node.name) for node in estimates.nodes]
        ues = [node.name for node in sim.nodes.values() if node.role == "ue"]
        self._rows = [ues.index(user) for user in estimates.users]

    async def run(self, slots: int) -> None:
        """Go through so many slots; return when all moves have ended."""
        running: set[asyncio.Task[MigrationRecord]] = set()
        try:
            for slot in range(slots):
                running = {task for task in running if not task.done()}
                await self._slot(slot, running, last=slot == slots - 1)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _slot(self, slot: int, running: set[asyncio.Task[MigrationRecord]], *, last: bool) -> None:
        sim, hosting, names = self.sim, self.hosting, [node.name for node in self.estimates.nodes]
        begin_s, energy_j = sim.now_s, self._energy()
        round_trip_s, nearest = await self._look()
        decides = not hosting.failures.is_down(self.node.name)
        if self.charge and decides:
            await self._reports()
        problem = self.estimates.problem(round_trip_s, nearest)
        choice = self.policy.decide(problem, self.queues) if decides else Choice(problem.at)
        moved = [u for u in range(len(problem.users)) if choice.places[u] != problem.at[u]]
        if self.charge and decides:
            work = Work(choice.operations, BYTES_AN_OPERATION * choice.operations)
            async with self.node.compute("decide migration", work=work):
                pass
            await self._orders([self.estimates.nodes[problem.at[u]] for u in moved])
        decided_s = sim.now_s - begin_s
        started = 0
        for u in moved:
            user, target = problem.users[u], names[choice.places[u]]
            if hosting.moving_to(user) is None and hosting.where(user) != target:
                started += 1
                running.add(asyncio.create_task(hosting.move(user, target), name=f"move {user} to {target}"))
        await asyncio.sleep(max(begin_s + self.estimates.slot_s - sim.now_s, 0.0))
        if last:
            for task in running:
                await task
        turns, moves = self._ended(round_trip_s)
        penalty_s, uses = self._measured(turns, moves, energy_j, begin_s)
        self.queues.update(uses)
        self.records.append(
            SlotRecord(slot, begin_s, decided_s, choice.operations, started, len(turns), penalty_s, uses,
                       self.queues.values.copy(), problem)
        )  # fmt: skip

    async def _look(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the delays of links [U, N], and the nearest node of each user, int [U]."""
        trips = np.array((await self.sim.observable("edge_round_trip_s").read()).value, dtype=float)
        nearest = np.array((await self.sim.observable("nearest_edge").read()).value)[self._rows]
        trips = trips[np.ix_(self._rows, self._columns)]
        trips = np.where(np.isfinite(trips) & (trips >= 0), trips, trips[np.isfinite(trips)].max(initial=0.0))
        # A server at which no session may be is none of `nodes`: then the nearest one of these counts.
        ours = [self._columns.index(n) if n in self._columns else int(trips[u].argmin())
                for u, n in enumerate(nearest.tolist())]  # fmt: skip
        return trips, np.array(ours)

    def _ended(self, round_trip_s: np.ndarray) -> tuple[list[TurnRecord], list[MigrationRecord]]:
        """Return the turns and moves that have ended since the last call, after the estimates have learnt from them."""
        turns = [
            each
            for each in self.hosting.turns
            if each.turn not in self._seen_turns and (each.status == "complete" or each.reason != UNENDED)
        ]
        self._seen_turns |= {each.turn for each in turns}
        moves = self.hosting.moves[self._seen_moves :]
        self._seen_moves = len(self.hosting.moves)
        for turn in turns:
            self.estimates.saw_turn(turn, round_trip_s)
        for move in moves:
            self.estimates.saw_move(move, round_trip_s)
        return turns, moves

    def _measured(
        self, turns: Sequence[TurnRecord], moves: Sequence[MigrationRecord], energy_j: float, begin_s: float
    ) -> tuple[float, np.ndarray]:
        uses = dict.fromkeys(RESOURCES, np.nan)
        slot_s = self.estimates.slot_s
        uses["bandwidth"] = 8 * sum(each.state_bytes + each.weight_bytes for each in moves) / slot_s
        uses["storage"] = self.hosting.held_bytes()
        took_s = self.sim.now_s - begin_s
        idle_w = sum(node.device.idle_w for node in self.estimates.nodes)
        uses["power"] = max((self._energy() - energy_j) / took_s - idle_w, 0.0)
        done = [each for each in turns if not np.isnan(each.latency_s)]
        penalty_s = np.nan
        if done:
            uses["latency"] = float(np.mean([each.latency_s for each in done]))
            pauses_s = sum(each.interruption_s for each in moves) / len(self.estimates.users)
            penalty_s = uses["latency"] + pauses_s
        jitter_s = [each.jitter_s for each in turns if not np.isnan(each.jitter_s)]
        if jitter_s:
            uses["jitter"] = float(np.mean(jitter_s))
        tokens = sum(each.tokens for each in turns)
        if tokens:
            uses["loss"] = sum(each.lost for each in turns) / tokens
        return penalty_s, np.array([uses[name] for name in RESOURCES])

    def _energy(self) -> float:
        return sum(node.energy_j for node in self.estimates.nodes)

    # ---- what deciding costs -------------------------------------------------------------------------------------

    async def _reports(self) -> None:
        sim, hosting = self.sim, self.hosting
        held: dict[str, int] = {}
        for user in self.estimates.users:
            if not hosting.failures.is_down(hosting.where(user)):
                held[hosting.where(user)] = held.get(hosting.where(user), 0) + 1
        ways = [(sim.node(user), np.zeros(3, np.float32)) for user in self.estimates.users]
        ways += [(sim.node(name), np.zeros(3 * count, np.float32)) for name, count in held.items()]
        await self._carry([(source, self.node, data, "report") for source, data in ways])

    async def _orders(self, servers: Sequence[Node]) -> None:
        await self._carry([(self.node, server, np.zeros(2, np.uint32), "order") for server in servers])

    async def _carry(self, ways: Sequence[tuple[Node, Node, np.ndarray, str]]) -> None:
        async with asyncio.TaskGroup() as group:
            for source, to, data, what in ways:
                if source is not to:
                    group.create_task(self.hosting.transport.carry(source, to, data, what))
