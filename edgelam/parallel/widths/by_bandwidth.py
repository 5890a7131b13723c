# SPDX-License-Identifier: GPL-2.0-only
"""Widths in proportion to the uplink rates, for all devices, with the best shares for these widths."""

from __future__ import annotations

from edgelam.parallel.widths.problem import Plan, Problem
from edgelam.parallel.widths.proportional import proportional
from edgelam.parallel.widths.shares import best_shares


def solve(problem: Problem) -> Plan:
    """Widths by bandwidth. Raises OutOfDeviceMemory, with both numbers."""
    return best_shares(problem, proportional(problem, problem.rate_up_bps))
