# SPDX-License-Identifier: GPL-2.0-only
"""The problem that every solver of deployment gets: nodes, services, demand and network, as numbers.

A plan says, for each flow (a user's requests of one graph) and service, on which node the service is called; a service
has an instance on each node where a flow calls it. The delay of a flow is the longest way through its graph: calls take
the seconds of their work on the node alone, and edges what the calibrated links predict. Queueing is not in it: it is
kept small by a bound on the utilisation of each processor. Where a graph branches at random, calls and edges count with
their expected number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.profile import USER, Profile
from edgelam.text import si_bytes

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation
    from edgelam.inference.calibration import Links
    from edgelam.inference.service import Service

AT_USER = -1
"""Index of the user at an end of an edge."""


@dataclasses.dataclass(frozen=True)
class FlowEdge:
    """Values that a request of a flow moves."""

    source: int
    """A service, or `AT_USER`."""
    target: int
    bytes: float
    visits: float


@dataclasses.dataclass(frozen=True)
class Flow:
    """The requests of one user for one graph."""

    user: str
    graph: str
    rate: float
    """Requests per second."""
    calls: Mapping[int, float]
    """Service -> how often a request calls it; each comes after those that it takes values from."""
    edges: tuple[FlowEdge, ...]
    deadline_s: float = float("inf")


@dataclasses.dataclass(frozen=True)
class Problem:
    """In shapes, S stands for services, N for the nodes that may run them, and F for flows. All arrays are float64."""

    nodes: tuple[str, ...]
    services: tuple[str, ...]
    seconds: np.ndarray
    """Of one call of a service on a node, [S, N]."""
    weight_bytes: np.ndarray
    """Of an instance, [S]."""
    memory_bytes: np.ndarray
    """Free for weights, [N]."""
    flows: tuple[Flow, ...]
    latency_s: np.ndarray
    """Seconds of a transfer of 0 bytes from a node to another, [N, N]."""
    byte_s: np.ndarray
    """Seconds for each byte, [N, N]."""
    up_latency_s: np.ndarray
    """The same from the user of a flow to a node, [F, N]."""
    up_byte_s: np.ndarray
    """[F, N]."""
    down_latency_s: np.ndarray
    """The same from a node to the user of a flow, [F, N]."""
    down_byte_s: np.ndarray
    """[F, N]."""
    most_utilisation: float = 0.8
    """Bound on the share of time in which a processor computes."""

    def __post_init__(self) -> None:
        """Refuse a bound that is not legal."""
        if not 0 < self.most_utilisation <= 1:
            raise ConfigurationError(f"most_utilisation is {self.most_utilisation!r}; legal is above 0, up to 1")

    def edge_seconds(self, f: int, edge: FlowEdge) -> np.ndarray:
        """Return how long an edge takes for each place of its ends, [N, N]; an end at the user does not matter."""
        if edge.source == AT_USER:
            each = np.broadcast_to(self.up_latency_s[f] + edge.bytes * self.up_byte_s[f], self.latency_s.shape)
        elif edge.target == AT_USER:
            each = np.broadcast_to(
                (self.down_latency_s[f] + edge.bytes * self.down_byte_s[f])[:, None], self.latency_s.shape
            )  # fmt: skip
        else:
            each = self.latency_s + edge.bytes * self.byte_s
        return edge.visits * each

    @cached_property
    def demand(self) -> np.ndarray:
        """Share of a node's time that all calls of a service would take there, [S, N]."""
        rates = np.zeros(len(self.services))
        for flow in self.flows:
            for s, visits in flow.calls.items():
                rates[s] += flow.rate * visits
        return rates[:, None] * self.seconds

    def check(self) -> None:
        """Refuse what no plan can do, before anything runs.

        Raises ConfigurationError if a service fits no node's memory, if all services together do not fit all memory, or
        if the demand is beyond the capacity of all processors, however it is divided. These are sums; whether there is
        a plan is said by `deployment.feasible`.
        """
        from scipy.optimize import linprog

        for s, name in enumerate(self.services):
            if self.weight_bytes[s] > self.memory_bytes.max():
                raise ConfigurationError(
                    f"service {name!r} needs {si_bytes(self.weight_bytes[s])}, and no node has more than "
                    f"{si_bytes(self.memory_bytes.max())} of memory"
                )
        if self.weight_bytes.sum() > self.memory_bytes.sum():
            raise ConfigurationError(
                f"all services together need {si_bytes(self.weight_bytes.sum())}, and all nodes together have "
                f"{si_bytes(self.memory_bytes.sum())} of memory"
            )
        num_s, num_n = self.demand.shape
        bounds = np.zeros((num_n, num_s * num_n + 1))
        for n in range(num_n):
            bounds[n, n : num_s * num_n : num_n] = self.demand[:, n]
        bounds[:, -1] = -1
        whole = np.hstack([np.kron(np.eye(num_s), np.ones(num_n)), np.zeros((num_s, 1))])
        cost = np.zeros(num_s * num_n + 1)
        cost[-1] = 1
        least = linprog(cost, bounds, np.zeros(num_n), whole, np.ones(num_s)).fun
        if least > 1:
            raise ConfigurationError(
                f"the demand is {least:.3g} times what all {num_n} nodes together can compute, however it is divided; "
                "fewer requests per second, or faster nodes, are needed"
            )


