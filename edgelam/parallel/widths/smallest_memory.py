# SPDX-License-Identifier: GPL-2.0-only
"""The papers' own statement: equal widths, bounded by the smallest memory of the devices that take part.

"Edge Large AI Models: Revolutionizing 6G Networks" says that the shard dimension is bounded by the smallest
participating memory. Our reading: all devices take part with equal widths and equal shares; while the smallest memory
among them does not hold an equal part, the device with that memory is left out.
"""

from __future__ import annotations

from edgelam.errors import OutOfDeviceMemory
from edgelam.parallel.widths.problem import Plan, Problem, Widths
from edgelam.parallel.widths.shares import equal_shares


def solve(problem: Problem) -> Plan:
    """Equal widths and shares for the most devices that all have room. Raises OutOfDeviceMemory, with both numbers."""
    order = sorted(range(len(problem.devices)), key=lambda k: (-problem.memory_bytes[k], k))
    for count in range(len(order), 0, -1):
        widths = _equal(problem, sorted(order[:count]))
        needed = [problem.memory_needed([row[k] for row in widths]) for k in range(len(problem.devices))]
        if all(need <= have for need, have in zip(needed, problem.memory_bytes, strict=True)):
            return equal_shares(problem, widths)
    needed_alone = problem.memory_needed([kind.units for kind in problem.kinds])
    raise OutOfDeviceMemory(
        f"no number of devices has memory for equal widths: one device alone needs {needed_alone:,} bytes, the "
        f"largest, {problem.devices[order[0]]}, has {problem.memory_bytes[order[0]]:,} bytes free, and an equal part "
        f"of {len(order)} devices needs {_equal_bytes(problem):,} bytes, where the smallest, "
        f"{problem.devices[order[-1]]}, has {problem.memory_bytes[order[-1]]:,} bytes free"
    )


def _equal(problem: Problem, members: list[int]) -> Widths:
    """Equal widths; what does not divide goes to the first ones, one each."""
    rows = []
    for kind in problem.kinds:
        each, more = divmod(kind.units, len(members))
        mine = {k: each + (number < more) for number, k in enumerate(members)}
        rows.append(tuple(mine.get(k, 0) for k in range(len(problem.devices))))
    return tuple(rows)


def _equal_bytes(problem: Problem) -> int:
    return problem.memory_needed([-(-kind.units // len(problem.devices)) for kind in problem.kinds])
