# SPDX-License-Identifier: GPL-2.0-only
"""Random problems of deployment, and slow obvious solutions of small ones."""

import itertools

import numpy as np

from edgelam.inference.problem import AT_USER, Flow, FlowEdge, Plan, Problem, delay, excess


def random_problem(rng, *, services=15, nodes=10, flows=4, length=5, tightness=0.5, links=True):
    """DAGs with a fork: the first two services side by side, then a chain."""
    work = rng.uniform(0.2, 2.0, services)
    speed = rng.uniform(20, 200, nodes)
    made = []
    for f in range(flows):
        chain = [int(s) for s in rng.choice(services, size=length, replace=False)]
        size = lambda: float(rng.uniform(1e4, 1e6))  # noqa: E731
        edges = [FlowEdge(AT_USER, chain[0], size(), 1.0)]
        if length > 2:
            edges += [FlowEdge(AT_USER, chain[1], size(), 1.0), FlowEdge(chain[0], chain[2], size(), 1.0)]
            edges += [FlowEdge(a, b, size(), 1.0) for a, b in itertools.pairwise(chain[1:])]
        else:
            edges += [FlowEdge(a, b, size(), 1.0) for a, b in itertools.pairwise(chain)]
        edges.append(FlowEdge(chain[-1], AT_USER, size(), 1.0))
        made.append(Flow(f"ue{f}", f"graph{f}", float(rng.uniform(0.5, 2)), dict.fromkeys(chain, 1.0), tuple(edges)))
    weights = rng.uniform(1, 4, services)

    def link(shape):
        return rng.uniform(1e-3, 10e-3, shape), 8 / rng.uniform(100e6, 1000e6, shape)

    latency, byte = link((nodes, nodes))
    np.fill_diagonal(latency, 0)
    np.fill_diagonal(byte, 0)
    up, down = link((flows, nodes)), link((flows, nodes))
    return Problem(
        nodes=tuple(f"n{n}" for n in range(nodes)), services=tuple(f"s{s}" for s in range(services)),
        seconds=work[:, None] / speed, weight_bytes=weights * 1e9,
        memory_bytes=np.full(nodes, max(4.1e9, weights.sum() * 1e9 / tightness / nodes)), flows=tuple(made),
        latency_s=latency, byte_s=byte, up_latency_s=up[0], up_byte_s=up[1], down_latency_s=down[0],
        down_byte_s=down[1],
    )  # fmt: skip


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
