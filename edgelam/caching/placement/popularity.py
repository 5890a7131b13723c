# SPDX-License-Identifier: GPL-2.0-only
"""Popularity: every node keeps the models that are asked for most, whoever else has them; blocks count once."""

from __future__ import annotations

import numpy as np

from edgelam.caching.placement.problem import Placement, Problem


def solve(problem: Problem) -> Placement:
    """Return a placement: for each node, models by total demand, each if what it lacks still fits."""
    library = problem.library
    order = np.argsort(-problem.demand.sum(axis=0), kind="stable")
    kept = np.zeros((len(problem.nodes), len(library.models)), dtype=bool)
    for node, capacity in enumerate(problem.capacity_bytes):
        has, used = np.zeros(len(library.blocks), dtype=bool), 0
        for model in order:
            extra = int(library.block_bytes[library.needs[model] & ~has].sum())
            if used + extra <= capacity:
                kept[node, model] = True
                has |= library.needs[model]
                used += extra
    return Placement(kept)
