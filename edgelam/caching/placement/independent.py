# SPDX-License-Identifier: GPL-2.0-only
"""Independent caching: the greedy rule for models that are stored whole, each with a copy of its shared blocks."""

from __future__ import annotations

import dataclasses

from edgelam.caching.placement import gen
from edgelam.caching.placement.problem import Placement, Problem


def solve(problem: Problem) -> Placement:
    """Return a placement for which even whole copies have room. Without shared blocks, it is that of `gen`."""
    return gen.solve(dataclasses.replace(problem, library=problem.library.unshared()))
