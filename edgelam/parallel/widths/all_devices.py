# SPDX-License-Identifier: GPL-2.0-only
"""The best widths and shares if every device has to take part: what the choice of participants is worth."""

from __future__ import annotations

from edgelam.errors import OutOfDeviceMemory
from edgelam.parallel.widths import exact
from edgelam.parallel.widths.problem import Plan, Problem


def solve(problem: Problem) -> Plan:
    """The plan of `search`."""
    return search(problem).plan


def search(problem: Problem) -> exact.Solution:
    """The shortest step in which each device has at least one unit of each kind.

    Where there are fewer units of a kind than devices, not every device can have one: then the devices with the lowest
    uplink rates have no unit. Raises OutOfDeviceMemory for a device with no room for one unit of each kind, with both
    numbers.
    """
    smallest = problem.memory_needed([1] * len(problem.kinds))
    for name, free in zip(problem.devices, problem.memory_bytes, strict=True):
        if free < smallest:
            raise OutOfDeviceMemory(
                f"{name}: the least part, one unit of each kind, needs {smallest:,} bytes, and {free:,} bytes are free"
            )
    most = min(problem.totals)
    order = sorted(range(len(problem.devices)), key=lambda k: (-problem.rate_up_bps[k], k))
    out = [problem.devices[k] for k in order[most:]]
    if not out:
        return exact.search(problem, least=1)
    solution = exact.search(problem.without(out), least=1)
    part = solution.plan
    kept = [k for k, name in enumerate(problem.devices) if name not in out]
    place = {k: number for number, k in enumerate(kept)}
    everyone = range(len(problem.devices))
    plan = Plan(
        tuple(tuple(row[place[k]] if k in place else 0 for k in everyone) for row in part.widths),
        tuple(part.shares[place[k]] if k in place else 0.0 for k in everyone),
        part.predicted_s,
    )
    return exact.Solution(plan, solution.operations)
