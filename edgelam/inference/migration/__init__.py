# SPDX-License-Identifier: GPL-2.0-only
"""Sessions that follow their users: their state and weights move between nodes, under budgets.

Start with docs/migration.md. `Hosting` moves and serves sessions; `SlotProblem` is what a policy decides on; `policies`
has them, one in each file; `Control` runs one in a simulation; `Drive` is a model of a road without a network.
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.inference.migration.control import Control
    from edgelam.inference.migration.estimates import Estimates
    from edgelam.inference.migration.hosting import Hosting
    from edgelam.inference.migration.one_shot import alternating, exhaustive
    from edgelam.inference.migration.problem import RESOURCES, Budgets, SlotProblem
    from edgelam.inference.migration.queues import VirtualQueues
    from edgelam.inference.migration.road import Drive, Road

_HOME = {
    "Control": "control", "Estimates": "estimates", "Hosting": "hosting", "VirtualQueues": "queues",
    **dict.fromkeys(("alternating", "exhaustive"), "one_shot"),
    **dict.fromkeys(("RESOURCES", "Budgets", "SlotProblem"), "problem"),
    **dict.fromkeys(("Drive", "Road"), "road"),
}  # fmt: skip

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = [
    "RESOURCES", "Budgets", "Control", "Drive", "Estimates", "Hosting", "Road", "SlotProblem", "VirtualQueues",
    "alternating", "exhaustive",
]  # fmt: skip
