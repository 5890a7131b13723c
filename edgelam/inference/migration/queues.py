# SPDX-License-Identifier: GPL-2.0-only
"""Virtual queues: how far the use of each budget is behind what is allowed on average (M. Neely, "Stochastic Network
Optimization with Application to Communication and Queueing Systems", 2010, section 4.4).

After each slot, Q becomes max(Q + use / budget - 1, 0). Adding up these lines gives, for every run and every policy,

    mean of use / budget over T slots  <=  1 + (Q at the end - Q at the beginning) / T,

so a budget is met within Q / T, and is met in the limit if Q / T goes to 0.
"""

from __future__ import annotations

import math

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.migration.problem import RESOURCES, Budgets, SlotProblem


class VirtualQueues:
    """One queue for each of `RESOURCES`, in units of a slot's budget."""

    def __init__(self, budgets: Budgets, v: float) -> None:
        """v: weight of the penalty against the queues, in 1/s. Raises ConfigurationError if it is not above 0."""
        if not 0 < v < math.inf:
            raise ConfigurationError(f"V is {v!r}; it must be above 0 and finite")
        self.budgets, self.v = budgets, v
        self.values = np.zeros(len(RESOURCES))
        """Q, float64 [K]."""
        self.used = np.zeros(len(RESOURCES))
        """Sum of use / budget over all slots that had a use, [K]."""
        self.slots = np.zeros(len(RESOURCES), dtype=int)
        """How many slots these are, [K]."""

    def update(self, uses: np.ndarray) -> None:
        """Count what a slot has used, in the units of `Budgets`, [K]; NaN: nothing of that was measured in it."""
        known = ~np.isnan(uses)
        ratio = np.where(known, uses, 0.0) / self.budgets.values
        self.values = np.where(known, np.maximum(self.values + ratio - 1, 0), self.values)
        self.used += ratio
        self.slots += known

    def cost(self, problem: SlotProblem, x: np.ndarray) -> float:
        """Return V * penalty + sum of Q * use / budget: what drift plus penalty minimises. x: int [U]."""
        return self.v * problem.penalty(x) + float(self.values @ (problem.uses(x) / self.budgets.values))

    @property
    def mean_use(self) -> np.ndarray:
        """Mean of use / budget, [K]; NaN without a slot."""
        with np.errstate(invalid="ignore"):
            return self.used / self.slots

    @property
    def allowance(self) -> np.ndarray:
        """Q / T: by how much more than 1 `mean_use` can be at most, [K]; NaN without a slot."""
        with np.errstate(invalid="ignore"):
            return self.values / self.slots
