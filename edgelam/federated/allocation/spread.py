# SPDX-License-Identifier: GPL-2.0-only
"""Gives band away unit by unit, each time to the device of a cell whose predicted time is longest.

Times fall as shares grow, so in the end the slowest device of each cell is as fast as it can be.
"""

from __future__ import annotations

import numpy as np

from edgelam.federated.allocation.problem import Ints, RoundProblem


def spread(problem: RoundProblem, units: Ints) -> tuple[Ints, int]:
    """Return `units` [K] with what is left of each cell's band given to devices that have some, and the operations."""
    given, operations = units.copy(), 0
    for members in problem.in_cells():
        there = members[given[members] > 0]
        left = problem.units - int(given[there].sum())
        if not len(there) or left <= 0:
            continue
        seconds = problem.seconds(np.maximum(given, 1) / problem.units)
        for _ in range(left):
            slowest = there[int(np.argmax(seconds[there]))]
            given[slowest] += 1
            seconds[slowest] = problem.seconds(np.maximum(given, 1) / problem.units)[slowest]
        operations += left * (len(there) + 12)
    return given, operations


def equal(problem: RoundProblem, devices: Ints) -> Ints:
    """Return equal units for these devices (indices), in each cell, [K]; what does not divide is left."""
    given = np.zeros(len(problem.devices), dtype=np.int64)
    for members in problem.in_cells():
        there = members[np.isin(members, devices)]
        if len(there):
            given[there] = problem.units // len(there)
    return given
