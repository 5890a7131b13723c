# SPDX-License-Identifier: GPL-2.0-only
"""Admission where devices differ in value: the knapsack problem, exactly, by dynamic programming over whole units."""

from __future__ import annotations

import numpy as np

from edgelam.federated.allocation.problem import Floats, Ints


def admit(needs: Ints, values: Floats, units: int) -> tuple[Ints, int]:
    """Return the devices whose values have the largest sum within the band, and the operations.

    needs: units of the band of each device, [K], from 1; more than `units`: never. values: [K]; a device whose value is
    not above 0 is left out. The result has indices in ascending order.
    """
    may = [k for k in range(len(needs)) if values[k] > 0 and needs[k] <= units]
    best = np.zeros(units + 1)  # with at most so many units
    takes = np.zeros((len(may), units + 1), dtype=bool)
    for row, k in enumerate(may):
        need = int(needs[k])
        with_k = best[: units + 1 - need] + values[k]
        takes[row, need:] = with_k > best[need:]
        best[need:] = np.maximum(best[need:], with_k)
    chosen: list[int] = []
    left = units
    for row in reversed(range(len(may))):
        if takes[row, left]:
            chosen.append(may[row])
            left -= int(needs[may[row]])
    return np.array(sorted(chosen), dtype=np.int64), 2 * len(may) * (units + 1) + 2 * len(needs)
