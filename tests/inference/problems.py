# SPDX-License-Identifier: GPL-2.0-only
"""Random problems of deployment, and slow obvious solutions of small ones."""

import itertools

import numpy as np

from edgelam.inference.drawn_problem import Drawn
from edgelam.inference.problem import Plan, delay, excess


def random_problem(rng, *, services=15, nodes=10, flows=4, length=5, tightness=0.5):
    return Drawn(services, nodes, flows, length, tightness)(rng)


def enumerated(problem):
    """The least delay of all plans."""
    genes = [(f, s) for f, flow in enumerate(problem.flows) for s in flow.calls]
    best = np.inf
    for nodes in itertools.product(range(len(problem.nodes)), repeat=len(genes)):
        at = [{} for _ in problem.flows]
        for (f, s), n in zip(genes, nodes, strict=True):
            at[f][s] = n
        if excess(problem, at) == 0:
            best = min(best, delay(problem, Plan(tuple(at))))
    return best
