# SPDX-License-Identifier: GPL-2.0-only
"""Placement and routing, exactly: a mixed-integer linear program, solved by HiGHS (scipy.optimize.milp).

    minimise    sum_f rate_f D_f
    y_fsn       1 if flow f calls service s on node n (binary); sum_n y_fsn = 1
    x_sn        1 if node n has an instance of s; x_sn >= y_fsn; sum_s weights_s x_sn <= memory_n
    z_eab       1 if edge e goes from node a to node b; sum_b z_eab = y_f,source,a; sum_a z_eab = y_f,target,b
    t_fs        when f's call of s is done: t_fs >= t_f,source + sum_ab z_eab seconds_eab + sum_n y_fsn seconds_sn
    D_f         >= t_fs, and >= t_f,source + seconds of the edges that end at the user
    sum_fs rate_f visits_fs seconds_sn y_fsn <= most_utilisation

z and x become 0 or 1 by themselves if y is. The work is stated, since wall time would not be reproducible: each node of
the branch-and-bound tree is taken as one linear program, and that as rows + columns iterations of the revised simplex
method that read the matrix once, 2 operations for each non-zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.problem import AT_USER, Plan, Problem

TREE = 2000
"""Nodes of the branch-and-bound tree after which the search ends by itself."""


def solve(problem: Problem, *, gap: float = 1e-4, most_nodes: int = TREE) -> Plan:
    """Return an optimal plan, or the best one that a limited search has found.

    gap: relative gap at which HiGHS stops; most_nodes: of the branch-and-bound tree, after which it stops with a larger
    gap. The plan states the gap that is left: no plan has less than 1 - gap of its delay. The limit is no wall time, so
    the same plan is found on every machine. Raises ConfigurationError if no plan keeps to the bounds, or if the limited
    search found none.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    problem.check()
    program = _Program(problem)
    matrix, low, high = program.constraints()
    found = milp(
        program.cost, integrality=program.integrality, bounds=Bounds(0, program.upper),
        constraints=LinearConstraint(matrix, low, high), options={"mip_rel_gap": gap, "node_limit": most_nodes},
    )  # fmt: skip
    if found.status == 2:
        raise ConfigurationError(
            f"no plan fits: with each service on at least one node, memory or the utilisation of at most "
            f"{problem.most_utilisation:g} of a processor is exceeded"
        )
    if found.x is None:
        raise ConfigurationError(
            f"the exact solver found no plan within its limit of {most_nodes} nodes of the branch-and-bound tree"
        )
    at = tuple(
        {s: int(np.argmax(found.x[program.y(f, s, 0) : program.y(f, s, 0) + program.num_n])) for s in flow.calls}
        for f, flow in enumerate(problem.flows)
    )
    rows, columns = matrix.shape
    operations = max(1, int(found.mip_node_count)) * 2 * matrix.nnz * (rows + columns)
    return Plan(at, operations, gap=float(found.mip_gap))


