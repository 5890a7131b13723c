# SPDX-License-Identifier: GPL-2.0-only
"""In which order models are run one after the other, so that little is loaded into memory in between.

As in PartialLoading (arXiv 2503.22982): when a model is to run, only those of its blocks are loaded that the model
before it has not left in memory. An order is worth the bytes that consecutive models share. Where models share bottoms
of roots (their blocks form trees), the order that walks the tree is best, and `greedy` finds one; in general the
problem is that of the travelling salesman.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgelam.caching.library import Library
from edgelam.errors import ConfigurationError

MOST_EXACT = 12


def loaded_bytes(library: Library, order: Sequence[int]) -> int:
    """Return how many bytes are loaded when models (numbers in the library) run in this order, from empty memory."""
    before = np.zeros(len(library.blocks), dtype=bool)
    total = 0
    for model in order:
        total += int(library.block_bytes[library.needs[model] & ~before].sum())
        before = library.needs[model]
    return total


def greedy(library: Library, models: Sequence[int]) -> list[int]:
    """Return an order: from each start, always the model that shares most with the one before; the best of these.

    A model may be named several times (several requests). Of equal ones, the first in `models` is taken.
    """
    _check(models)
    shared = _shared(library, models)
    orders = []
    for start in range(len(models)):
        left, order = [k for k in range(len(models)) if k != start], [start]
        while left:
            order.append(max(left, key=lambda k: shared[order[-1], k]))
            left.remove(order[-1])
        orders.append([models[k] for k in order])
    return min(orders, key=lambda order: loaded_bytes(library, order))


def exact(library: Library, models: Sequence[int]) -> list[int]:
    """Return a best order by dynamic programming over sets (Held and Karp, 1962), for at most `MOST_EXACT` models."""
    _check(models)
    count = len(models)
    if count > MOST_EXACT:
        raise ConfigurationError(f"a best order is found for at most {MOST_EXACT} models, not {count}; take greedy")
    shared = _shared(library, models)
    best: dict[tuple[int, int], tuple[int, int]] = {(1 << k, k): (0, -1) for k in range(count)}
    for done in range(1, 1 << count):
        for last in range(count):
            if (done, last) not in best:
                continue
            for k in range(count):
                if not done >> k & 1:
                    value = best[done, last][0] + int(shared[last, k])
                    if value > best.get((done | 1 << k, k), (-1, -1))[0]:
                        best[done | 1 << k, k] = (value, last)
    done = (1 << count) - 1
    last = max(range(count), key=lambda k: best[done, k][0])
    order = []
    while last >= 0:
        order.append(models[last])
        done, last = done & ~(1 << last), best[done, last][1]
    return order[::-1]


def _check(models: Sequence[int]) -> None:
    if not models:
        raise ConfigurationError("there are no models to order")


def _shared(library: Library, models: Sequence[int]) -> np.ndarray:
    """Return the bytes that each pair shares, int64 [models, models]."""
    needs = library.needs[list(models)]
    found: np.ndarray = (needs * library.block_bytes) @ needs.T.astype(np.int64)
    return found
