# SPDX-License-Identifier: GPL-2.0-only
"""Join the shortest queue: the replica with the fewest calls for its capacity (ties: the fastest, then the first)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgelam.inference.routing.rule import Replica

if TYPE_CHECKING:
    import numpy as np

    from edgelam.inference.requests import Request


class JoinShortestQueue:
    """The rule."""

    needs_queues = True

    def choose(
        self, service: str, replicas: Sequence[Replica], request: Request, rng: np.random.Generator
    ) -> int:  # fmt: skip
        """Return the replica at which (queue + 1) / capacity, the wait with this call, is least."""
        return min(range(len(replicas)), key=lambda i: wait(replicas[i]))

    def operations(self, replicas: int) -> int:
        """Return an addition, a division and a comparison for each replica."""
        return 3 * replicas


def wait(replica: Replica) -> float:
    """Return the expected wait of a further call, in units of a call's operations."""
    return (replica.queue + 1) / replica.capacity
