# SPDX-License-Identifier: GPL-2.0-only
"""Who decides on which replica a request is served, what this one knows, and what that costs.

With a router node, each request asks it first: a question crosses the network, the choices take the router's processor
the operations of the rule, and the route crosses the network back. The router knows the queues that nodes have reported
(each node sends 4 bytes for each of its instances every `report_every_s`), and what it has sent there since. Without a
router node, decisions take no time and queues are known at once and everywhere, which shows what deciding costs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
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
        self._since: defaultdict[tuple[str, str], int] = defaultdict(int)

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
        for service in attempt.graph.services():
            nodes = serving.replicas(service)
            serving.check_replicas(service, nodes)
            replicas = [
                Replica(node, serving.sim.node(node).device.flops_per_s, self._queue(service, node)) for node in nodes
            ]
            node = nodes[self.rule.choose(service, replicas, request, rng)]
            routes[service] = node
            self._since[service, node] += 1
            operations += self.rule.operations(len(replicas))
        return routes, operations

    def queues(self, node: str) -> dict[str, float]:
        """Return the calls that each service of a node has not ended, as far as the router knows."""
        return {service: self._queue(service, node) for service in self._serving.services_on(node)}

    def _queue(self, service: str, node: str) -> float:
        if self.node is None:
            return float(self._serving.outstanding(service, node))
        return self._reported.get((service, node), 0.0) + self._since[service, node]

    async def _report(self, name: str) -> None:
        """Send the queues of a node's instances to the router, again and again; a node that has failed stops."""
        serving = self._serving
        node, router = serving.sim.node(name), serving.sim.node(str(self.node))
        with contextlib.suppress(TransferError, BatteryEmpty):
            while not serving.is_down(name) and not serving.is_down(router.name):
                await asyncio.sleep(self.report_every_s)
                services = serving.services_on(name)
                queues = np.array([serving.outstanding(service, name) for service in services], np.float32)
                before = {service: self._since[service, name] for service in services}
                if services and node is not router:
                    await serving.transport.carry(node, router, queues, f"queues of {name}")
                for service, queue in zip(services, queues.tolist(), strict=True):
                    self._reported[service, name] = queue
                    self._since[service, name] -= before[service]
