# SPDX-License-Identifier: GPL-2.0-only
"""The least share of the band with which a device keeps to a deadline, by bisection; its time falls as the share grows.

The rate of a device with power P is increasing and concave in its band, and bounded: where the deadline is beyond that
bound, no band is enough.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgelam.federated.allocation.problem import Floats, Ints, RoundProblem

HALVES = 40
"""Bisections: to 1e-12 of the band."""
OPERATIONS = 12
"""Of one look at the time of one device."""


def least_shares(seconds: Callable[[Floats], Floats], deadline_s: float, count: int) -> Floats:
    """Return the least share for each of `count` devices, above 0 and at most 1; inf: even the whole band is too slow.

    seconds: shares [K] -> seconds [K], falling.
    """
    low, high = np.zeros(count), np.ones(count)
    possible = seconds(high) <= deadline_s
    for _ in range(HALVES):
        middle = (low + high) / 2
        enough = seconds(middle) <= deadline_s
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(possible, high, np.inf)


def least_units(problem: RoundProblem) -> tuple[Ints, int]:
    """Return the least whole units of the band for each device, and the operations; units + 1: all are not enough.

    Rounded up to what the cap can keep to, and only then compared with the deadline.
    """
    count = len(problem.devices)
    shares = least_shares(problem.seconds, problem.deadline_s, count)
    wanted = np.where(np.isfinite(shares), np.ceil(shares * problem.units - 1e-9), problem.units + 1)
    units = np.maximum(wanted, 1).astype(np.int64)
    # a share that is rounded up to itself may miss the deadline by the last digit
    possible = units <= problem.units
    late = possible & (problem.seconds(np.minimum(units, problem.units) / problem.units) > problem.deadline_s)
    return units + late, OPERATIONS * count * (HALVES + 2)
