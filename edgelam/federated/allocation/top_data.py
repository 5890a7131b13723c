# SPDX-License-Identifier: GPL-2.0-only
"""So many devices, always those that hold the most samples, in equal parts."""

from __future__ import annotations

import numpy as np

from edgelam.federated.allocation.problem import Choice, RoundProblem
from edgelam.federated.allocation.settings import AllocationSettings
from edgelam.federated.allocation.spread import equal
from edgelam.lyapunov import VirtualQueues


def decide(problem: RoundProblem, queues: VirtualQueues, settings: AllocationSettings, seed: int) -> Choice:
    """Return who takes part, with how many units of the band."""
    most = np.argsort(-problem.samples, kind="stable")[: settings.devices]
    return Choice(equal(problem, most), len(problem.devices))