class _Program:
    """Numbers the variables, and builds the rows of the matrix."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.num_n = num_n = len(problem.nodes)
        num_s = len(problem.services)
        self._y: dict[tuple[int, int], int] = {}
        self._z: dict[tuple[int, int], int] = {}
        self._t: dict[tuple[int, int], int] = {}
        count = num_s * num_n  # x
        for f, flow in enumerate(problem.flows):
            for s in flow.calls:
                self._y[f, s] = count
                count += num_n
        first_t = count
        for f, flow in enumerate(problem.flows):
            for s in (*flow.calls, AT_USER):  # t at the user is D
                self._t[f, s] = count
                count += 1
        first_z = count
        for f, flow in enumerate(problem.flows):
            for e, edge in enumerate(flow.edges):
                if AT_USER not in (edge.source, edge.target):
                    self._z[f, e] = count
                    count += num_n * num_n
        self.upper = np.ones(count)
        self.upper[first_t:first_z] = np.inf
        self.integrality = np.zeros(count)
        self.integrality[num_s * num_n : first_t] = 1
        rates = np.array([flow.rate for flow in problem.flows])
        self.cost = np.zeros(count)
        for f in range(len(problem.flows)):
            self.cost[self._t[f, AT_USER]] = rates[f] / rates.sum()
        self._rows: list[tuple[list[int], list[float], float, float]] = []

    def y(self, f: int, s: int, n: int) -> int:
        return self._y[f, s] + n

    def constraints(self) -> tuple[Any, np.ndarray, np.ndarray]:
        """Return the sparse matrix, and the bounds of its rows."""
        from scipy.sparse import csr_matrix

        self._bounds_of_nodes()
        for f, flow in enumerate(self.problem.flows):
            for s in flow.calls:
                self._row([self.y(f, s, n) for n in range(self.num_n)], [1.0] * self.num_n, 1, 1)
                for n in range(self.num_n):  # y <= x
                    self._row([s * self.num_n + n, self.y(f, s, n)], [1.0, -1.0], 0, np.inf)
            for e in range(len(flow.edges)):
                self._edge(f, e)
            for s, visits in flow.calls.items():
                compute = visits * self.problem.seconds[s]
                self._row([self._t[f, AT_USER], self._t[f, s]], [1.0, -1.0], 0, np.inf)
                self._row(
                    [self._t[f, s], *(self.y(f, s, n) for n in range(self.num_n))], [1.0, *(-compute)], 0, np.inf
                )  # fmt: skip
        rows = np.repeat(np.arange(len(self._rows)), [len(row[0]) for row in self._rows])
        columns = np.concatenate([row[0] for row in self._rows])
        values = np.concatenate([row[1] for row in self._rows])
        matrix = csr_matrix((values, (rows, columns)), shape=(len(self._rows), len(self.cost)))
        return matrix, np.array([row[2] for row in self._rows]), np.array([row[3] for row in self._rows])

    def _row(self, columns: Sequence[int], values: Sequence[float], low: float, high: float) -> None:
        self._rows.append((list(columns), list(values), low, high))

    def _bounds_of_nodes(self) -> None:
        problem, num_n = self.problem, self.num_n
        scale = max(float(problem.memory_bytes.max()), 1.0)  # bytes are too large beside the other numbers
        for n in range(num_n):
            instances = [s * num_n + n for s in range(len(problem.services))]
            self._row(instances, list(problem.weight_bytes / scale), -np.inf, problem.memory_bytes[n] / scale)
            calls = [(self.y(f, s, n), flow.rate * visits * problem.seconds[s, n])
                     for f, flow in enumerate(problem.flows) for s, visits in flow.calls.items()]  # fmt: skip
            self._row([c for c, _ in calls], [v for _, v in calls], -np.inf, problem.most_utilisation)

    def _edge(self, f: int, e: int) -> None:
        """When the end of an edge can begin, and that z is where its ends are."""
        problem, num_n = self.problem, self.num_n
        flow = problem.flows[f]
        edge = flow.edges[e]
        seconds = problem.edge_seconds(f, edge)
        columns, values = [self._t[f, edge.target]], [1.0]
        if edge.target != AT_USER:
            compute = flow.calls[edge.target] * problem.seconds[edge.target]
            columns += [self.y(f, edge.target, n) for n in range(num_n)]
            values += list(-compute)
        if edge.source == AT_USER and edge.target == AT_USER:
            return
        if edge.source == AT_USER:  # from the user: one number for each node of the target
            values[1:] = list(np.array(values[1:]) - seconds[0])
        elif edge.target == AT_USER:
            columns += [self._t[f, edge.source], *(self.y(f, edge.source, n) for n in range(num_n))]
            values += [-1.0, *(-seconds[:, 0])]
        else:
            first = self._z[f, e]
            columns += [self._t[f, edge.source], *range(first, first + num_n * num_n)]
            values += [-1.0, *(-seconds.ravel())]
            for n in range(num_n):
                outgoing = [first + n * num_n + b for b in range(num_n)]
                self._row([*outgoing, self.y(f, edge.source, n)], [1.0] * num_n + [-1.0], 0, 0)
                incoming = [first + a * num_n + n for a in range(num_n)]
                self._row([*incoming, self.y(f, edge.target, n)], [1.0] * num_n + [-1.0], 0, 0)
        self._row(columns, values, 0, np.inf)
