# SPDX-License-Identifier: GPL-2.0-only
"""LBRR, load-balanced round robin: in turn, over the replicas whose queue for their capacity is not above the mean.

The paper (arXiv 2601.19563) names it and does not define it; this is our reading of the name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgelam.inference.routing.join_shortest_queue import wait
from edgelam.inference.routing.rule import Replica

if TYPE_CHECKING:
    import numpy as np

    from edgelam.inference.requests import Request


class LoadBalancedRoundRobin:
    """The rule."""

    needs_queues = True

    def __init__(self) -> None:
        """Begin with the first replica of each service."""
        self._turns: defaultdict[str, int] = defaultdict(int)

    def choose(
        self, service: str, replicas: Sequence[Replica], request: Request, rng: np.random.Generator
    ) -> int:  # fmt: skip
        """Return the next replica that is not loaded above the mean; there always is one."""
        waits = [wait(replica) for replica in replicas]
        mean = sum(waits) / len(waits) * (1 + 1e-12)  # equal ones are not above it by rounding
        turn = self._turns[service]
        order = [(turn + i) % len(replicas) for i in range(len(replicas))]
        chosen = next(i for i in order if waits[i] <= mean)
        self._turns[service] = chosen + 1
        return chosen

    def operations(self, replicas: int) -> int:
        """Return two additions, a division and a comparison for each replica."""
        return 4 * replicas
