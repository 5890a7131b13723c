# SPDX-License-Identifier: GPL-2.0-only
"""The virtual queues of migration: one for each resource (edgelam/lyapunov.py)."""

from __future__ import annotations

import numpy as np

from edgelam import lyapunov
from edgelam.inference.migration.problem import Budgets, SlotProblem


class VirtualQueues(lyapunov.VirtualQueues):
    """One queue for each of `RESOURCES`, in units of a slot's budget."""

    def __init__(self, budgets: Budgets, v: float) -> None:
        """v: weight of the penalty against the queues, in 1/s. Raises ConfigurationError if it is not above 0."""
        super().__init__(budgets.values, v)
        self.budgets = budgets

    def cost(self, problem: SlotProblem, x: np.ndarray) -> float:
        """Return V * penalty + sum of Q * use / budget: what drift plus penalty minimises. x: int [U]."""
        return self.v * problem.penalty(x) + float(self.price(problem.uses(x)))
