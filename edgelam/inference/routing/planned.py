# SPDX-License-Identifier: GPL-2.0-only
"""Routes that a plan has fixed: for each user and graph, where each service is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgelam.inference.routing.join_shortest_queue import JoinShortestQueue
from edgelam.inference.routing.rule import Replica

if TYPE_CHECKING:
    import numpy as np

    from edgelam.inference.requests import Request


class Planned:
    """The rule. What the plan does not know, or what has failed, goes to the shortest queue."""

    needs_queues = False

    def __init__(self, routes: Mapping[tuple[str, str, str], str]) -> None:
        """routes: (user, graph, service) -> node."""
        self.routes = dict(routes)
        self._otherwise = JoinShortestQueue()

    def choose(
        self, service: str, replicas: Sequence[Replica], request: Request, rng: np.random.Generator
    ) -> int:  # fmt: skip
        """Return the replica of the plan."""
        node = self.routes.get((request.user, request.graph, service))
        for i, replica in enumerate(replicas):
            if replica.node == node:
                return i
        return self._otherwise.choose(service, replicas, request, rng)

    def operations(self, replicas: int) -> int:
        """Return one look-up."""
        return 1
