# SPDX-License-Identifier: GPL-2.0-only
"""Minimises V * penalty + sum of Q * use / budget over all placements of one slot.

The placements of sessions hang together only by the nodes that have weights. So two steps alternate:

1. sessions: with the set of nodes fixed, each session in turn goes to the node of the set that costs least;
2. nodes: with sessions where they are, a node is added to the set, taken out of it, or exchanged for another, and
   step 1 follows; the change that makes the cost least is kept.

Each round makes the cost less, so it ends, at a placement that no single change of the set makes better. It need not be
the best one; `exhaustive` is, for small problems.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.migration.problem import SlotProblem

Cost = Callable[[np.ndarray], float]
MOST_CHOICES = 100_000
"""Most placements that `exhaustive` tries."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """A decision."""

    places: np.ndarray
    """Node of each session, int [U]."""
    operations: int = 0
    """Floating-point operations of making it: those of evaluating costs (`cost_operations`), counted."""


def cost_operations(problem: SlotProblem) -> int:
    """Return the operations of one evaluation: a dozen for each session, four for each node, 20 for the queues."""
    return 12 * len(problem.users) + 4 * len(problem.nodes) + 20


def alternating(problem: SlotProblem, cost: Cost) -> Choice:
    """Return a placement that no change of the set of nodes with weights makes better. cost: of a placement."""
    search = _Search(problem, cost)
    nodes = frozenset(np.flatnonzero(problem.up).tolist()) | frozenset(problem.at.tolist())
    best, least = search.assign(nodes, problem.at)
    while True:
        tried = [(*search.assign(changed, best), changed) for changed in _changes(nodes, len(problem.nodes))]
        found = min(tried, key=lambda each: each[1], default=None)
        if found is None or found[1] >= least - 1e-12 * abs(least):
            return Choice(best, search.evaluations * cost_operations(problem))
        best, least, nodes = found


def exhaustive(problem: SlotProblem, cost: Cost) -> Choice:
    """Return the best placement, by trying all of them. Raises ConfigurationError if there are too many."""
    if len(problem.nodes) ** len(problem.users) > MOST_CHOICES:
        raise ConfigurationError(
            f"{len(problem.users)} sessions on {len(problem.nodes)} nodes are more than {MOST_CHOICES:,} placements: "
            "too many to try all of them"
        )
    tried = 0
    best, least = problem.at, cost(problem.at)
    for x in problem.choices():
        tried += 1
        this = cost(x)
        if this < least:
            best, least = x, this
    return Choice(best, tried * cost_operations(problem))


class _Search:
    def __init__(self, problem: SlotProblem, cost: Cost) -> None:
        self.problem, self.cost = problem, cost
        self.evaluations = 0

    def assign(self, nodes: frozenset[int], begin: np.ndarray) -> tuple[np.ndarray, float]:
        """Step 1: return where sessions go if only these nodes may be used, and the cost. begin: int [U]."""
        x = begin.copy()
        for u in range(len(x)):  # a session whose node is not in the set goes to the first one that it may use
            if x[u] not in nodes:
                x[u] = next((n for n in sorted(nodes) if self.problem.may(u, n)), self.problem.at[u])
        least = self._of(x)
        changed = True
        while changed:
            changed = False
            for u in range(len(x)):
                for n in sorted(nodes):
                    if n != x[u] and self.problem.may(u, n):
                        before, x[u] = x[u], n
                        this = self._of(x)
                        if this < least - 1e-12 * abs(least):
                            least, changed = this, True
                        else:
                            x[u] = before
        return x, least

    def _of(self, x: np.ndarray) -> float:
        self.evaluations += 1
        return self.cost(x)


def _changes(nodes: frozenset[int], count: int) -> Iterator[frozenset[int]]:
    """Sets that differ by one node more, one less, or one exchanged."""
    others = [n for n in range(count) if n not in nodes]
    yield from (nodes | {n} for n in others)
    if len(nodes) > 1:
        yield from (nodes - {n} for n in sorted(nodes))
    yield from (nodes - {n} | {m} for n in sorted(nodes) for m in others)
