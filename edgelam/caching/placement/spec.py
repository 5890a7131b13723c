# SPDX-License-Identifier: GPL-2.0-only
"""TrimCaching Spec (arXiv 2405.03990): node by node, each combination of shared blocks with a knapsack of the rest.

Nodes are taken one after the other, each with what those before it have made hits. Of a node, every combination of
shared blocks is tried: with these stored, a model whose shared blocks are among them costs only its own ones, which is
a knapsack. It is solved by dynamic programming over values that are rounded down, to 1 - epsilon of its optimum. Each
node gets at least 1 - epsilon of the best for it, and so all together at least (1 - epsilon) / 2 of the optimum (the
greedy bound for a partition matroid).

Only unions of what models share need to be tried: any other combination stores a shared block that it does not use.
There are few of them where models of one root share bottoms (one for each depth), and exponentially many if sharing is
arbitrary, which is refused.
"""

from __future__ import annotations

import numpy as np

from edgelam.caching.placement.problem import Placement, Problem
from edgelam.errors import ConfigurationError

MOST_COMBINATIONS = 20_000


def solve(problem: Problem, *, epsilon: float = 0.1) -> Placement:
    """Return a placement. epsilon: above 0, less than 1.

    Raises ConfigurationError for another epsilon, and if there are more than `MOST_COMBINATIONS` of shared blocks.
    """
    if not 0 < epsilon < 1:
        raise ConfigurationError(f"epsilon is {epsilon!r}; legal is above 0, below 1")
    unions = _combinations(problem)
    served = np.zeros(problem.demand.shape, dtype=bool)
    kept = np.zeros((len(problem.nodes), len(problem.library.models)), dtype=bool)
    for node in range(len(problem.nodes)):
        kept[node] = _of_node(problem, node, problem.gains(served)[node], unions, epsilon)
        served |= problem.in_time[node] & kept[node]
    return Placement(kept)


def _combinations(problem: Problem) -> np.ndarray:
    """Return all unions of the shared blocks of models, the empty one too; bool [combinations, B]."""
    library = problem.library
    found = {np.zeros(len(library.blocks), dtype=bool).tobytes()}
    for mine in np.unique(library.needs & library.shared, axis=0):
        found |= {(np.frombuffer(union, dtype=bool) | mine).tobytes() for union in found}
        if len(found) > MOST_COMBINATIONS:
            raise ConfigurationError(
                f"TrimCaching Spec tries each combination of shared blocks, and there are more than {MOST_COMBINATIONS}"
                " here: it is for models that share bottoms of a few roots; take trimcaching-gen"
            )
    return np.array([np.frombuffer(union, dtype=bool) for union in sorted(found)])


def _of_node(problem: Problem, node: int, values: np.ndarray, unions: np.ndarray, epsilon: float) -> np.ndarray:
    """Return the models of a node, bool [M]. values: what each adds to the value, [M]."""
    library, capacity = problem.library, int(problem.capacity_bytes[node])
    own = library.needs & ~library.shared
    own_bytes = own.astype(np.int64) @ library.block_bytes
    sharing = library.needs & library.shared
    best, most = np.zeros(len(values), dtype=bool), 0.0
    for union in unions:
        room = capacity - int(library.block_bytes[union].sum())
        if room < 0:
            continue
        items = np.flatnonzero((values > 0) & (own_bytes <= room) & ~(sharing & ~union).any(axis=1))
        if values[items].sum() <= most:
            continue
        chosen = items[knapsack(values[items], own_bytes[items], room, epsilon)]
        if values[chosen].sum() > most:
            most = float(values[chosen].sum())
            best = np.zeros(len(values), dtype=bool)
            best[chosen] = True
    return best


def knapsack(values: np.ndarray, sizes: np.ndarray, room: int, epsilon: float) -> np.ndarray:
    """Return the indices of items that fit, worth at least 1 - epsilon of the best.

    values: above 0, float64 [items]; sizes: int64 [items], none above `room`. Values are rounded down to multiples of
    epsilon * (greatest value) / items; for each sum of them, the least size is found.
    """
    if not len(values) or sizes.sum() <= room:
        return np.arange(len(values))
    unit = epsilon * values.max() / len(values)
    rounded = np.floor(values / unit + 1e-9).astype(np.int64)
    least = np.full(int(rounded.sum()) + 1, np.iinfo(np.int64).max // 2)  # size for each rounded value
    least[0] = 0
    taken = np.zeros((len(values), len(least)), dtype=bool)
    for item, (value, size) in enumerate(zip(rounded, sizes, strict=True)):
        with_it = least[: len(least) - value] + size
        taken[item, value:] = with_it < least[value:]
        least[value:] = np.minimum(least[value:], with_it)
    at = int(np.flatnonzero(least <= room).max())
    chosen = []
    for item in range(len(values) - 1, -1, -1):
        if taken[item, at]:
            chosen.append(item)
            at -= int(rounded[item])
    return np.array(chosen[::-1], dtype=np.int64)
