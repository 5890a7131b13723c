# SPDX-License-Identifier: GPL-2.0-only
"""Whether there is any plan at all: each service of each flow on one node, within memory and utilisation.

`Problem.check` looks at sums, which miss that services of 3 GB do not fit two nodes of 2 GB. Here, HiGHS searches for a
placement without looking at delays:

    y_fsn       1 if flow f calls service s on node n (binary); sum_n y_fsn = 1
    x_sn        1 if node n has an instance of s; x_sn >= y_fsn; sum_s weights_s x_sn <= memory_n
    sum_fs rate_f visits_fs seconds_sn y_fsn <= most_utilisation
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.problem import Problem
from edgelam.text import si_bytes

MOST_NODES = 2000
"""Nodes of the branch-and-bound tree after which the search gives up, and nothing is refused."""


def check(problem: Problem) -> None:
    """Refuse a problem without a plan. Raises ConfigurationError, also for what `Problem.check` refuses."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import lil_matrix, vstack

    problem.check()
    num_s, num_n = problem.seconds.shape
    calls = [(flow.rate * visits, s) for flow in problem.flows for s, visits in flow.calls.items()]
    first_y, count = num_s * num_n, num_s * num_n + len(calls) * num_n
    once = lil_matrix((len(calls), count))
    there = lil_matrix((len(calls) * num_n, count))
    used = lil_matrix((2 * num_n, count))
    scale = max(float(problem.memory_bytes.max()), 1.0)  # bytes are too large beside the other numbers
    for n in range(num_n):
        used[n, np.arange(num_s) * num_n + n] = problem.weight_bytes / scale
    for c, (rate, s) in enumerate(calls):
        for n in range(num_n):
            y = first_y + c * num_n + n
            once[c, y] = 1
            there[c * num_n + n, [s * num_n + n, y]] = (1, -1)
            used[num_n + n, y] = rate * problem.seconds[s, n]
    most = np.concatenate([problem.memory_bytes / scale, np.full(num_n, problem.most_utilisation)])
    found = milp(
        np.zeros(count), integrality=np.ones(count), bounds=Bounds(0, 1),
        constraints=LinearConstraint(
            vstack([once, there, used]).tocsr(),
            np.concatenate([np.ones(len(calls)), np.zeros(len(calls) * num_n), np.full(2 * num_n, -np.inf)]),
            np.concatenate([np.ones(len(calls)), np.full(len(calls) * num_n, np.inf), most]),
        ),
        options={"node_limit": MOST_NODES},
    )  # fmt: skip
    if found.status == 2:
        services = _sizes(problem.services, problem.weight_bytes)
        nodes = _sizes(problem.nodes, problem.memory_bytes)
        raise ConfigurationError(
            f"no placement keeps to the memory of all nodes and computes in at most {problem.most_utilisation:g} of "
            f"their time; services need: {services}; nodes have for them: {nodes}"
        )


def _sizes(names: Sequence[str], sizes: np.ndarray) -> str:
    return ", ".join(f"{name} {si_bytes(size)}" for name, size in zip(names, sizes, strict=True))
