# SPDX-License-Identifier: GPL-2.0-only
# ruff: noqa: N818  (what happened is said plainly)
"""One attempt to answer a request: walks its graph, moves values to where they are needed, and calls services.

A value crosses the network at most once to a node, and a service that a request reaches twice with the same values is
called once. Values are rounded to their encoding when they are made; the wire carries exactly that, so the answer does
not depend on what runs where.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgelam.cosim import encoding as codec
from edgelam.errors import EdgelamError
from edgelam.inference.graph import ROOT, Graph, Step
from edgelam.inference.instance import Call
from edgelam.inference.moments import Moment, latest, part_of
from edgelam.inference.records import MoveRecord
from edgelam.random_streams import derive_seed, from_numbers

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.cosim.node import Node
    from edgelam.inference.requests import Request
    from edgelam.inference.serving import Serving


class NodeLost(EdgelamError):
    """A node has failed while the request needed it."""


class NoBranch(EdgelamError):
    """No condition of a Switch holds."""


@dataclass(slots=True, eq=False)
class Value:
    """A named tensor of a request."""

    key: str
    data: Tensor
    encoding: str
    home: Node
    made: Moment
    at: dict[str, asyncio.Task[Moment]] = field(default_factory=dict)
    """Node to which it has been moved, or is being moved -> the moment of its arrival."""


Scope = dict[str, Value]


@dataclass(frozen=True)
class Answer:
    """What came of an attempt."""

    values: dict[str, Tensor]
    end: Moment
    first_ns: int
    last_ns: int
    tokens: int


class Attempt:
    """One attempt."""

    def __init__(self, serving: Serving, request: Request, number: int) -> None:
        """number: from 1."""
        self.serving, self.request, self.number = serving, request, number
        self.graph: Graph = serving.graphs[request.graph]
        self.user = serving.sim.node(request.user)
        self.uses: Counter[str] = Counter()
        """Nodes that it waits for at present."""
        self.lost = ""
        """The node that has failed under it."""
        self.bytes = 0
        self._route: dict[str, str] = {}
        self._group: asyncio.TaskGroup
        self._called: dict[tuple[str, tuple[int, ...]], asyncio.Task[tuple[Scope, Moment]]] = {}
        self._parts: list[asyncio.Task[Moment]] = []

    async def run(self, begin: Moment) -> Answer:
        """Return the answer, whose parts are at the user."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._route, begin = await self.serving.dispatcher.route(self, begin)
            scope = {key: Value(key, self.request.inputs[key], "exact", self.user, begin) for key in self.graph.takes}
            scope, end = await self._router(ROOT, scope, begin)
            values = [scope[key] for key in self.graph.answer]
            moments = await self._bring(values, self.user, end)
            end = latest([end, *moments])
        streamed = [part.result().time_ns for part in self._parts]
        times = sorted(streamed) or [end.time_ns]
        return Answer({value.key: value.data for value in values}, end, times[0], times[-1], len(times))

    # ---- the graph -----------------------------------------------------------------------------------------------

    async def _router(self, name: str, scope: Scope, now: Moment) -> tuple[Scope, Moment]:
        router = self.graph.routers[name]
        if router.kind == "Sequence":
            for step in router.steps:
                scope, now = await self._step(step, scope, now)
            return scope, now
        if router.kind == "Ensemble":
            tasks = [self._spawn(self._step(step, scope, now), step.name) for step in router.steps]
            ends = [await task for task in tasks]
            merged = dict(scope)
            for branch, _ in ends:
                merged.update({key: value for key, value in branch.items() if scope.get(key) is not value})
            return merged, latest(end for _, end in ends)
        return await self._step(self._chosen(name, scope), scope, now)

    def _chosen(self, name: str, scope: Scope) -> Step:
        router = self.graph.routers[name]
        if router.kind == "Splitter":
            stream = f"splitter {name} of {self.graph.name}, request {self.request.id}"
            rng = from_numbers(derive_seed(self.serving.sim.seed, stream))
            return router.steps[int(rng.choice(len(router.steps), p=router.shares()))]
        for step in router.steps:
            if step.when is None or step.when.holds(scope[step.when.key].data):
                return step
        raise NoBranch(f"no condition of Switch {name!r} of graph {self.graph.name!r} holds")

    async def _step(self, step: Step, scope: Scope, now: Moment) -> tuple[Scope, Moment]:
        if step.name in self.graph.routers:
            return await self._router(step.name, scope, now)
        values = [scope[key] for key in self.serving.services[step.name].takes]
        key = (step.name, tuple(map(id, values)))
        if key not in self._called:
            self._called[key] = self._spawn(self._call(step.name, values, now), step.name)
        given, end = await self._called[key]
        return scope | given, latest([now, end])

    # ---- services ------------------------------------------------------------------------------------------------

    async def _call(self, name: str, values: Sequence[Value], now: Moment) -> tuple[Scope, Moment]:
        """Call a service at the node that the route says."""
        service = self.serving.services[name]
        node = self.serving.sim.node(self._route[name])
        begin = latest([now, *await self._bring(values, node, now)])
        with self._using(node):
            await self.serving.check_up(node)
            instance = self.serving.instance(name, node.name)
            call = Call(
                self.request, {own: value.data for own, value in zip(service.module.takes, values, strict=True)}, begin,
                asyncio.get_running_loop().create_future(),
            )  # fmt: skip
            sent: list[asyncio.Task[Moment]] = []
            if service.stream and set(service.gives) & set(self.graph.answer):
                call.on_step = lambda part, moment: sent.append(self._stream(node, part, moment))
            self.serving.dispatcher.arrived(self, name, node.name)
            instance.submit(call)
            try:
                outputs, end = await call.future
            finally:
                call.future.cancel()
        given: Scope = {}
        for own, key in zip(service.module.gives, service.gives, strict=True):
            data = codec.decode(codec.encode(outputs[own], service.encoding))
            given[key] = Value(key, data, service.encoding, node, end)
            if sent and node is not self.user:  # its parts are on their way to the user already
                given[key].at[self.user.name] = sent[-1]
        return given, end

    def _stream(self, node: Node, part: dict[str, Tensor], moment: Moment) -> asyncio.Task[Moment]:
        """Send what a step has produced to the user."""
        what = f"token {len(self._parts)}"
        task = self._spawn(self._move(node, self.user, part, what, moment, encoding="exact"), what)
        self._parts.append(task)
        return task

    # ---- values --------------------------------------------------------------------------------------------------

    async def _bring(self, values: Sequence[Value], node: Node, now: Moment) -> list[Moment]:
        """Have values at a node; return when each was there. Those from one node with one encoding go together."""
        groups: dict[tuple[str, str], list[Value]] = {}
        for value in values:
            if value.home is not node and node.name not in value.at:
                groups.setdefault((value.home.name, value.encoding), []).append(value)
        for (_, encoding), together in groups.items():
            data = {value.key: value.data for value in together}
            what = " ".join(data)
            begin = latest([now, *(value.made for value in together)])
            task = self._spawn(self._move(together[0].home, node, data, what, begin, encoding=encoding), what)
            for value in together:
                value.at[node.name] = task
        return [value.made if value.home is node else await value.at[node.name] for value in values]

    async def _move(
        self, source: Node, to: Node, data: dict[str, Tensor], what: str, begin: Moment, *, encoding: str
    ) -> Moment:
        if source is to:
            return begin
        return await self.carry(source, to, data, what, begin, part=part_of(source, to), encoding=encoding)

    async def carry(
        self, source: Node, to: Node, data: Any, what: str, begin: Moment, *, part: str, encoding: str = "exact"
    ) -> Moment:
        """Carry data of this request, and note it; return the moment of its arrival."""
        with self._using(source), self._using(to):
            await self.serving.check_up(source)
            await self.serving.check_up(to)
            size = await self.serving.transport.carry(
                source, to, data, f"request {self.request.id}: {what}", encoding=encoding,
                priority=self.request.priority,
            )  # fmt: skip
        end = begin.after(self.serving.sim.now_ns, part)
        self.bytes += size
        seconds = self.serving.seconds
        self.serving.moves.append(
            MoveRecord(
                self.request.id, what, source.name, to.name, part, size, seconds(begin.time_ns), seconds(end.time_ns),
                self.number,
            )
        )  # fmt: skip
        return end

    @contextlib.contextmanager
    def _using(self, node: Node) -> Iterator[None]:
        self.uses[node.name] += 1
        try:
            yield
        finally:
            self.uses[node.name] -= 1

    def _spawn(self, coroutine: Any, what: str) -> asyncio.Task[Any]:
        return self._group.create_task(coroutine, name=f"request {self.request.id}: {what}")
