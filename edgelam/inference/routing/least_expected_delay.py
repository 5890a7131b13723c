# SPDX-License-Identifier: GPL-2.0-only
"""PropAvg: each call goes where it is expected to end first, by mean rates.

The paper (arXiv 2601.19563) names its baselines and does not define them. We read PropAvg as its own controller with
mean rates where it uses effective capacities: no margin for what varies. Expected are the transfer of the call's
inputs, the wait by the queues that the router knows, the call's mean seconds, and the least onward way of its output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgelam.inference.routing.knowledge import Knowledge
from edgelam.inference.routing.rule import Replica
from edgelam.inference.routing_model import EXPECTED

if TYPE_CHECKING:
    from edgelam.inference.requests import Request


class LeastExpectedDelay:
    """The rule."""

    needs_queues = True

    def __init__(self, knowledge: Knowledge) -> None:
        """knowledge: what takes how long."""
        self.knowledge = knowledge

    def choose(
        self, service: str, replicas: Sequence[Replica], request: Request, rng: np.random.Generator
    ) -> int:  # fmt: skip
        """Return the replica with the least sum."""
        seen = self.knowledge.view(service, replicas, request)
        total = np.where(seen.legal[0], seen.rows[0][:, EXPECTED].sum(axis=1), np.inf)
        return self.knowledge.chosen(int(total.argmin()), replicas)

    def operations(self, replicas: int) -> int:
        """Return those of the numbers of a row (10) and of their sum and comparison (4), for each replica."""
        return 14 * replicas
