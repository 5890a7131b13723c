# SPDX-License-Identifier: GPL-2.0-only
"""Who decides on which replica a request is served, what this one knows, and what that costs.

With a router node, each request asks it first: a question crosses the network, the choices take the router's processor
the operations of the rule, and the route crosses the network back. Without a router node, decisions take no time, and
everything is known at once and everywhere, which shows what deciding costs.

A queue is what rules such as join-shortest-queue mean by it: all calls that were routed to a replica and have not
ended, those that are on their way there included. Without a router node, that number is known. A router knows less:
every `report_every_s`, each node sends it, for each of its instances, how many calls have not ended and how many have
come so far (4 bytes each). To the calls of the newest report that has arrived, it adds those that it has routed and
that this report did not count as having come. A call may never come (a Switch takes another branch, a node fails), so
after `FORGET_S` it is taken out.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import numpy as np

from edgelam.cosim.work import Work
from edgelam.errors import BatteryEmpty, ConfigurationError, TransferError
from edgelam.inference.routing import JoinShortestQueue, Replica, Rule
from edgelam.random_streams import derive_seed, from_numbers

if TYPE_CHECKING:
    from edgelam.inference.attempt import Attempt
    from edgelam.inference.moments import Moment
    from edgelam.inference.serving import Serving

QUESTION = np.zeros(16, np.uint8)
"""Request, user, graph and attempt: four numbers of 4 bytes."""
FORGET_S = 1.0
"""Simulated seconds after which a router no longer expects a call that it has routed."""
BYTES_AN_OPERATION = 24
"""Each operation reads two values of 8 bytes, and writes one."""


class Dispatcher:
    """Decides by one rule."""

    def __init__(self, rule: Rule | None = None, *, node: str | None = None, report_every_s: float = 0.1) -> None:
        """rule: by default the shortest queue; node: the router, None: decisions are free and know everything."""
        if not report_every_s > 0:
            raise ConfigurationError(f"report_every_s is {report_every_s!r}; it must be above 0")
        self.rule: Rule = rule or JoinShortestQueue()
        self.node = node
        self.report_every_s = report_every_s
        self._serving: Serving
        self._reported: dict[tuple[str, str], float] = {}
        self._seen: dict[tuple[str, str], int] = {}
        """(service, node) -> calls that have come there, by the newest report."""
        self._coming: defaultdict[tuple[str, str], deque[_Routed]] = defaultdict(deque)
        """(service, node) -> calls that were routed there and are not known to have come, the oldest first."""

    def begin(self, serving: Serving) -> None:
        """Decide for these services from now on. Raises ConfigurationError if there is no such router node."""
        self._serving = serving
        if self.node is not None:
            serving.sim.node(self.node)

    async def route(self, attempt: Attempt, begin: Moment) -> tuple[dict[str, str], Moment]:
        """Return service -> node for all services of the request's graph, and when the user knows it."""
        serving = self._serving
        if self.node is None:
            return self._choose(attempt)[0], begin
        router = serving.sim.node(self.node)
        if attempt.user is not router:
            begin = await attempt.carry(attempt.user, router, QUESTION, "where?", begin, part="decision")
        await serving.check_up(router)
        routes, operations = self._choose(attempt)
        async with router.compute("route", work=Work(operations, BYTES_AN_OPERATION * operations)):
            pass
        begin = begin.after(serving.sim.now_ns, "decision")
        if attempt.user is not router:
            answer = np.zeros(len(routes), np.uint32)
            begin = await attempt.carry(router, attempt.user, answer, "route", begin, part="decision")
        return routes, begin

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Have nodes report their queues while the body goes on, if the rule looks at them."""
        tasks = []
        if self.node is not None and self.rule.needs_queues:
            tasks = [
                asyncio.create_task(self._report(node), name=f"queues of {node}") for node in self._serving.places()
            ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended

    def _choose(self, attempt: Attempt) -> tuple[dict[str, str], int]:
        serving, request = self._serving, attempt.request
        rng = from_numbers(derive_seed(serving.sim.seed, f"route of request {request.id}, attempt {attempt.number}"))
        routes, operations = {}, 0
        visits = Counter(service for service, _ in attempt.graph.visits())
        for service in attempt.graph.services():
            nodes = serving.replicas(service)
            serving.check_replicas(service, nodes)
            replicas = [
                Replica(node, serving.sim.node(node).device.flops_per_s, self._queue(service, node)) for node in nodes
            ]
            node = nodes[self.rule.choose(service, replicas, request, rng)]
            routes[service] = node
            call = _Routed(attempt, serving.sim.now_ns)
            self._coming[service, node].extend([call] * visits[service])
            operations += self.rule.operations(len(replicas))
        return routes, operations

    def arrived(self, attempt: Attempt, service: str, node: str) -> None:
        """Note that a call has come to its instance; a router learns of it by a report."""
        if self.node is None:
            self._drop(service, node, attempt, 1)

    def ended(self, attempt: Attempt) -> None:
        """Note that an attempt has ended, so that no more of its calls come; a router is not told."""
        if self.node is None:
            for service, node in list(self._coming):
                self._drop(service, node, attempt, len(self._coming[service, node]))

    def _drop(self, service: str, node: str, attempt: Attempt, most: int) -> None:
        coming = self._coming[service, node]
        for call in [call for call in coming if call.attempt is attempt][:most]:
            coming.remove(call)

    def queues(self, node: str) -> dict[str, float]:
        """Return the calls of each service of a node that were routed there and have not ended, as far as is known."""
        return {service: self._queue(service, node) for service in self._serving.services_on(node)}

    def _queue(self, service: str, node: str) -> float:
        coming = self._coming[service, node]
        if self.node is None:
            return float(self._serving.outstanding(service, node) + len(coming))
        while coming and coming[0].time_ns < self._serving.sim.now_ns - round(FORGET_S * 1e9):
            coming.popleft()
        return self._reported.get((service, node), 0.0) + len(coming)

    async def _report(self, name: str) -> None:
        """Send the queues of a node's instances to the router, again and again; a node that has failed stops."""
        serving = self._serving
        node, router = serving.sim.node(name), serving.sim.node(str(self.node))
        with contextlib.suppress(TransferError, BatteryEmpty):
            while not serving.is_down(name) and not serving.is_down(router.name):
                await asyncio.sleep(self.report_every_s)
                services = serving.services_on(name)
                states = [(serving.outstanding(service, name), serving.received(service, name)) for service in services]
                if services and node is not router:
                    await serving.transport.carry(node, router, np.array(states, np.uint32), f"queues of {name}")
                for service, (queue, received) in zip(services, states, strict=True):
                    self._learn(service, name, queue, received)

    def _learn(self, service: str, node: str, queue: int, received: int) -> None:
        """Take in a report: the oldest of the calls that were routed are those that have come."""
        coming, before = self._coming[service, node], self._seen.get((service, node), 0)
        new = received - before if received >= before else received  # an instance that is started anew counts from 0
        for _ in range(min(new, len(coming))):
            coming.popleft()
        self._reported[service, node], self._seen[service, node] = float(queue), received


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Routed:
    """A call that was routed."""

    attempt: Attempt
    time_ns: int
