# SPDX-License-Identifier: GPL-2.0-only
"""Drift plus penalty: in each slot, the placement that makes V * penalty + sum of Q * use / budget least.

It knows nothing of what comes. For slots that are independent and alike, its mean penalty is at most B / V above the
least one that keeps to the budgets, and its queues grow with V (M. Neely, 2010, theorem 4.2), where B is half the mean
of the sum of (use / budget - 1)^2.
"""

from edgelam.inference.migration.one_shot import Choice, alternating
from edgelam.inference.migration.problem import SlotProblem
from edgelam.inference.migration.queues import VirtualQueues


class DriftPlusPenalty:
    """See the module; the one-shot problem is solved by alternating optimisation."""

    def decide(self, problem: SlotProblem, queues: VirtualQueues) -> Choice:
        """Return the placement."""
        return alternating(problem, lambda x: queues.cost(problem, x))
