# SPDX-License-Identifier: GPL-2.0-only
"""Never: sessions stay where they began."""

from edgelam.inference.migration.one_shot import Choice
from edgelam.inference.migration.problem import SlotProblem
from edgelam.inference.migration.queues import VirtualQueues


class Never:
    """See the module."""

    def decide(self, problem: SlotProblem, queues: VirtualQueues) -> Choice:
        """Return where the sessions are."""
        return Choice(problem.at)
