# SPDX-License-Identifier: GPL-2.0-only
"""Prices of the budgets: the Lagrangian dual of the best admission on average, and where it is least.

    dual(p) = p . budget + mean over rounds of  max over s of  sum_k s_k (w_k - p . c_k)     within each cell's band

For any p >= 0, no policy gets more on average, also one that knows all rounds. Its least value is the bound that
`recorded` compares with; the prices there, times V, are about what the queues of drift plus penalty come to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgelam.federated.allocation import knapsack
from edgelam.federated.allocation.problem import Floats, Ints, RoundProblem
from edgelam.lyapunov import VirtualQueues

THIRDS = 60
"""Steps of the ternary search for one price: to 3e-11 of its range."""
PASSES = 3
"""Over several prices, one after the other."""
LEARNT = 32
"""Rounds from which prices are worked out."""


def dual(
    problems: Sequence[RoundProblem], needs: Sequence[Ints], budgets: Sequence[float], prices: Floats
) -> tuple[float, int]:
    """Return the dual at these prices, and the operations. needs: `least_units` of each problem; prices: for each unit
    of a budget, [R]; of a budget without a limit, 0."""
    limits = np.asarray(budgets, dtype=float)
    total, operations = float(prices @ np.where(np.isfinite(limits), limits, 0.0)), 0
    for problem, least in zip(problems, needs, strict=True):
        uses = problem.uses(np.minimum(least, problem.units) / problem.units)
        worth = np.where(least <= problem.units, problem.weights - uses @ prices, 0.0)
        for members in problem.in_cells():
            chosen, steps = knapsack.admit(least[members], worth[members], problem.units)
            total += float(worth[members][chosen].sum()) / len(problems)
            operations += steps + 6 * len(members)
    return total, operations


def least_dual(
    problems: Sequence[RoundProblem], needs: Sequence[Ints], budgets: Sequence[float]
) -> tuple[Floats, float, int]:
    """Return prices at which the dual is about least, [R], the dual there, and the operations.

    The dual is convex in each price, so each is found by ternary search, one after the other; with several budgets,
    that may end a little above the least value (any prices give a bound).
    """
    limits = np.asarray(budgets, dtype=float)
    bound = [i for i in range(len(limits)) if math.isfinite(limits[i])]
    prices, operations = np.zeros(len(limits)), 0
    largest = 2 * max(float(problem.weights.max()) for problem in problems)
    for _ in range(PASSES if len(bound) > 1 else 1):
        for i in bound:
            uses = [problem.uses(np.ones(len(problem.devices)))[:, i] for problem in problems]
            low, high = 0.0, largest / max(min(float(each[each > 0].min(initial=np.inf)) for each in uses), 1e-12)
            for _ in range(THIRDS):
                left, right = low + (high - low) / 3, high - (high - low) / 3
                at = []
                for price in (left, right):
                    prices[i] = price
                    value, steps = dual(problems, needs, budgets, prices)
                    at.append(value)
                    operations += steps
                low, high = (low, right) if at[0] <= at[1] else (left, high)
            prices[i] = (low + high) / 2
    value, steps = dual(problems, needs, budgets, prices)
    return prices, value, operations + steps


class FirstPrices:
    """Gives queues the backlog that the prices of the first rounds are worth.

    After the first round with measurements, and after 2, 4, 8, 16 and 32 of them, prices are worked out anew from all
    rounds so far; the backlog changes by the difference. From then on, the queues follow use alone.
    """

    def __init__(self, queues: VirtualQueues) -> None:
        """Begin without a round."""
        self.queues = queues
        self._problems: list[RoundProblem] = []
        self._needs: list[Ints] = []
        self._given = np.zeros(len(queues.limits))

    def seen(self, problem: RoundProblem, needs: Ints) -> int:
        """Learn from a round before its decision; return the operations."""
        limits = self.queues.limits
        if len(self._problems) >= LEARNT or not len(problem.devices) or not np.isfinite(limits).any():
            return 0
        self._problems.append(problem)
        self._needs.append(needs)
        if len(self._problems) & (len(self._problems) - 1):
            return 0
        prices, _, operations = least_dual(self._problems, self._needs, limits.tolist())
        whole = prices * np.where(np.isfinite(limits), limits, 0.0)
        self.queues.give(whole - self._given)
        self._given = whole
        return operations
