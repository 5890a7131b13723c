# SPDX-License-Identifier: GPL-2.0-only
"""So many devices, drawn at random in each round, in equal parts."""

from __future__ import annotations

import numpy as np

from edgelam.federated.allocation.problem import Choice, RoundProblem
from edgelam.federated.allocation.settings import AllocationSettings
from edgelam.federated.allocation.spread import equal
from edgelam.learning.participation import draw
from edgelam.lyapunov import VirtualQueues


def decide(problem: RoundProblem, queues: VirtualQueues, settings: AllocationSettings, seed: int) -> Choice:
    """Return who takes part, with how many units of the band."""
    count = len(problem.devices)
    drawn = draw(count, min(1.0, settings.devices / count), problem.round, seed)
    return Choice(equal(problem, np.array(drawn)), count)
