# SPDX-License-Identifier: GPL-2.0-only
"""Equal widths and equal shares for all devices, as in a cell that nobody manages.

What a device has no memory for goes to the others.
"""

from __future__ import annotations

from edgelam.parallel.widths.problem import Plan, Problem
from edgelam.parallel.widths.proportional import proportional
from edgelam.parallel.widths.shares import equal_shares


def solve(problem: Problem) -> Plan:
    """Equal widths and shares. Raises OutOfDeviceMemory, with both numbers."""
    return equal_shares(problem, proportional(problem, [1.0] * len(problem.devices)))
