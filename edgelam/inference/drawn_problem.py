# SPDX-License-Identifier: GPL-2.0-only
"""Problems of deployment that are drawn at random: what learners are trained on, and solvers are tested with.

Each request of a flow passes a chain of services whose first two are side by side. The ranges are wide enough that
neither computing nor transfers decide alone. Nodes differ tenfold in speed.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.problem import AT_USER, Flow, FlowEdge, Problem

WORK_GFLOP, SPEED_GFLOP_S = (0.2, 2.0), (20.0, 200.0)
EDGE_BYTES, RATE = (1e4, 1e6), (0.5, 2.0)
WEIGHTS_BYTES = (1e9, 4e9)
LATENCY_S, LINK_BPS = (1e-3, 10e-3), (100e6, 1000e6)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """How large drawn problems are."""

    services: int = 8
    nodes: int = 5
    flows: int = 4
    length: int = 4
    """Services of a flow, at least 2."""
    tightness: float = 0.5
    """Share of all memory that one instance of each service takes; no node has less than the largest one needs."""
    load: float = 1.0
    """Factor of all rates of requests."""

    def __post_init__(self) -> None:
        """Refuse what is not legal."""
        for name, least in (("services", self.length), ("nodes", 1), ("flows", 1), ("length", 2)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"{name} of drawn problems is {getattr(self, name)!r}; it is at least {least}")
        for name in ("tightness", "load"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigurationError(
                    f"{name} of drawn problems is {getattr(self, name)!r}; it must be above 0 and finite"
                )

    def __call__(self, rng: np.random.Generator) -> Problem:
        """Draw a problem."""
        work = rng.uniform(*WORK_GFLOP, self.services)
        speed = rng.uniform(*SPEED_GFLOP_S, self.nodes)
        flows = tuple(self._flow(f, rng) for f in range(self.flows))
        weights = rng.uniform(*WEIGHTS_BYTES, self.services)
        memory = max(WEIGHTS_BYTES[1] * 1.025, weights.sum() / self.tightness / self.nodes)
        latency, byte = _links(rng, (self.nodes, self.nodes))
        np.fill_diagonal(latency, 0)
        np.fill_diagonal(byte, 0)
        up, down = _links(rng, (self.flows, self.nodes)), _links(rng, (self.flows, self.nodes))
        return Problem(
            nodes=tuple(f"n{n}" for n in range(self.nodes)), services=tuple(f"s{s}" for s in range(self.services)),
            seconds=work[:, None] / speed, weight_bytes=weights, memory_bytes=np.full(self.nodes, memory), flows=flows,
            latency_s=latency, byte_s=byte, up_latency_s=up[0], up_byte_s=up[1], down_latency_s=down[0],
            down_byte_s=down[1],
        )  # fmt: skip

    def _flow(self, f: int, rng: np.random.Generator) -> Flow:
        chain = [int(s) for s in rng.choice(self.services, size=self.length, replace=False)]

        def edge(source: int, target: int) -> FlowEdge:
            return FlowEdge(source, target, float(rng.uniform(*EDGE_BYTES)), 1.0)

        edges = [edge(AT_USER, chain[0])]
        if self.length > 2:
            edges += [edge(AT_USER, chain[1]), edge(chain[0], chain[2])]
            edges += [edge(a, b) for a, b in itertools.pairwise(chain[1:])]
        else:
            edges += [edge(a, b) for a, b in itertools.pairwise(chain)]
        edges.append(edge(chain[-1], AT_USER))
        rate = self.load * float(rng.uniform(*RATE))
        return Flow(f"ue{f}", f"graph{f}", rate, dict.fromkeys(chain, 1.0), tuple(edges))


def _links(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Any, Any]:
    return rng.uniform(*LATENCY_S, shape), 8 / rng.uniform(*LINK_BPS, shape)
