# SPDX-License-Identifier: GPL-2.0-only
"""Participants, integer widths and band shares of looped tensor parallelism: the problem, its solver, other rules.

problem = Problem(devices=("ue0", "ue1"), kinds=(Kind("heads", 12, ...), Kind("columns", 48, ...)), ...)
plan = METHODS["optimised"](problem)        # plan.widths, plan.shares, plan.predicted_s
"""

from collections.abc import Callable

from edgelam.parallel.widths import (
    all_devices,
    by_bandwidth,
    by_compute,
    enumeration,
    equal,
    exact,
    fluid,
    paba,
    smallest_memory,
)
from edgelam.parallel.widths.problem import Kind, Plan, Problem, Widths, check_widths, plan_of, step_s
from edgelam.parallel.widths.shares import best_shares, equal_shares

METHODS: dict[str, Callable[[Problem], Plan]] = {
    "optimised": exact.solve,
    "smallest-memory": smallest_memory.solve,
    "equal": equal.solve,
    "by-compute": by_compute.solve,
    "by-bandwidth": by_bandwidth.solve,
    "all-devices": all_devices.solve,
    "paba": paba.solve,
}
"""Name -> rule; the first is the exact solver, the others are what it is compared with."""

__all__ = [
    "METHODS",
    "Kind",
    "Plan",
    "Problem",
    "Widths",
    "best_shares",
    "check_widths",
    "enumeration",
    "equal_shares",
    "exact",
    "fluid",
    "plan_of",
    "step_s",
]
