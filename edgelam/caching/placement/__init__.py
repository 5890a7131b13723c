# SPDX-License-Identifier: GPL-2.0-only
"""Which models are kept at which nodes, one algorithm in each file, each with ``solve(problem) -> Placement``."""

from collections.abc import Callable

from edgelam.caching.placement import exact, exhaustive, gen, independent, popularity, spec
from edgelam.caching.placement.problem import Placement, Problem

SOLVERS: dict[str, Callable[[Problem], Placement]] = {
    "trimcaching-spec": spec.solve,
    "trimcaching-gen": gen.solve,
    "independent": independent.solve,
    "popularity": popularity.solve,
    "exact": exact.solve,
    "exhaustive": exhaustive.solve,
}

__all__ = ["SOLVERS", "Placement", "Problem"]