@dataclasses.dataclass(frozen=True)
class Plan:
    """Where each flow calls each service."""

    at: tuple[Mapping[int, int], ...]
    """Flow -> {service: node}."""
    operations: int = 0
    """Floating-point operations of finding it, by the solver's stated model."""
    bytes: int | None = None
    """Memory traffic of finding it, if it was counted; None: that of its operations, by the planner's stated rule."""
    gap: float = float("nan")
    """Relative gap to the optimum that the solver guarantees; NaN: none."""

    def placement(self, problem: Problem) -> dict[str, list[str]]:
        """Return service -> nodes with an instance, in the order of the problem's nodes."""
        found: dict[int, set[int]] = {}
        for at in self.at:
            for s, n in at.items():
                found.setdefault(s, set()).add(n)
        return {problem.services[s]: [problem.nodes[n] for n in sorted(found[s])] for s in sorted(found)}

    def routes(self, problem: Problem) -> dict[tuple[str, str, str], str]:
        """Return (user, graph, service) -> node."""
        return {
            (flow.user, flow.graph, problem.services[s]): problem.nodes[n]
            for flow, at in zip(problem.flows, self.at, strict=True)
            for s, n in at.items()
        }


def flow_delay(problem: Problem, f: int, at: Mapping[int, int]) -> float:
    """Return the seconds of a request of flow `f`: the longest way through its graph."""
    flow = problem.flows[f]
    done: dict[int, float] = {AT_USER: 0.0}
    answered = 0.0
    for s, visits in flow.calls.items():
        begin = max((_arrival(problem, f, edge, at, done) for edge in flow.edges if edge.target == s), default=0.0)
        done[s] = begin + visits * problem.seconds[s, at[s]]
        answered = max(answered, done[s])
    ends = [_arrival(problem, f, edge, at, done) for edge in flow.edges if edge.target == AT_USER]
    return max([answered, *ends])


def delay(problem: Problem, plan: Plan) -> float:
    """Return the mean seconds of a request, over all flows by their rates: what solvers minimise."""
    rates = np.array([flow.rate for flow in problem.flows])
    delays = [flow_delay(problem, f, at) for f, at in enumerate(plan.at)]
    return float(rates @ np.array(delays) / rates.sum())


