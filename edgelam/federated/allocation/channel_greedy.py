# SPDX-License-Identifier: GPL-2.0-only
"""So many devices, those with the best uplink channels, in equal parts."""

from __future__ import annotations

import numpy as np

from edgelam.federated.allocation.problem import Choice, RoundProblem, per_symbol
from edgelam.federated.allocation.settings import AllocationSettings
from edgelam.federated.allocation.spread import equal
from edgelam.lyapunov import VirtualQueues


def decide(problem: RoundProblem, queues: VirtualQueues, settings: AllocationSettings, seed: int) -> Choice:
    """Return who takes part, with how many units of the band."""
    rate = problem.up_layers * per_symbol(problem.up_snr * settings.devices)  # with the band that it would get
    best = np.argsort(-rate, kind="stable")[: settings.devices]
    return Choice(equal(problem, best), 12 * len(problem.devices))
