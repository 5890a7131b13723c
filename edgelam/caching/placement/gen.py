# SPDX-License-Identifier: GPL-2.0-only
"""TrimCaching Gen (arXiv 2405.03990): the model that adds most hits, wherever it fits, until none does.

What a model takes is what its node does not have yet of its blocks. For arbitrary sharing there is no constant bound: a
submodular storage constraint is no knapsack.
"""

from __future__ import annotations

import numpy as np

from edgelam.caching.placement.problem import Placement, Problem


def solve(problem: Problem) -> Placement:
    """Return a placement; of equal gains, the first node and model in the problem's order is taken."""
    library = problem.library
    kept = np.zeros((len(problem.nodes), len(library.models)), dtype=bool)
    has = np.zeros((len(problem.nodes), len(library.blocks)), dtype=bool)
    room = problem.capacity_bytes.astype(float)
    served = np.zeros(problem.demand.shape, dtype=bool)
    while True:
        extra = (~has).astype(np.int64) * library.block_bytes @ library.needs.T  # bytes, [N, M]
        gains = np.where(~kept & (extra <= room[:, None]), problem.gains(served), 0.0)
        node, model = np.unravel_index(int(np.argmax(gains)), gains.shape)
        if not gains[node, model] > 0:
            return Placement(kept)
        kept[node, model] = True
        room[node] -= extra[node, model]
        has[node] |= library.needs[model]
        served |= problem.in_time[node] & kept[node]