def excess(problem: Problem, at: Sequence[Mapping[int, int]]) -> float:
    """Return by how much a plan breaks the bounds, relative to them, added up over nodes; 0: it keeps to all."""
    held = np.zeros((len(problem.services), len(problem.nodes)), dtype=bool)
    busy = np.zeros(len(problem.nodes))
    for flow, places in zip(problem.flows, at, strict=True):
        for s, n in places.items():
            held[s, n] = True
            busy[n] += flow.rate * flow.calls[s] * problem.seconds[s, n]
    memory = problem.weight_bytes @ held
    over = np.maximum(memory / np.maximum(problem.memory_bytes, 1) - 1, 0).sum()
    over += np.maximum(busy / problem.most_utilisation - 1, 0).sum()
    return float(over)


def _arrival(problem: Problem, f: int, edge: FlowEdge, at: Mapping[int, int], done: Mapping[int, float]) -> float:
    source = 0 if edge.source == AT_USER else at[edge.source]
    target = 0 if edge.target == AT_USER else at[edge.target]
    return float(done[edge.source] + problem.edge_seconds(f, edge)[source, target])


@dataclasses.dataclass(frozen=True)
class Demand:
    """How often a user asks for a graph."""

    user: str
    graph: str
    rate: float
    """Requests per second."""
    deadline_s: float = float("inf")


def problem_of(
    sim: Simulation, services: Mapping[str, Service], profiles: Mapping[str, Profile], demand: Sequence[Demand],
    links: Links, *, hosts: Sequence[str], most_utilisation: float = 0.8,
) -> Problem:  # fmt: skip
    """Return the problem of a simulation as it is now.

    Args:
        sim: has the nodes: their device profiles, and the memory that is free. The most that one request needs is left
            free on each of them.
        services: those that may be deployed; only those of demanded graphs are in the problem.
        profiles: graph -> what one request costs.
        demand: who asks for what.
        links: how long transfers take.
        hosts: names of the nodes that may run services.
        most_utilisation: see `Problem`.

    Raises ConfigurationError if there is no demand.
    """
    if not demand:
        raise ConfigurationError("there is no demand: nothing is to be deployed")
    used = dict.fromkeys(call.service for each in demand for call in profiles[each.graph].calls)
    names = tuple(used)
    number = {name: s for s, name in enumerate(names)} | {USER: AT_USER}
    steps = {call.service: call.steps for graph in profiles.values() for call in graph.calls}
    nodes = [sim.node(name) for name in hosts]
    # one request can always be computed beside the weights
    request_bytes = max(call.memory_bytes for each in demand for call in profiles[each.graph].calls)
    seconds = np.array(
        [[sum(node.device.seconds(w.flops, w.bytes) for w in steps[name]) for node in nodes] for name in names]
    )  # fmt: skip
    flows = tuple(
        Flow(
            each.user, each.graph, each.rate, {number[c.service]: c.visits for c in profiles[each.graph].calls},
            tuple(FlowEdge(number[e.source], number[e.target], e.bytes, e.visits) for e in profiles[each.graph].edges),
            each.deadline_s,
        )
        for each in demand
    )  # fmt: skip

    def table(pairs: Sequence[Sequence[tuple[str, str]]]) -> tuple[np.ndarray, np.ndarray]:
        lines = [[links.line(*pair) for pair in row] for row in pairs]
        return (
            np.array([[line.latency_s for line in row] for row in lines]),
            np.array([[line.byte_s for line in row] for row in lines]),
        )

    latency, byte = table([[(a, b) for b in hosts] for a in hosts])
    up_latency, up_byte = table([[(flow.user, n) for n in hosts] for flow in flows])
    down_latency, down_byte = table([[(n, flow.user) for n in hosts] for flow in flows])
    return Problem(
        nodes=tuple(hosts), services=names, seconds=seconds,
        weight_bytes=np.array([services[name].weight_bytes for name in names], dtype=float),
        memory_bytes=np.array(
            [max(node.memory.capacity_bytes - node.memory.used_bytes - request_bytes, 0) for node in nodes], dtype=float
        ),
        flows=flows, latency_s=latency, byte_s=byte, up_latency_s=up_latency, up_byte_s=up_byte,
        down_latency_s=down_latency, down_byte_s=down_byte, most_utilisation=most_utilisation,
    )  # fmt: skip
