# SPDX-License-Identifier: GPL-2.0-only
"""Admission by trying all sets of devices: a slow reference, for up to 20 of them."""

from __future__ import annotations

import itertools

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.federated.allocation.problem import Floats, Ints

MOST = 20


def admit(needs: Ints, values: Floats, units: int) -> tuple[Ints, int]:
    """Return the devices that take part and the operations. See knapsack.py. Raises ConfigurationError beyond 20."""
    count = len(needs)
    if count > MOST:
        raise ConfigurationError(f"{count} devices have too many sets to try all; legal are up to {MOST}")
    best = 0.0
    chosen: tuple[int, ...] = ()
    for size in range(count + 1):
        for members in itertools.combinations(range(count), size):
            index = list(members)
            if needs[index].sum() <= units and values[index].sum() > best:
                best, chosen = float(values[index].sum()), members
    return np.array(chosen, dtype=np.int64), count * 2**count
