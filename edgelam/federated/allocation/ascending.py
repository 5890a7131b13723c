# SPDX-License-Identifier: GPL-2.0-only
"""Admission in ascending order of the band that devices need: exact where all have the same value.

Exchange argument: if the best choice leaves out a device and has one that needs more, exchanging the two is as good
and leaves more band.
"""

from __future__ import annotations

import numpy as np

from edgelam.federated.allocation.problem import Floats, Ints


def admit(needs: Ints, values: Floats, units: int) -> tuple[Ints, int]:
    """Return the devices that take part, as indices in ascending order, and the operations. See knapsack.py."""
    chosen: list[int] = []
    left = units
    for k in np.argsort(needs, kind="stable").tolist():
        if values[k] > 0 and needs[k] <= left:
            chosen.append(k)
            left -= int(needs[k])
    count = len(needs)
    return np.array(sorted(chosen), dtype=np.int64), count * max(1, int(np.ceil(np.log2(max(count, 2))))) + 3 * count
