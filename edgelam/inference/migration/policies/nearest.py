# SPDX-License-Identifier: GPL-2.0-only
"""Nearest: each session follows its user to the nearest server, as the network says (observable ``nearest_edge``)."""

import numpy as np

from edgelam.inference.migration.one_shot import Choice
from edgelam.inference.migration.problem import SlotProblem
from edgelam.inference.migration.queues import VirtualQueues


class Nearest:
    """See the module."""

    def decide(self, problem: SlotProblem, queues: VirtualQueues) -> Choice:
        """Return the nearest node of each user, if its session may be there."""
        may = [problem.may(u, int(n)) for u, n in enumerate(problem.nearest)]
        return Choice(np.where(may, problem.nearest, problem.at), len(problem.users))
