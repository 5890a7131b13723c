# SPDX-License-Identifier: GPL-2.0-only
"""Widths in proportion to the speed of computing, for all devices, with the best shares for these widths."""

from __future__ import annotations

from edgelam.parallel.widths.problem import Plan, Problem
from edgelam.parallel.widths.proportional import proportional
from edgelam.parallel.widths.shares import best_shares


def solve(problem: Problem) -> Plan:
    """Widths by compute. Raises OutOfDeviceMemory, with both numbers.

    The speed of a device is one over its seconds for everything, all kinds together; if computing takes no time, the
    widths are equal.
    """
    seconds = [
        sum(kind.seconds_per_unit[k] * kind.units * kind.merges for kind in problem.kinds)
        for k in range(len(problem.devices))
    ]
    none = [k for k, each in enumerate(seconds) if each == 0]
    weights = [float(k in none) if none else 1 / seconds[k] for k in range(len(seconds))]
    return best_shares(problem, proportional(problem, weights))
