# SPDX-License-Identifier: GPL-2.0-only
"""Serves requests with shared services on the nodes of a simulation.

    serving = Serving(sim, services, graphs, dispatcher=Dispatcher(JoinShortestQueue()))
    serving.deploy({"vision": ["edge0"], "language": ["edge0", "edge1"]})
    outcome = await serving.serve(requests)

Every request ends with a record: it is complete, or it has failed and the record says why. If a node fails (`fail`),
its instances are gone. What waits for the node learns of it `detect_s` later, and begins again with the replicas that
are left.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgelam.cosim.transport import Transport
from edgelam.errors import ConfigurationError, EdgelamError, OutOfDeviceMemory, RunEnded, first_cause
from edgelam.inference.attempt import Answer, Attempt, NodeLost
from edgelam.inference.computing import Computing
from edgelam.inference.dispatch import Dispatcher
from edgelam.inference.graph import Graph
from edgelam.inference.instance import Instance, Site
from edgelam.inference.module import values_hash
from edgelam.inference.moments import Moment
from edgelam.inference.records import CallRecord, InstanceRecord, MoveRecord, RequestRecord
from edgelam.inference.requests import Request
from edgelam.inference.service import Service
from edgelam.text import suggest

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.cosim.node import Node
    from edgelam.cosim.simulation import Simulation

Placement = Mapping[str, Sequence[str]]
"""Service -> names of the nodes with an instance of it."""


@dataclass(frozen=True)
class Outcome:
    """What has come of the requests."""

    requests: list[RequestRecord]
    """In the order of their numbers."""
    calls: list[CallRecord]
    moves: list[MoveRecord]
    instances: list[InstanceRecord]
    answers: dict[int, dict[str, Tensor]]
    """Request -> its answer, if it is complete."""
    begin_s: float
    """Simulated time at which serving began: time 0 of the records."""
    end_s: float


class Serving:
    """Serves requests in one simulation."""

    def __init__(
        self,
        sim: Simulation,
        services: Mapping[str, Service],
        graphs: Mapping[str, Graph],
        *,
        computing: Computing | None = None,
        dispatcher: Dispatcher | None = None,
        repository: str | None = None,
        detect_s: float = 0.1,
        recover: Callable[[str], Placement] | None = None,
    ) -> None:
        """Serve with these.

        Args:
            sim: the simulation.
            services: by name.
            graphs: by name; each is checked.
            computing: runs the modules; give the same one to several simulations, and nothing is computed twice.
            dispatcher: decides on which replica a request is served; by default the one with the least queue, which is
                known at once and everywhere.
            repository: the node from which an instance that starts cold gets its weights.
            detect_s: how long it takes until a failed node is known to have failed.
            recover: says then, for this node, what is deployed instead, cold (edgelam/inference/recovery.py).

        Raises ConfigurationError.
        """
        self.sim, self.services, self.graphs = sim, services, graphs
        for graph in graphs.values():
            graph.check(services)
        if not 0 <= detect_s < math.inf:
            raise ConfigurationError(f"detect_s is {detect_s!r}; it must be finite and not negative")
        self.computing = computing or Computing()
        self.dispatcher = dispatcher or Dispatcher()
        self.repository = None if repository is None else sim.node(repository)
        self.detect_s = detect_s
        self.recover = recover
        self.transport = Transport()
        self.moves: list[MoveRecord] = []
        self.begin_ns = sim.now_ns
        self._calls: list[CallRecord] = []
        self._removed: list[InstanceRecord] = []
        self._sites: dict[str, Site] = {}
        self._instances: dict[tuple[str, str], Instance] = {}
        self._failed: dict[str, asyncio.Event] = {}
        self._attempts: dict[asyncio.Task[Answer], Attempt] = {}
        self.dispatcher.begin(self)

    # ---- instances -----------------------------------------------------------------------------------------------

    def deploy(self, placement: Placement, *, cold: bool = False) -> None:
        """Put instances on nodes.

        cold: an instance gets its weights over the network when it is first called; otherwise they are there.

        Raises ConfigurationError for an unknown service or node and for a service that is there already, and
        OutOfDeviceMemory, with both numbers, if weights do not fit. Then nothing has been deployed.
        """
        asked = [(name, node) for name, nodes in placement.items() for node in nodes]
        need: dict[str, int] = {}
        for name, node in asked:
            if name not in self.services:
                raise ConfigurationError(f"no service is called {name!r}; {suggest(name, self.services)}")
            if node in self._failed:
                raise ConfigurationError(f"{name} cannot be deployed on {node}, which has failed")
            if (name, node) in self._instances or asked.count((name, node)) > 1:
                raise ConfigurationError(f"{name} is on {node} already: a node has one instance of a service")
            need[node] = need.get(node, 0) + self.services[name].weight_bytes
        for node, size in need.items():
            memory = self.sim.node(node).memory
            if memory.used_bytes + size > memory.capacity_bytes:
                names = ", ".join(f"{s} {self.services[s].weight_bytes:,}" for s, at in asked if at == node)
                raise OutOfDeviceMemory(
                    f"{node}: the weights of its services need {size:,} bytes, but of its {memory.capacity_bytes:,} "
                    f"bytes only {memory.capacity_bytes - memory.used_bytes:,} are free ({names})"
                )
        if cold and self.repository is None:
            raise ConfigurationError("a cold start needs a repository: the node that has the weights")
        for name, node in asked:
            site = self._sites.setdefault(node, Site(self.sim.node(node)))
            instance = Instance(
                self.sim, site, self.services[name], computing=self.computing, transport=self.transport,
                note=self._calls.append, begin_ns=self.begin_ns,
            )  # fmt: skip
            self._instances[name, node] = instance
            if not cold:
                instance.start(None)

    async def remove(self, service: str, node: str) -> None:
        """Take an instance away at once; calls that have not ended are sent to another one."""
        if (service, node) not in self._instances:
            raise ConfigurationError(f"{service} is not on {node}")
        instance = self._instances.pop((service, node))
        await instance.stop(NodeLost(f"{service} was removed from {node}"))
        self._removed.append(instance.record())

    def replicas(self, service: str) -> list[str]:
        """Return the nodes with an instance of a service that are not known to have failed, in order of deployment."""
        return [
            node
            for name, node in self._instances
            if name == service and not (node in self._failed and self._failed[node].is_set())
        ]

    def instance(self, service: str, node: str) -> Instance:
        """Return an instance; one that is cold begins to load."""
        found = self._instances.get((service, node))
        if found is None:
            raise NodeLost(f"{service} is no longer on {node}")
        if not found.started and found.failure is None:
            try:
                if self.repository is not None and self.is_down(self.repository.name):
                    raise self._no_weights(service)
                found.start(self.repository)
            except EdgelamError as error:
                found.refuse(error)
        return found

    def check_replicas(self, service: str, replicas: Sequence[str]) -> None:
        """Raise NodeLost if there is none."""
        if not replicas:
            raise NodeLost(f"no instance of {service} is left")

    def places(self) -> list[str]:
        """Return the names of all nodes with instances."""
        return list(self._sites)

    def services_on(self, node: str) -> list[str]:
        """Return the services with an instance on a node."""
        return [name for name, place in self._instances if place == node]

    def cold_on(self, node: str) -> list[str]:
        """Return the services with an instance on a node whose weights do not take its memory yet."""
        return [name for (name, place), each in self._instances.items() if place == node and not each.started]

    def is_down(self, node: str) -> bool:
        """Return whether a node has failed, known or not."""
        return node in self._failed

    def outstanding(self, service: str, node: str) -> int:
        """Return how many calls an instance has not ended."""
        return self._instances[service, node].outstanding

    def received(self, service: str, node: str) -> int:
        """Return how many calls have come to an instance so far."""
        return self._instances[service, node].received

    # ---- failures ------------------------------------------------------------------------------------------------

    async def fail(self, node: str) -> None:
        """Have a node fail now, for good: it computes nothing and sends nothing more."""
        self.sim.node(node)
        if node in self._failed:
            return
        self._failed[node] = asyncio.Event()
        loading = [instance for instance in self._instances.values() if instance.loads_from(node)]
        for (_, place), instance in self._instances.items():
            if place == node or instance in loading:
                await instance.stop()
        if self.detect_s:
            await asyncio.sleep(self.detect_s)
        self._failed[node].set()
        for instance in loading:
            instance.refuse(self._no_weights(instance.service.name))
        if self.recover is not None:
            self.deploy(self.recover(node), cold=True)
        for task, attempt in list(self._attempts.items()):
            if attempt.uses[node] > 0 and not task.done():
                attempt.lost = node
                task.cancel()

    async def check_up(self, node: Node) -> None:
        """Return if a node is up. If it has failed, wait until that is known, and raise NodeLost."""
        if node.name in self._failed:
            await self._failed[node.name].wait()
            raise NodeLost(f"{node.name} has failed")

    # ---- requests ------------------------------------------------------------------------------------------------

    async def serve(
        self, requests: Sequence[Request], *, failures: Mapping[str, float] | None = None, begin_ns: int | None = None
    ) -> Outcome:
        """Serve these requests; return when all have ended.

        failures: node -> seconds from the beginning at which it fails. begin_ns: simulated time of the beginning, from
        which requests arrive, if that was before now: those that have arrived have waited for a decision.

        Raises ConfigurationError if a request names an unknown user or graph, or lacks a value, if two requests have
        one number, if a service has no instance, and for a failure of an unknown node or at a time that is not legal.
        """
        self.begin_ns = self.sim.now_ns if begin_ns is None else begin_ns
        numbers: set[int] = set()
        for request in requests:
            self._check(request)
            if request.id in numbers:
                raise ConfigurationError(f"two requests have the number {request.id}; rows of tables would be mixed up")
            numbers.add(request.id)
        for node, at_s in (failures or {}).items():
            self.sim.node(node)
            if not 0 <= at_s < math.inf:
                raise ConfigurationError(f"{node} is to fail at {at_s!r} s; legal is 0 or more, and finite")
        for graph in {request.graph: None for request in requests}:
            for name in self.graphs[graph].services():
                if not self.replicas(name):
                    raise ConfigurationError(f"service {name!r} of graph {graph!r} has no instance: deploy it")
        records: dict[int, RequestRecord] = {}
        answers: dict[int, dict[str, Tensor]] = {}
        failing = [asyncio.create_task(self._fail_at(node, at), name=f"{node} fails") for node, at in
                   (failures or {}).items()]  # fmt: skip
        watching = self.dispatcher.following()
        async with watching, asyncio.TaskGroup() as group:
            for request in requests:
                group.create_task(self._request(request, records, answers), name=f"request {request.id}")
        for task in failing:
            task.cancel()
        for ended in await asyncio.gather(*failing, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        await self.transport.close()
        instances = [*self._removed, *(instance.record() for instance in self._instances.values())]
        return Outcome(
            [records[request.id] for request in requests], self._calls, self.moves, instances, answers,
            self.begin_ns / 1e9, self.sim.now_s,
        )  # fmt: skip

    async def close(self) -> None:
        """Stop all instances, and give their memory back."""
        for instance in self._instances.values():
            await instance.stop()
        self._instances.clear()

    def seconds(self, time_ns: int) -> float:
        """Return a time as records have it."""
        return (time_ns - self.begin_ns) / 1e9

    def _no_weights(self, service: str) -> EdgelamError:
        assert self.repository is not None
        return EdgelamError(f"{self.repository.name}, which has the weights of {service}, has failed")

    async def _fail_at(self, node: str, at_s: float) -> None:
        await asyncio.sleep(max(at_s - self.seconds(self.sim.now_ns), 0))
        await self.fail(node)

    async def _request(
        self, request: Request, records: dict[int, RequestRecord], answers: dict[int, dict[str, Tensor]]
    ) -> None:
        arrive_ns = self.begin_ns + round(request.arrive_s * 1e9)
        if arrive_ns > self.sim.now_ns:
            await asyncio.sleep((arrive_ns - self.sim.now_ns) / 1e9)
        begin = Moment(min(arrive_ns, self.sim.now_ns))
        now = begin.after(self.sim.now_ns, "decision")
        number = 0
        while True:
            number += 1
            attempt = Attempt(self, request, number)
            answer, reason = await self._attempt(attempt, now)
            if answer is not None:
                answers[request.id] = answer.values
            if answer is not None or reason:
                break
            now = begin.after(self.sim.now_ns, "retry")
        records[request.id] = self._record(attempt, begin, answer, reason)

    async def _attempt(self, attempt: Attempt, begin: Moment) -> tuple[Answer | None, str]:
        """Return an answer, or why there can be none; neither: a node has failed under it, and it may try again."""
        task = asyncio.create_task(attempt.run(begin), name=f"request {attempt.request.id}, attempt {attempt.number}")
        self._attempts[task] = attempt
        try:
            return await task, ""
        except asyncio.CancelledError:
            if not attempt.lost:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                raise
        except (EdgelamError, BaseExceptionGroup) as group:
            error = first_cause(group)
            if not isinstance(error, EdgelamError) or isinstance(error, RunEnded):
                raise
            if not isinstance(error, NodeLost):
                return None, str(error)
        finally:
            del self._attempts[task]
            self.dispatcher.ended(attempt)
        for node, who in ((attempt.request.user, "which asked"), (self.dispatcher.node, "the router")):
            if node in self._failed:
                return None, f"{node}, {who}, has failed"
        for name in attempt.graph.services():
            if not self.replicas(name):
                return None, f"no instance of {name} is left"
        return None, ""

    def _record(self, attempt: Attempt, begin: Moment, answer: Answer | None, reason: str) -> RequestRecord:
        request = attempt.request
        end_ns = self.sim.now_ns if answer is None else answer.end.time_ns
        parts = (Moment(end_ns) if answer is None else answer.end).parts()
        e2e_s = (end_ns - begin.time_ns) / 1e9
        between = math.nan
        if answer is not None and answer.tokens > 1:
            between = (answer.last_ns - answer.first_ns) / 1e9 / (answer.tokens - 1)
        return RequestRecord(
            request=request.id, user=request.user, task=request.task, graph=request.graph,
            declared=any(self.services[name].declared for name in attempt.graph.services()),
            arrive_s=self.seconds(begin.time_ns), end_s=self.seconds(end_ns), deadline_s=request.deadline_s,
            status="failed" if answer is None else "complete", reason=reason,
            on_time=answer is not None and e2e_s <= request.deadline_s, attempts=attempt.number,
            e2e_s=math.nan if answer is None else e2e_s,
            ttft_s=math.nan if answer is None else (answer.first_ns - begin.time_ns) / 1e9,
            tpot_s=between, tokens=0 if answer is None else answer.tokens,
            **{f"{part}_s": seconds for part, seconds in parts.items()}, bytes=attempt.bytes,
            answer="" if answer is None else values_hash(answer.values),
        )  # fmt: skip

    def _check(self, request: Request) -> None:
        self.sim.node(request.user)
        if request.graph not in self.graphs:
            raise ConfigurationError(
                f"request {request.id} is for graph {request.graph!r}; {suggest(request.graph, self.graphs)}"
            )
        for key in self.graphs[request.graph].takes:
            if key not in request.inputs:
                raise ConfigurationError(
                    f"request {request.id} lacks {key!r}, which graph {request.graph!r} takes; it has: "
                    f"{', '.join(request.inputs) or 'nothing'}"
                )
