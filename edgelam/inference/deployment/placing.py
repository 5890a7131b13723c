# SPDX-License-Identifier: GPL-2.0-only
"""A plan that grows call by call: what is placed, what still fits, and what each node would mean for the next call.

Calls come flow by flow, the flow with the most requests first, and within a flow in the order in which requests reach
them. So all that a call takes values from has a place, and `place` knows by how much the mean delay grows: the sum over
all calls is `problem.delay` of the plan. Learned policies choose nodes by `rows` and `context`, numbers without units
(delays in shares of what the flow takes at best, memory and processor in shares of a node's), so that they mean the
same in problems of other sizes.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from edgelam.inference.problem import AT_USER, FlowEdge, Plan, Problem

ROWS = (
    "added",  # by how much the flow's delay grows with the call here
    "computing",  # seconds of the call
    "answer",  # seconds of the flow's answer from here to the user
    "onwards",  # mean seconds from here to the other nodes of what the call gives
    "rest",  # seconds of the flow's remaining calls, if all were here
    "there",  # 1 if the service has an instance here
    "memory",  # what is left with the instance
    "processor",  # what is left with the call
    "next",  # share of the flow's remaining calls whose services have an instance here
    "before",  # share of the flow's calls so far that are here
    "pressure",  # weights that have no place yet, in shares of the memory left here
)
"""Columns of `Placing.rows`, for each node."""
CONTEXT = (
    "done",  # share of all calls that are placed
    "rate",  # of the flow, in shares of the highest one
    "memory",  # weights that have no place yet, in shares of all memory that is left
    "processors",  # remaining demand, in shares of all that is left of processors
    "weight",  # of the service, in shares of a node's memory
    "shared",  # share of the calls still to be placed that are of this service
)
"""Columns of `Placing.context`."""
MOST = 10.0
"""No row or context is larger, or smaller than the negative of it."""
OPERATIONS_A_NODE = 60
"""Floating-point operations of `rows` and `context` for each node, call of the flow and edge of the call, stated."""


@dataclasses.dataclass(frozen=True)
class _Step:
    """What `place` changed."""

    f: int
    s: int
    n: int
    new: bool
    answered: float


class Placing:
    """The plan of a problem, while it grows."""

    def __init__(self, problem: Problem) -> None:
        """Begin with nothing placed."""
        self.problem = problem
        flows = problem.flows
        self.order = [
            (f, s) for f in sorted(range(len(flows)), key=lambda f: -flows[f].rate) for s in flows[f].calls
        ]  # fmt: skip
        self.at: list[dict[int, int]] = [{} for _ in flows]
        self.memory = problem.memory_bytes.astype(float).copy()
        self.processor = np.full(len(problem.nodes), problem.most_utilisation)
        self.held = np.zeros((len(problem.services), len(problem.nodes)), dtype=bool)
        self.answered = np.zeros(len(flows))
        """Delay of each flow as far as it is placed, [F]."""
        rates = np.array([flow.rate for flow in flows])
        self.share = rates / rates.sum()
        self.best = np.array([self._at_best(f) for f in range(len(flows))])
        """Seconds of each flow if all calls were on their fastest node, one after the other, over median links, [F]."""
        self.scale = float(self.share @ self.best)
        self._done: list[dict[int, float]] = [{} for _ in flows]
        self._steps: list[_Step] = []
        self._edges = [
            [(edge, problem.edge_seconds(f, edge)) for edge in flow.edges] for f, flow in enumerate(flows)
        ]  # fmt: skip
        self._calls = np.zeros(len(problem.services))
        for _, s in self.order:
            self._calls[s] += 1

    @property
    def number(self) -> int:
        """How many calls are placed."""
        return len(self._steps)

    @property
    def complete(self) -> bool:
        """Whether all calls are placed."""
        return self.number == len(self.order)

    @property
    def call(self) -> tuple[int, int]:
        """The next call: its flow and service."""
        return self.order[self.number]

    @property
    def delay_s(self) -> float:
        """The mean delay of all flows as far as they are placed."""
        return float(self.share @ self.answered)

    def fits(self) -> np.ndarray:
        """Return on which nodes the next call keeps to memory and utilisation, bool [N]."""
        f, s = self.call
        return (self._need(s) <= self.memory) & (self._busy(f, s) <= self.processor + 1e-12)

    def added(self) -> np.ndarray:
        """Return by how many seconds the next call's flow is delayed more, for each node, float64 [N]."""
        return np.maximum(self._ends() - self.answered[self.call[0]], 0)

    def place(self, n: int) -> float:
        """Put the next call on node `n`; return by how many seconds the mean delay of all flows grows."""
        f, s = self.call
        before = self.answered[f]
        self._done[f][s] = float(self._done_at()[n])
        self.answered[f] = max(before, float(self._ends()[n]))
        new = not self.held[s, n]
        self.memory[n] -= self._need(s)[n]
        self.processor[n] -= self._busy(f, s)[n]
        self.held[s, n] = True
        self.at[f][s] = n
        self._calls[s] -= 1
        self._steps.append(_Step(f, s, n, new, before))
        return float(self.share[f] * (self.answered[f] - before))

    def undo(self) -> None:
        """Take back the last call."""
        step = self._steps.pop()
        del self.at[step.f][step.s], self._done[step.f][step.s]
        self.answered[step.f] = step.answered
        self.processor[step.n] += self._busy(step.f, step.s)[step.n]
        self._calls[step.s] += 1
        if step.new:
            self.held[step.s, step.n] = False
            self.memory[step.n] += self.problem.weight_bytes[step.s]

    def plan(self, operations: int = 0, bytes: int | None = None) -> Plan:
        """Return the plan; operations, bytes: of finding it."""
        return Plan(tuple(dict(at) for at in self.at), operations, bytes)

    def rows(self) -> np.ndarray:
        """Return what each node would mean for the next call, float32 [N, len(ROWS)]."""
        problem = self.problem
        f, s = self.call
        flow, best = problem.flows[f], self.best[f]
        rest = [other for other in flow.calls if other not in self.at[f] and other != s]
        left = np.maximum(self.memory - self._need(s), 0)
        onwards = [seconds for edge, seconds in self._edges[f] if edge.source == s and edge.target != AT_USER]
        answers = [edge for edge in flow.edges if edge.target == AT_USER]
        before = np.bincount(list(self.at[f].values()), minlength=len(problem.nodes)) / max(len(self.at[f]), 1)
        columns = [
            self.added() / best,
            self._computing(f, s) / best,
            sum((self._answer(f, edge) for edge in answers), np.zeros(len(problem.nodes))) / best,
            sum((seconds.mean(axis=1) for seconds in onwards), np.zeros(len(problem.nodes))) / best,
            sum((self._computing(f, other) for other in rest), np.zeros(len(problem.nodes))) / best,
            self.held[s],
            left / problem.memory_bytes.mean(),
            (self.processor - self._busy(f, s)) / problem.most_utilisation,
            self.held[rest].mean(axis=0) if rest else np.ones(len(problem.nodes)),
            before,
            self._unplaced() / np.maximum(self.memory, 1e-3 * problem.memory_bytes.mean()),
        ]
        return np.clip(np.stack(columns, axis=1), -MOST, MOST).astype(np.float32)

    def context(self) -> np.ndarray:
        """Return what is the same for all nodes, float32 [len(CONTEXT)]."""
        problem = self.problem
        f, s = self.call
        remaining = self.order[self.number :]
        demand = sum(problem.flows[g].rate * problem.flows[g].calls[t] * problem.seconds[t].min() for g, t in remaining)
        numbers = [
            self.number / len(self.order),
            problem.flows[f].rate / max(flow.rate for flow in problem.flows),
            self._unplaced() / max(self.memory.sum(), 1e-3 * problem.memory_bytes.sum()),
            demand / max(self.processor.sum(), 1e-3),
            problem.weight_bytes[s] / problem.memory_bytes.mean(),
            self._calls[s] / self._calls.sum(),
        ]
        return np.clip(numbers, -MOST, MOST).astype(np.float32)

    def operations(self) -> int:
        """Return the stated operations of `rows` and `context` for the next call."""
        flow = self.problem.flows[self.call[0]]
        return OPERATIONS_A_NODE * len(self.problem.nodes) * (len(flow.calls) + len(flow.edges))

    def _need(self, s: int) -> np.ndarray:
        """Bytes that an instance takes where there is none, [N]."""
        return np.where(self.held[s], 0.0, self.problem.weight_bytes[s])

    def _busy(self, f: int, s: int) -> np.ndarray:
        """Share of each processor's time that the call takes, [N]."""
        flow = self.problem.flows[f]
        return flow.rate * flow.calls[s] * self.problem.seconds[s]

    def _computing(self, f: int, s: int) -> np.ndarray:
        return self.problem.flows[f].calls[s] * self.problem.seconds[s]

    def _unplaced(self) -> float:
        """Bytes of all services that are still called and have no instance."""
        open_ = (self._calls > 0) & ~self.held.any(axis=1)
        return float(self.problem.weight_bytes[open_].sum())

    def _done_at(self) -> np.ndarray:
        """When the next call would be done on each node, [N]."""
        f, s = self.call
        begin = np.zeros(len(self.problem.nodes))
        for edge, seconds in self._edges[f]:
            if edge.target == s:
                if edge.source == AT_USER:
                    begin = np.maximum(begin, seconds[0])
                else:
                    begin = np.maximum(begin, self._done[f][edge.source] + seconds[self.at[f][edge.source]])
        return begin + self._computing(f, s)

    def _ends(self) -> np.ndarray:
        """When the next call's values, if they are answers, would be at the user; otherwise when it is done, [N]."""
        f, s = self.call
        done = self._done_at()
        answers = [self._answer(f, edge) for edge in self.problem.flows[f].edges
                   if edge.source == s and edge.target == AT_USER]  # fmt: skip
        return done + np.max(answers, axis=0) if answers else done

    def _answer(self, f: int, edge: FlowEdge) -> np.ndarray:
        """Seconds of an edge to the user from each node, [N]."""
        return self.problem.edge_seconds(f, edge)[:, 0]

    def _at_best(self, f: int) -> float:
        problem, flow = self.problem, self.problem.flows[f]
        computing = sum(visits * problem.seconds[s].min() for s, visits in flow.calls.items())
        return float(computing + sum(np.median(problem.edge_seconds(f, edge)) for edge in flow.edges))
