# SPDX-License-Identifier: GPL-2.0-only
"""Power of two choices (M. Mitzenmacher, IEEE TPDS 12(10), 2001): draw two replicas, take the one with less to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgelam.inference.routing.join_shortest_queue import wait
from edgelam.inference.routing.rule import Replica

if TYPE_CHECKING:
    import numpy as np

    from edgelam.inference.requests import Request


class PowerOfTwoChoices:
    """The rule."""

    needs_queues = True

    def choose(
        self, service: str, replicas: Sequence[Replica], request: Request, rng: np.random.Generator
    ) -> int:  # fmt: skip
        """Draw two different replicas, each pair with the same probability."""
        if len(replicas) == 1:
            return 0
        two = [int(i) for i in rng.choice(len(replicas), size=2, replace=False)]
        return min(two, key=lambda i: wait(replicas[i]))

    def operations(self, replicas: int) -> int:
        """Return an addition, a division and a comparison for both."""
        return 6
