# SPDX-License-Identifier: GPL-2.0-only
"""At random: every call of every flow goes to a node that is drawn, until a plan keeps to the bounds."""

from __future__ import annotations

from edgelam.errors import ConfigurationError
from edgelam.inference.problem import Plan, Problem, excess
from edgelam.random_streams import derive_seed, from_numbers

DRAWS = 10_000


def solve(problem: Problem, *, seed: int) -> Plan:
    """Return a plan; seed: of the stream ``random placement``. Raises ConfigurationError if none is found."""
    problem.check()
    rng = from_numbers(derive_seed(seed, "random placement"))
    for draw in range(1, DRAWS + 1):
        # one node for each service, as an operator without a plan would do
        node = rng.integers(len(problem.nodes), size=len(problem.services))
        at = tuple({s: int(node[s]) for s in flow.calls} for flow in problem.flows)
        if excess(problem, at) == 0:
            return Plan(at, draw * 4 * len(problem.services))
    raise ConfigurationError(f"none of {DRAWS:,} random placements keeps to memory and utilisation")
