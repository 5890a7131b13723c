# SPDX-License-Identifier: GPL-2.0-only
"""All devices, with the parts of the band with which the slowest one is predicted to be fastest."""

from __future__ import annotations

import numpy as np

from edgelam.federated.allocation.problem import Choice, RoundProblem
from edgelam.federated.allocation.settings import AllocationSettings
from edgelam.federated.allocation.spread import spread
from edgelam.lyapunov import VirtualQueues


def decide(problem: RoundProblem, queues: VirtualQueues, settings: AllocationSettings, seed: int) -> Choice:
    """Return who takes part, with how many units of the band."""
    return Choice(*spread(problem, np.ones(len(problem.devices), dtype=np.int64)))
