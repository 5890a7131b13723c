# SPDX-License-Identifier: GPL-2.0-only
"""Always: in each slot, each session moves to the node with the least predicted latency, whatever that costs."""

import numpy as np

from edgelam.inference.migration.one_shot import Choice
from edgelam.inference.migration.problem import SlotProblem
from edgelam.inference.migration.queues import VirtualQueues


class Always:
    """See the module."""

    def decide(self, problem: SlotProblem, queues: VirtualQueues) -> Choice:
        """Return the node of least latency for each session; it stays where it is if no other is better."""
        u = np.arange(len(problem.users))
        latency_s = np.where(problem.allowed, problem.latency_s, np.inf)
        latency_s[u, problem.at] = problem.latency_s[u, problem.at]
        best = latency_s.argmin(axis=1)
        stays = latency_s[u, best] >= latency_s[u, problem.at]
        return Choice(np.where(stays, problem.at, best), latency_s.size)
