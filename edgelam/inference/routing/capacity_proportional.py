# SPDX-License-Identifier: GPL-2.0-only
"""Capacity-proportional random routing: a replica is drawn with a probability that is proportional to its capacity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgelam.inference.routing.rule import Replica

if TYPE_CHECKING:
    from edgelam.inference.requests import Request


class CapacityProportional:
    """The rule."""

    needs_queues = False

    def choose(
        self, service: str, replicas: Sequence[Replica], request: Request, rng: np.random.Generator
    ) -> int:  # fmt: skip
        """Draw one number, and find it in the cumulative capacities."""
        total = np.cumsum([replica.capacity for replica in replicas])
        return int(np.searchsorted(total, rng.random() * total[-1], side="right"))

    def operations(self, replicas: int) -> int:
        """Return an addition and a comparison for each replica."""
        return 2 * replicas
