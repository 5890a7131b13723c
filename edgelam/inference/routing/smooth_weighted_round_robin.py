# SPDX-License-Identifier: GPL-2.0-only
"""Smooth weighted round robin, as in nginx: deterministic, in proportion to capacity, and evenly spread.

Each replica has a counter. For each choice, every counter grows by its capacity, the largest one is chosen, and the sum
of all capacities is taken from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgelam.inference.routing.rule import Replica

if TYPE_CHECKING:
    import numpy as np

    from edgelam.inference.requests import Request


class SmoothWeightedRoundRobin:
    """The rule."""

    needs_queues = False

    def __init__(self) -> None:
        """Begin with all counters at 0."""
        self._counters: defaultdict[tuple[str, str], float] = defaultdict(float)

    def choose(
        self, service: str, replicas: Sequence[Replica], request: Request, rng: np.random.Generator
    ) -> int:  # fmt: skip
        """Return the replica whose counter is largest; the first of equal ones."""
        for replica in replicas:
            self._counters[service, replica.node] += replica.capacity
        best = max(range(len(replicas)), key=lambda i: self._counters[service, replicas[i].node])
        self._counters[service, replicas[best].node] -= sum(replica.capacity for replica in replicas)
        return best

    def operations(self, replicas: int) -> int:
        """Return two additions and a comparison for each replica."""
        return 3 * replicas
