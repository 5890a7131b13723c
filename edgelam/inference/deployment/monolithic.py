# SPDX-License-Identifier: GPL-2.0-only
"""Monolithic: all services of a flow are on one node, as if its graph were one program.

Solve it for services that are not shared (`edgelam.inference.unshared`); with shared ones, flows that get the same node
share instances there. Flows are placed one after the other, the one with the most computing first, on the node that
delays it least and has room.
"""

from __future__ import annotations

from edgelam.errors import ConfigurationError
from edgelam.inference.problem import Plan, Problem, excess, flow_delay


def solve(problem: Problem) -> Plan:
    """Return a plan. Raises ConfigurationError if a flow fits no node."""
    problem.check()
    at: list[dict[int, int]] = [{} for _ in problem.flows]
    operations = 0
    demand = [
        flow.rate * sum(visits * problem.seconds[s].min() for s, visits in flow.calls.items()) for flow in problem.flows
    ]
    for f in sorted(range(len(problem.flows)), key=lambda f: -demand[f]):
        flow = problem.flows[f]
        choices = []
        for n in range(len(problem.nodes)):
            whole = dict.fromkeys(flow.calls, n)
            choices.append((flow_delay(problem, f, whole), n))
            operations += 10 * (len(flow.calls) + len(flow.edges))
        for _, n in sorted(choices):
            at[f] = dict.fromkeys(flow.calls, n)
            if excess(problem, at) == 0:
                break
        else:
            raise ConfigurationError(
                f"no node has room for all services of graph {flow.graph!r} ({flow.user}) together, beside what was "
                "placed before"
            )
    return Plan(tuple(at), operations)


def on_one_node(problem: Problem, node: str) -> Plan:
    """Return the plan with everything on one node, such as the cloud. Raises ConfigurationError if it does not fit."""
    if node not in problem.nodes:
        raise ConfigurationError(f"{node!r} may not run services; there are: {', '.join(problem.nodes)}")
    n = problem.nodes.index(node)
    at = tuple(dict.fromkeys(flow.calls, n) for flow in problem.flows)
    if excess(problem, at) > 0:
        raise ConfigurationError(f"not all services fit {node}: its memory or its processor is too small")
    return Plan(at)
