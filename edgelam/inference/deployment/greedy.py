# SPDX-License-Identifier: GPL-2.0-only
"""Compute first: services are placed in the order of their demand for computing, each where it delays requests least.

After S2M3 (arXiv 2508.04271), which places modules greedily by their compute and then routes requests in parallel. A
service that has no place yet counts as if it were where the edge's other end is. Then the plan is improved until none
of these changes makes the mean delay less: one call to another node, all calls of a service to one node, all calls of a
flow to one node.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgelam.errors import ConfigurationError
from edgelam.inference.problem import AT_USER, Plan, Problem, excess, flow_delay

OPERATIONS_A_TRIAL = 10
"""For each call and edge of the flow whose delay is tried."""


def solve(problem: Problem) -> Plan:
    """Return a plan. Raises ConfigurationError if a service finds no node on which it fits."""
    problem.check()
    search = _Search(problem)
    demand = problem.demand.min(axis=1)
    for s in sorted(range(len(problem.services)), key=lambda s: -demand[s]):
        for f in sorted(range(len(problem.flows)), key=lambda f: -problem.flows[f].rate):
            if s in problem.flows[f].calls:
                search.place(f, s)
    search.improve()
    return Plan(tuple(search.at), search.operations)


class _Search:
    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.at: list[dict[int, int]] = [{} for _ in problem.flows]
        self.operations = 0

    def place(self, f: int, s: int) -> None:
        """Call service `s` of flow `f` where the call and its edges to what is placed take least."""
        costs = [(self._cost(f, s, n), n) for n in range(len(self.problem.nodes))]
        for _, n in sorted(costs):
            self.at[f][s] = n
            if self._fits():
                return
        raise ConfigurationError(
            f"greedy placement finds no node for service {self.problem.services[s]!r} (graph "
            f"{self.problem.flows[f].graph!r}): memory or processors are taken by what was placed before"
        )

    def improve(self) -> None:
        """Change the plan while that makes the mean delay less."""
        flows = list(enumerate(self.problem.flows))
        moves = [[(f, s)] for f, flow in flows for s in flow.calls]
        moves += [[(f, s) for f, flow in flows if s in flow.calls] for s in range(len(self.problem.services))]
        moves += [[(f, s) for s in flow.calls] for f, flow in flows]
        changed = True
        while changed:
            changed = False
            for calls in moves:
                for n in range(len(self.problem.nodes)):
                    changed |= self._moved(calls, n)

    def _moved(self, calls: Sequence[tuple[int, int]], n: int) -> bool:
        """Put these calls on a node if that makes the mean delay less; return whether it does."""
        if all(self.at[f][s] == n for f, s in calls):
            return False
        touched = list(dict.fromkeys(f for f, _ in calls))
        before, places = self._delay(touched), [self.at[f][s] for f, s in calls]
        for f, s in calls:
            self.at[f][s] = n
        if self._delay(touched) < before - 1e-12 and self._fits():
            return True
        for (f, s), place in zip(calls, places, strict=True):
            self.at[f][s] = place
        return False

    def _delay(self, flows: Sequence[int]) -> float:
        """Seconds of a request of each flow, times its rate."""
        for f in flows:
            self._count(f)
        return sum(self.problem.flows[f].rate * flow_delay(self.problem, f, self.at[f]) for f in flows)

    def _cost(self, f: int, s: int, n: int) -> float:
        """Seconds of the call, and of its edges whose other end is the user or has a place."""
        problem, at = self.problem, self.at[f]
        flow = problem.flows[f]
        self._count(f)
        total = flow.calls[s] * problem.seconds[s, n]
        for edge in flow.edges:
            other = edge.target if edge.source == s else edge.source
            if s in (edge.source, edge.target) and (other == AT_USER or other in at):
                place = 0 if other == AT_USER else at[other]
                ends = (n, place) if edge.source == s else (place, n)
                total += problem.edge_seconds(f, edge)[ends]
        return float(total)

    def _fits(self) -> bool:
        placed = []
        for flow, at in zip(self.problem.flows, self.at, strict=True):
            placed.append({s: at[s] for s in flow.calls if s in at})
            self.operations += 4 * len(at)
        return excess(self.problem, placed) == 0

    def _count(self, f: int) -> None:
        flow = self.problem.flows[f]
        self.operations += OPERATIONS_A_TRIAL * (len(flow.calls) + len(flow.edges))
