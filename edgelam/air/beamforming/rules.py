# SPDX-License-Identifier: GPL-2.0-only
"""The classical rules for the precoder of a downlink, by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from edgelam.air.beamforming.balancing import max_min
from edgelam.air.beamforming.maximum_ratio import mrt
from edgelam.air.beamforming.problem import Downlink
from edgelam.air.beamforming.regularised import rzf
from edgelam.air.beamforming.weighted_mmse import wmmse
from edgelam.air.beamforming.zf import zero_forcing

Rule = Callable[[Downlink], Tensor]
"""Returns the precoder of a problem, [..., antenna, user]."""

RULES: dict[str, Rule] = {
    "mrt": mrt,
    "zf": zero_forcing,
    "rzf": rzf,
    "wmmse-1-start": lambda problem: wmmse(problem, starts=1),
    "wmmse": wmmse,
    "max-min": max_min,
}
