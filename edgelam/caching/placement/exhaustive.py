# SPDX-License-Identifier: GPL-2.0-only
"""Every placement, for small cases: all sets of models that fit a node and have no room for one more, at each node."""

from __future__ import annotations

import itertools
import math

import numpy as np

from edgelam.caching.placement.problem import Placement, Problem
from edgelam.errors import ConfigurationError

MOST_PLACEMENTS = 1_000_000


def solve(problem: Problem) -> Placement:
    """Return a best placement. Raises ConfigurationError if there are more than 12 models or a million placements."""
    num_m = len(problem.library.models)
    if num_m > 12:
        raise ConfigurationError(f"exhaustive search is for at most 12 models, and there are {num_m}; take exact")
    choices = [_largest(problem, int(capacity)) for capacity in problem.capacity_bytes]
    if math.prod(map(len, choices)) > MOST_PLACEMENTS:
        raise ConfigurationError(
            f"there are {math.prod(map(len, choices))} placements; exhaustive search tries at most {MOST_PLACEMENTS}"
        )
    hits = [[problem.in_time[node] & models for models in found] for node, found in enumerate(choices)]
    best, most = [0] * len(choices), -1.0
    for chosen in itertools.product(*(range(len(found)) for found in choices)):
        served = np.logical_or.reduce([hits[node][k] for node, k in enumerate(chosen)])
        value = float((problem.demand * served).sum())
        if value > most:
            best, most = list(chosen), value
    return Placement(np.array([choices[node][k] for node, k in enumerate(best)]), gap=0.0)


def _largest(problem: Problem, capacity: int) -> list[np.ndarray]:
    """Return the sets of models that fit and have no superset that does, bool [M] each."""
    num_m = len(problem.library.models)
    fitting = []
    for bits in range(2**num_m):
        models = np.array([bool(bits >> i & 1) for i in range(num_m)])
        if problem.library.union_bytes(models) <= capacity:
            fitting.append(bits)
    there = set(fitting)
    largest = [bits for bits in fitting if not any(bits | 1 << i in there for i in range(num_m) if not bits >> i & 1)]
    return [np.array([bool(bits >> i & 1) for i in range(num_m)]) for bits in largest]
