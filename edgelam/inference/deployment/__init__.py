# SPDX-License-Identifier: GPL-2.0-only
"""Solvers of deployment, one in each file. Each has ``solve(problem) -> Plan``; those that draw also take a seed."""

from collections.abc import Callable

from edgelam.inference.deployment import exact, genetic, greedy, monolithic, random_plan
from edgelam.inference.problem import Plan, Problem

SOLVERS: dict[str, Callable[[Problem, int], Plan]] = {
    "exact": lambda problem, seed: exact.solve(problem),
    "greedy": lambda problem, seed: greedy.solve(problem),
    "genetic": lambda problem, seed: genetic.solve(problem, seed=seed),
    "random": lambda problem, seed: random_plan.solve(problem, seed=seed),
    "monolithic": lambda problem, seed: monolithic.solve(problem),
}
"""By name: (problem, seed) -> plan."""

__all__ = ["SOLVERS"]
