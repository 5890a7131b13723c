# SPDX-License-Identifier: GPL-2.0-only
"""Enumeration: every division of the units, each with its best shares. For small problems, and to check the solver."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from edgelam.errors import ConfigurationError
from edgelam.parallel.widths.problem import Plan, Problem
from edgelam.parallel.widths.shares import best_shares

MOST = 100_000
"""Divisions that are tried at most."""


def solve(problem: Problem) -> Plan:
    """The plan with the shortest step.

    Raises OutOfDeviceMemory, and ConfigurationError for more than MOST divisions.
    """
    problem.refuse_if_too_large()
    count = len(problem.devices)
    divisions = math.prod(math.comb(kind.units + count - 1, count - 1) for kind in problem.kinds)
    if divisions > MOST:
        raise ConfigurationError(f"there are {divisions:,} divisions; enumeration takes at most {MOST:,}")
    best: Plan | None = None
    for widths in itertools.product(*(list(_divisions(kind.units, count)) for kind in problem.kinds)):
        fits = all(
            problem.memory_needed([row[k] for row in widths]) <= problem.memory_bytes[k] for k in range(count)
        )  # fmt: skip
        if fits:
            plan = best_shares(problem, widths)
            if best is None or plan.predicted_s < best.predicted_s:
                best = plan
    if best is None:
        raise problem.no_room()
    return best


def _divisions(units: int, devices: int) -> Iterator[tuple[int, ...]]:
    """All ways to give so many units to so many devices."""
    if devices == 1:
        yield (units,)
        return
    for first in range(units + 1):
        for rest in _divisions(units - first, devices - 1):
            yield (first, *rest)
