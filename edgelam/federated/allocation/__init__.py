# SPDX-License-Identifier: GPL-2.0-only
"""Who takes part in a round, and with how much of the band: decided online from the channel, and kept to in the cell.

Start with docs/allocation.md. A rule is ``decide(problem, queues, settings, seed) -> Choice``, one in each file; the
parts of drift plus penalty are `bisection`, `ascending` and `knapsack`; `Allocator` runs a rule over a simulated cell;
`recorded` repeats decisions on rounds that were recorded.
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.federated.allocation.allocator import RULES, Allocator
    from edgelam.federated.allocation.problem import Choice, RoundProblem
    from edgelam.federated.allocation.settings import AllocationSettings

_HOME = {
    **dict.fromkeys(("RULES", "Allocator"), "allocator"),
    **dict.fromkeys(("Choice", "RoundProblem"), "problem"),
    "AllocationSettings": "settings",
}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = ["RULES", "AllocationSettings", "Allocator", "Choice", "RoundProblem"]
