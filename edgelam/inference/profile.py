# SPDX-License-Identifier: GPL-2.0-only
"""What one request of a graph costs: the work of each call, and the bytes of each edge, measured on a sample request.

The modules really run, once, without a network; all steps of Switches and Splitters run. What depends on the inputs
(the length of a text) is that of the sample.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from edgelam.cosim import encoding as codec
from edgelam.cosim.work import Work
from edgelam.inference.graph import ROOT, Graph

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.inference.computing import Computing
    from edgelam.inference.service import Service

USER = ""
"""The end of an edge that is the user."""


@dataclasses.dataclass(frozen=True)
class CallCost:
    """A call of a service."""

    service: str
    visits: float
    """How often a request is expected to make it."""
    steps: tuple[Work, ...]
    memory_bytes: int


@dataclasses.dataclass(frozen=True)
class Edge:
    """Values that go from one service to another, or from or to the user."""

    source: str
    """A service, or `USER`."""
    target: str
    bytes: int
    visits: float


@dataclasses.dataclass(frozen=True)
class Profile:
    """What one request of a graph costs."""

    graph: str
    calls: tuple[CallCost, ...]
    """In the order in which they are reached; each service once."""
    edges: tuple[Edge, ...]
    """Those that end at a service, in the order of `calls`, then those that end at the user."""


def mean(profiles: Iterable[Profile]) -> Profile:
    """Return the mean of profiles of one graph, measured on several samples."""
    every = list(profiles)
    steps: dict[str, list[Work]] = {}
    sizes: dict[tuple[str, str], float] = {}
    for each in every:
        for call in each.calls:
            steps.setdefault(call.service, []).extend(work * (1 / len(every)) for work in call.steps)
        for edge in each.edges:
            place = (edge.source, edge.target)
            sizes[place] = sizes.get(place, 0.0) + edge.bytes / len(every)
    memory = {call.service: max(c.memory_bytes for p in every for c in p.calls if c.service == call.service)
              for call in every[0].calls}  # fmt: skip
    return Profile(
        every[0].graph,
        tuple(CallCost(c.service, c.visits, tuple(steps[c.service]), memory[c.service]) for c in every[0].calls),
        tuple(dataclasses.replace(e, bytes=round(sizes[e.source, e.target])) for e in every[0].edges),
    )


@dataclasses.dataclass(frozen=True)
class _Made:
    data: Tensor
    bytes: int
    makers: tuple[tuple[str, float], ...]
    """Services that may have made it, or the user; how likely."""


def profile(
    graph: Graph, services: Mapping[str, Service], computing: Computing, sample: Mapping[str, Tensor]
) -> Profile:
    """Measure a graph with one request's values."""
    graph.check(services)
    walk = _Walk(graph, services, computing)
    scope = {
        key: _Made(sample[key], codec.wire_size(sample[key], "exact"), ((USER, 1.0),)) for key in graph.takes
    }  # fmt: skip
    scope = walk.router(ROOT, scope, 1.0)
    walk.takes(USER, [scope[key] for key in graph.answer], 1.0)
    calls = tuple(
        CallCost(name, visits, *walk.costs[name]) for name, visits in walk.visits.items()
    )  # fmt: skip
    edges = tuple(Edge(a, b, max(round(size / visits), 1), visits) for (a, b), (size, visits) in walk.edges.items())
    return Profile(graph.name, calls, edges)


class _Walk:
    def __init__(self, graph: Graph, services: Mapping[str, Service], computing: Computing) -> None:
        self.graph, self.services, self.computing = graph, services, computing
        self.visits: dict[str, float] = {}
        self.costs: dict[str, tuple[tuple[Work, ...], int]] = {}
        self.edges: dict[tuple[str, str], tuple[float, float]] = {}
        """(source, target) -> bytes times visits, visits."""
        self._seen: dict[tuple[str, tuple[int, ...]], dict[str, _Made]] = {}

    def router(self, name: str, scope: dict[str, _Made], share: float) -> dict[str, _Made]:
        router = self.graph.routers[name]
        branches = []
        for step, part in zip(router.steps, router.shares(), strict=True):
            found = self.step(step.name, scope, share * part)
            if router.kind == "Sequence":
                scope = found
            branches.append((found, part))
        if router.kind == "Sequence":
            return scope
        merged = dict(scope)
        for found, part in branches:
            for key, made in found.items():
                if scope.get(key) is made:
                    continue
                if router.kind == "Ensemble":
                    merged[key] = made
                else:
                    before = merged[key].makers if merged.get(key) is not scope.get(key) else ()
                    makers = tuple((maker, likely * part) for maker, likely in made.makers)
                    merged[key] = dataclasses.replace(made, makers=before + makers)
        return merged

    def step(self, name: str, scope: dict[str, _Made], share: float) -> dict[str, _Made]:
        if name in self.graph.routers:
            return self.router(name, scope, share)
        service = self.services[name]
        taken = [scope[key] for key in service.takes]
        place = (name, tuple(map(id, taken)))
        if place not in self._seen:
            self.visits[name] = self.visits.get(name, 0.0) + share
            self.takes(name, taken, share)
            self._seen[place] = self.run(service, taken)
        return scope | self._seen[place]

    def run(self, service: Service, taken: list[_Made]) -> dict[str, _Made]:
        inputs = {own: made.data for own, made in zip(service.module.takes, taken, strict=True)}
        result = self.computing.run(service.module, inputs)
        self.costs[service.name] = (tuple(step.work for step in result.steps), result.memory_bytes)
        given = {}
        for own, key in zip(service.module.gives, service.gives, strict=True):
            encoded = codec.encode(result.outputs[own], service.encoding)
            given[key] = _Made(codec.decode(encoded), encoded.nbytes, ((service.name, 1.0),))
        return given

    def takes(self, target: str, values: list[_Made], share: float) -> None:
        """Note that values go to `target`; those from one service go together."""
        together: dict[str, tuple[float, float]] = {}
        for made in values:
            for maker, likely in made.makers:
                size, most = together.get(maker, (0.0, 0.0))
                together[maker] = (size + made.bytes * likely * share, max(most, likely * share))
        for maker, (size, visits) in together.items():
            if maker == target:
                continue
            before = self.edges.get((maker, target), (0.0, 0.0))
            self.edges[maker, target] = (before[0] + size, before[1] + visits)
