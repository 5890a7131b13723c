# SPDX-License-Identifier: GPL-2.0-only
"""A genetic algorithm over the nodes of all calls: tournaments of two, uniform crossover, mutation, two elites.

The chromosome has a gene for each call of each flow: its node. The fitness is the mean delay; a plan that breaks bounds
is worse than any that keeps to them, by how much it breaks them (Deb's rule, 2000).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.problem import Plan, Problem, delay, excess
from edgelam.random_streams import derive_seed, from_numbers

ELITES = 2


def solve(
    problem: Problem, *, seed: int, population: int = 60, generations: int = 80,
    replicas: Mapping[str, Sequence[str]] | None = None,
) -> Plan:  # fmt: skip
    """Return the best plan that was found; seed: of the stream ``genetic placement``.

    replicas: service -> nodes on which it may be called, if it is deployed already. Raises ConfigurationError if no
    plan is found that keeps to the bounds.
    """
    problem.check()
    rng = from_numbers(derive_seed(seed, "genetic placement"))
    genes = [(f, s) for f, flow in enumerate(problem.flows) for s in flow.calls]
    num_n, length = len(problem.nodes), len(genes)
    nodes = [
        list(range(num_n)) if replicas is None else [problem.nodes.index(n) for n in replicas[problem.services[s]]]
        for _, s in genes
    ]

    def decode(row: np.ndarray) -> tuple[dict[int, int], ...]:
        at: tuple[dict[int, int], ...] = tuple({} for _ in problem.flows)
        for (f, s), may, n in zip(genes, nodes, row.tolist(), strict=True):
            at[f][s] = may[n % len(may)]
        return at

    def fitness(row: np.ndarray) -> tuple[float, float]:
        at = decode(row)
        over = excess(problem, at)
        return (over, 0.0) if over > 0 else (0.0, delay(problem, Plan(at)))

    people = rng.integers(num_n, size=(population, length))
    # one gene for each service at first: instances that all flows share
    shared = rng.integers(num_n, size=(population // 2, len(problem.services)))
    people[: population // 2] = shared[:, [s for _, s in genes]]
    scores = [fitness(row) for row in people]
    for _ in range(generations):
        order = sorted(range(population), key=lambda i: scores[i])
        children = [people[i].copy() for i in order[:ELITES]]
        while len(children) < population:
            parents = []
            for _ in range(2):
                a, b = rng.integers(population, size=2)
                parents.append(people[min(int(a), int(b), key=lambda i: scores[i])])
            child = np.where(rng.random(length) < 0.5, *parents)
            mutated = rng.random(length) < 1 / length
            child[mutated] = rng.integers(num_n, size=int(mutated.sum()))
            children.append(child)
        people = np.array(children)
        scores = [fitness(row) for row in people]
    best = min(range(population), key=lambda i: scores[i])
    if scores[best][0] > 0:
        raise ConfigurationError("the genetic algorithm found no plan that keeps to memory and utilisation")
    size = sum(len(flow.calls) + len(flow.edges) for flow in problem.flows)
    return Plan(decode(people[best]), population * (generations + 1) * 10 * size)
