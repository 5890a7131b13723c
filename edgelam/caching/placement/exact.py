# SPDX-License-Identifier: GPL-2.0-only
"""The best placement: a mixed-integer linear program, solved by HiGHS (scipy.optimize.milp).

    maximise    sum_ki demand_ki s_ki
    x_ni        1 if node n keeps model i (binary); x_ni <= b_nj for each block j of model i
    b_nj        1 if node n stores block j; sum_j bytes_j b_nj <= capacity_n
    s_ki        1 if user k gets model i in time; s_ki <= sum over nodes in time of x_ni

b and s become 0 or 1 by themselves if x is. Blocks that the same models have are one block in the program.
"""

from __future__ import annotations

import numpy as np

from edgelam.caching.placement.problem import Placement, Problem
from edgelam.errors import ConfigurationError

TREE = 2000
"""Nodes of the branch-and-bound tree after which the search ends by itself."""


def solve(problem: Problem, *, gap: float = 1e-6, most_nodes: int = TREE) -> Placement:
    """Return a best placement, or the best that a limited search has found, with the gap that is left.

    gap: relative gap at which HiGHS stops; most_nodes: of the branch-and-bound tree, so the same placement is found on
    every machine. HiGHS keeps to capacities within 1e-6 of them; if that lets in a model too many, it is asked again
    with so much less room. Raises ConfigurationError if the limited search found none.
    """
    room = problem.capacity_bytes.astype(float)
    found = _solve(problem, room, gap, most_nodes)
    while not problem.fits(found.kept):
        room -= 1 + np.maximum(problem.used_bytes(found.kept) - problem.capacity_bytes, 0)
        found = _solve(problem, room, gap, most_nodes)
    return found


def _solve(problem: Problem, room: np.ndarray, gap: float, most_nodes: int) -> Placement:
    """Solve the program with these capacities, bytes [N]."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_matrix

    library = problem.library
    groups, of_group = np.unique(library.needs, axis=1, return_inverse=True)  # [M, G]
    sizes = np.bincount(of_group.ravel(), weights=library.block_bytes, minlength=groups.shape[1])
    num_n, (num_m, num_g) = len(problem.nodes), groups.shape
    asked = [(int(k), int(i)) for k, i in np.argwhere((problem.demand > 0) & problem.in_time.any(axis=0))]
    first_b = num_n * num_m
    first_s = first_b + num_n * num_g
    rows: list[tuple[list[int], list[float], float]] = []  # columns, values, upper bound
    for n in range(num_n):
        rows += [([n * num_m + i, first_b + n * num_g + g], [1, -1], 0) for i, g in np.argwhere(groups).tolist()]
        scale = max(float(room[n]), 1.0)  # bytes are too large beside the other numbers
        rows.append((list(range(first_b + n * num_g, first_b + (n + 1) * num_g)), list(sizes / scale),
                     max(float(room[n]), 0.0) / scale))  # fmt: skip
    for column, (k, i) in enumerate(asked, first_s):
        at = np.flatnonzero(problem.in_time[:, k, i]).tolist()
        rows.append(([column, *(n * num_m + i for n in at)], [1, *([-1] * len(at))], 0))
    cost = np.zeros(first_s + len(asked))
    cost[first_s:] = [-problem.demand[k, i] / problem.demand.sum() for k, i in asked]
    integrality = np.zeros(len(cost))
    integrality[:first_b] = 1
    where = np.repeat(np.arange(len(rows)), [len(row[0]) for row in rows])
    matrix = coo_matrix(
        (np.concatenate([row[1] for row in rows]), (where, np.concatenate([row[0] for row in rows]))),
        shape=(len(rows), len(cost)),
    ).tocsr()  # fmt: skip
    found = milp(
        cost, integrality=integrality, bounds=Bounds(0, 1),
        constraints=LinearConstraint(matrix, -np.inf, [row[2] for row in rows]),
        options={"mip_rel_gap": gap, "node_limit": most_nodes},
    )  # fmt: skip
    if found.x is None:
        raise ConfigurationError(
            f"the exact placement found nothing within its limit of {most_nodes} nodes of the branch-and-bound tree"
        )
    kept = found.x[:first_b].reshape(num_n, num_m) > 0.5
    return Placement(kept, gap=float(found.mip_gap or 0.0))
