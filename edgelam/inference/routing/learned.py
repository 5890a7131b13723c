# SPDX-License-Identifier: GPL-2.0-only
"""A learned policy as a rule: it sees what the queueing model shows it (routing_model.py), and takes the best node.

Its operations are those that the policy states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgelam.inference.routing.knowledge import Knowledge
from edgelam.inference.routing.rule import Replica
from edgelam.inference.routing_model import View

if TYPE_CHECKING:
    import numpy as np

    from edgelam.inference.requests import Request

Policy = Callable[[View], int]
"""Chooses a node, for a view of one copy."""


class Learned:
    """The rule."""

    needs_queues = True

    def __init__(self, knowledge: Knowledge, policy: Policy, operations: int) -> None:
        """policy: chooses; operations: floating-point operations of one choice, over all nodes."""
        self.knowledge, self.policy, self._operations = knowledge, policy, operations

    def choose(
        self, service: str, replicas: Sequence[Replica], request: Request, rng: np.random.Generator
    ) -> int:  # fmt: skip
        """Return the replica on the policy's node."""
        return self.knowledge.chosen(self.policy(self.knowledge.view(service, replicas, request)), replicas)

    def operations(self, replicas: int) -> int:
        """Return the policy's own; it looks at all nodes."""
        return self._operations
