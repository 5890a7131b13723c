# SPDX-License-Identifier: GPL-2.0-only
"""The problem that every placement gets: nodes, models and their blocks, who asks for what, what comes in time.

As in TrimCaching (arXiv 2405.03990): a request is a hit if some node that keeps the model is predicted to deliver it
within its deadline, and the value of a placement is the share of hits. Storage counts each block of a node once, so a
model costs the less the more of its blocks are there. Value and storage are both submodular in the models of a node.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np

from edgelam.caching.library import Library
from edgelam.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Problem:
    """In shapes, N stands for nodes, K for users, M for models and B for blocks."""

    nodes: tuple[str, ...]
    library: Library
    capacity_bytes: np.ndarray
    """Storage of each node, [N]."""
    demand: np.ndarray
    """Requests of each user for each model, in any unit, float64 [K, M]; not negative, not all 0."""
    in_time: np.ndarray
    """Whether a node that keeps a model delivers it to a user within the deadline, as is predicted; bool [N, K, M]."""

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        num_n, num_m = len(self.nodes), len(self.library.models)
        num_k = len(self.demand)
        shapes = (self.capacity_bytes.shape, self.demand.shape, self.in_time.shape)
        if num_n < 1 or num_k < 1 or shapes != ((num_n,), (num_k, num_m), (num_n, num_k, num_m)):
            raise ConfigurationError(
                f"a placement of {num_n} nodes, {num_k} users and {num_m} models has capacity_bytes, demand and "
                f"in_time of shapes {', '.join(map(str, shapes))}"
            )
        if self.in_time.dtype != bool:
            raise ConfigurationError(f"in_time of a placement problem is {self.in_time.dtype}; legal is bool")
        if not (np.isfinite(self.demand).all() and (self.demand >= 0).all() and self.demand.sum() > 0):
            raise ConfigurationError("demand of a placement problem must be finite, not negative, and not all 0")
        if not (self.capacity_bytes >= 0).all():
            raise ConfigurationError(f"a node has a storage of {self.capacity_bytes.min()!r} bytes; it is 0 or more")

    @cached_property
    def worth(self) -> np.ndarray:
        """Share of all requests that become hits if only this node keeps the model, [N, K, M]."""
        found: np.ndarray = self.in_time * (self.demand / self.demand.sum())
        return found

    def gains(self, served: np.ndarray) -> np.ndarray:
        """Return by how much each model at each node adds to the value, [N, M]. served: hits so far, bool [K, M]."""
        found: np.ndarray = (self.worth * ~served).sum(axis=1)
        return found

    def served(self, kept: np.ndarray) -> np.ndarray:
        """Return what is a hit, bool [K, M]. kept: bool [N, M]."""
        found: np.ndarray = (self.in_time & kept[:, None, :]).any(axis=0)
        return found

    def value(self, kept: np.ndarray) -> float:
        """Return the share of requests that are hits. kept: bool [N, M]."""
        return float((self.demand * self.served(kept)).sum() / self.demand.sum())

    def used_bytes(self, kept: np.ndarray) -> np.ndarray:
        """Return what a placement takes of each node's storage, int64 [N]. kept: bool [N, M]."""
        return np.array([self.library.union_bytes(models) for models in kept])

    def fits(self, kept: np.ndarray) -> bool:
        """Return whether every node has room. kept: bool [N, M]."""
        return bool((self.used_bytes(kept) <= self.capacity_bytes).all())


@dataclasses.dataclass(frozen=True)
class Placement:
    """Which models each node keeps."""

    kept: np.ndarray
    """bool [N, M]."""
    gap: float = float("nan")
    """Relative gap to the optimum that the solver guarantees; NaN: none."""

    def models(self, problem: Problem) -> dict[str, list[str]]:
        """Return node -> names of its models."""
        return {
            node: [problem.library.models[i] for i in np.flatnonzero(models)]
            for node, models in zip(problem.nodes, self.kept, strict=True)
        }
