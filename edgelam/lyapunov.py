# SPDX-License-Identifier: GPL-2.0-only
"""Virtual queues: how far the use of each budget is behind what is allowed on average (M. Neely, "Stochastic Network
Optimization with Application to Communication and Queueing Systems", 2010, section 4.4).

After each slot, Q becomes max(Q + use / budget - 1, 0). Adding up these lines gives, for every run and every policy,

    mean of use / budget over T slots  <=  1 + (Q at the end - Q at the beginning) / T,

so a budget is met within Q / T, and is met in the limit if Q / T goes to 0. Drift plus penalty chooses in each slot
what minimises V * penalty + sum of Q * use / budget.

A queue that begins empty has to grow to about V times the price of the budget before it holds anything back: until
then, O(V) slots spend more than is allowed. `give` gives it that backlog beforehand (place-holder backlog, section
4.8 there; from an estimate of the price: Huang, Liu and Hao, SIGMETRICS 2014). What it was given then does not count
as use, and the penalty is larger by at most its square over 2 V T.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from edgelam.errors import ConfigurationError


class VirtualQueues:
    """One queue for each budget, in units of a slot's budget."""

    def __init__(self, limits: ArrayLike, v: float) -> None:
        """limits: the budgets of a slot, [K]; inf: without a limit. v: weight of the penalty against the queues.

        Raises ConfigurationError if v is not above 0 and finite, or a budget is not above 0.
        """
        if not 0 < v < math.inf:
            raise ConfigurationError(f"V is {v!r}; it must be above 0 and finite")
        self.limits = np.asarray(limits, dtype=float)
        if not np.all(self.limits > 0):
            raise ConfigurationError(f"budgets of a slot are {self.limits.tolist()}; each must be above 0")
        self.v = v
        self.values = np.zeros(len(self.limits))
        """Q, float64 [K]."""
        self.used = np.zeros(len(self.limits))
        """Sum of use / budget over all slots that had a use, [K]."""
        self.slots = np.zeros(len(self.limits), dtype=int)
        """How many slots these are, [K]."""
        self.given = np.zeros(len(self.limits))
        """The part of Q that no use has caused (`give`), [K]."""

    def give(self, prices: np.ndarray) -> None:
        """Change each queue by V times a price of a slot's budget, not below 0. prices: penalty for a budget, [K]."""
        changed = np.maximum(self.values + self.v * np.asarray(prices, dtype=float), 0)
        self.given = self.given + (changed - self.values)
        self.values = changed

    def update(self, uses: np.ndarray) -> None:
        """Count what a slot has used, in the units of the budgets, [K]; NaN: nothing of that was measured in it."""
        known = ~np.isnan(uses)
        ratio = np.where(known, uses, 0.0) / self.limits
        self.values = np.where(known, np.maximum(self.values + ratio - 1, 0), self.values)
        self.used += ratio
        self.slots += known

    def price(self, uses: np.ndarray) -> np.ndarray:
        """Return the sum of Q * use / budget over the last axis of `uses`, in the units of the budgets, [..., K]."""
        return np.asarray((uses / self.limits) @ self.values)

    @property
    def mean_use(self) -> np.ndarray:
        """Mean of use / budget, [K]; NaN without a slot."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.used / self.slots)

    @property
    def allowance(self) -> np.ndarray:
        """(Q - given) / T: by how much more than 1 `mean_use` can be at most, [K]; NaN without a slot."""
        with np.errstate(invalid="ignore"):
            return np.asarray((self.values - self.given) / self.slots)
