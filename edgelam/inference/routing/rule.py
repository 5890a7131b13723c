# SPDX-License-Identifier: GPL-2.0-only
"""What a routing rule is: it chooses one of the replicas of a service for a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from edgelam.inference.requests import Request


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica, as the router knows it."""

    node: str
    capacity: float
    """Floating-point operations per second of its node."""
    queue: float
    """Calls that were sent to it and have not ended, as far as the router knows."""


class Rule(Protocol):
    """A routing rule; it may keep a state."""

    @property
    def needs_queues(self) -> bool:
        """Whether it looks at queues, so that nodes have to report them."""

    def choose(
        self, service: str, replicas: Sequence[Replica], request: Request, rng: np.random.Generator
    ) -> int:  # fmt: skip
        """Return the index of the chosen replica. rng: a stream of this request."""

    def operations(self, replicas: int) -> int:
        """Return the floating-point operations of a choice among so many."""
