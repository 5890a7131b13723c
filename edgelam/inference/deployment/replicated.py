# SPDX-License-Identifier: GPL-2.0-only
"""Several replicas of each service, for routers to choose from.

Services are taken in the order of their demand. Each goes to the nodes that would be busy for the least share of their
time with it, as far as their memory allows, and its demand is divided equally among them.
"""

from __future__ import annotations

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.problem import Problem


def spread(problem: Problem, replicas: int) -> dict[str, list[str]]:
    """Return service -> nodes, at most `replicas` of them, in the order of the problem's nodes.

    A service has fewer where memory allows no more. Raises ConfigurationError if one finds no node at all, or for fewer
    than one replica.
    """
    if replicas < 1:
        raise ConfigurationError(f"replicas are {replicas!r}; there must be at least one")
    busy = np.zeros(len(problem.nodes))
    free = problem.memory_bytes.astype(float).copy()
    chosen: list[list[int]] = [[] for _ in problem.services]
    order = sorted(range(len(problem.services)), key=lambda s: -problem.demand[s].min())
    for turn in range(replicas):  # first one of each, so that memory is left for all
        for s in order:
            fits = [n for n in np.flatnonzero(free >= problem.weight_bytes[s]).tolist() if n not in chosen[s]]
            if not fits:
                if turn == 0:
                    raise ConfigurationError(f"no node has memory left for service {problem.services[s]!r}")
                continue
            n = min(fits, key=lambda n: busy[n] + problem.demand[s, n] / replicas)
            busy[n] += problem.demand[s, n] / replicas
            free[n] -= problem.weight_bytes[s]
            chosen[s].append(n)
    return {name: [problem.nodes[n] for n in sorted(chosen[s])] for s, name in enumerate(problem.services)}
