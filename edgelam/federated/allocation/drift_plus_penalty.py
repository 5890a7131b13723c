# SPDX-License-Identifier: GPL-2.0-only
"""Online allocation by drift plus penalty (after arXiv 2407.02924): the least band for each, then who takes part.

1. The least units of band with which each device keeps to the deadline (bisection.py).
2. The value of each: V w_k - sum over budgets of Q_r c_kr / budget_r; the queues know past rounds only.
3. Admission in each cell: in ascending order of units where all values are equal (ascending.py), or the exact knapsack.
4. What is left of a cell's band goes to its slowest devices, one unit after the other (spread.py): it costs nothing.

As long as nothing has been measured, all devices take part in equal parts.
"""

from __future__ import annotations

import numpy as np

from edgelam.federated.allocation import ascending, bisection, knapsack
from edgelam.federated.allocation.problem import Choice, Floats, Ints, RoundProblem
from edgelam.federated.allocation.settings import AllocationSettings
from edgelam.federated.allocation.spread import equal, spread
from edgelam.lyapunov import VirtualQueues


def values(problem: RoundProblem, queues: VirtualQueues, shares: Floats) -> Floats:
    """Return what taking part with these shares is worth to drift plus penalty, [K]."""
    return np.asarray(queues.v * problem.weights - queues.price(problem.uses(shares)))


def admission(problem: RoundProblem, queues: VirtualQueues, needs: Ints) -> tuple[Ints, int]:
    """Return the units of those that take part, who have what they need, and the operations. needs: `least_units`."""
    possible = needs <= problem.units
    worth = np.where(possible, values(problem, queues, np.minimum(needs, problem.units) / problem.units), 0.0)
    units, operations = np.zeros(len(needs), dtype=np.int64), 6 * len(needs)
    for members in problem.in_cells():
        alike = members[possible[members]]
        same = len(alike) > 0 and bool(np.all(worth[alike] == worth[alike[0]]))
        admit = ascending.admit if same else knapsack.admit
        chosen, steps = admit(needs[members], worth[members], problem.units)
        units[members[chosen]] = needs[members[chosen]]
        operations += steps
    return units, operations


def decide(problem: RoundProblem, queues: VirtualQueues, settings: AllocationSettings, seed: int) -> Choice:
    """Return who takes part, with how many units of the band."""
    count = len(problem.devices)
    if not problem.measured.any():
        return Choice(equal(problem, np.arange(count)), count)
    needs, looking = bisection.least_units(problem)
    units, admitting = admission(problem, queues, needs)
    given, spreading = spread(problem, units)
    return Choice(given, looking + admitting + spreading)
