# SPDX-License-Identifier: GPL-2.0-only
"""A model of users who drive past servers: problems of slots without a network, for learning, tests and long sweeps.

Users go along a road with a server at each site and one behind the core, and turn round at the ends. Delays, jitter and
loss depend on whether the server is at the user's site, behind the core, or at another site, with a factor that is
drawn in each slot (log-normal). Sessions grow by some tokens in each slot, and begin anew when they are full. The
numbers are those of SmolLM2 and `nr-highway` in round figures; scores come from the network, not from here.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.migration.problem import SlotProblem


@dataclasses.dataclass(frozen=True)
class Road:
    """What does not change."""

    num_users: int = 2
    num_sites: int = 3
    slot_s: float = 0.25
    spacing_m: float = 150.0
    speed_mps: float = 60.0
    air_s: float = 0.06
    """Latency of a turn without the links between servers: radio and computing."""
    core_s: float = 0.02
    """Round trip to the server behind the core; to another site it is twice as much."""
    jitter_s: float = 0.001
    loss: float = 0.001
    """Both at the user's own site; each core passage adds half of it."""
    token_bytes: float = 46_080.0
    tokens_a_slot: float = 24.0
    most_tokens: float = 240.0
    """When a session has so many tokens, it begins anew."""
    weight_bytes: float = 538e6
    file_bytes: float = 93e6
    link_bps: float = 1e9
    serving_w: float = 2.0
    loading_w: float = 10.0
    spread: float = 0.1
    """Standard deviation of the logarithm of the factor on latency, jitter and loss."""

    def __post_init__(self) -> None:
        """Refuse what is not legal."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = 1 if field.name.startswith("num_") else 0
            if not (value >= least and math.isfinite(value)):
                raise ConfigurationError(f"{field.name} of a road is {value!r}; legal are finite values from {least}")
        for name in ("slot_s", "spacing_m", "link_bps"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} of a road is {getattr(self, name)!r}; it must be above 0")

    @property
    def nodes(self) -> tuple[str, ...]:
        """A server at each site, and one behind the core."""
        return tuple(f"edge{n}" for n in range(self.num_sites + 1))


class Drive:
    """Users on a road: a problem for each slot, and what becomes of a placement."""

    def __init__(self, road: Road, rng: np.random.Generator) -> None:
        """Begin with users at drawn places, and each session at its user's nearest server."""
        self.road, self._rng = road, rng
        length = road.num_sites * road.spacing_m
        self._way_m = rng.uniform(0, 2 * length, road.num_users)
        self._tokens = rng.uniform(0, road.most_tokens, road.num_users)
        self.at = self._sites()
        self.problem = self._problem()

    @property
    def nodes(self) -> tuple[str, ...]:
        """Where sessions may be."""
        return self.road.nodes

    def step(self, x: np.ndarray) -> SlotProblem:
        """Place sessions, int [U]; return the problem of the next slot."""
        road = self.road
        self.at = np.array(x)
        self._way_m = self._way_m + road.speed_mps * road.slot_s
        self._tokens = self._tokens + road.tokens_a_slot
        self._tokens[self._tokens > road.most_tokens] = 0.0
        self.problem = self._problem()
        return self.problem

    def _sites(self) -> np.ndarray:
        """Return the site of each user, int [U]."""
        road = self.road
        length = road.num_sites * road.spacing_m
        folded = self._way_m % (2 * length)
        place_m = np.minimum(folded, 2 * length - folded)
        return np.minimum(place_m // road.spacing_m, road.num_sites - 1).astype(int)

    def _problem(self) -> SlotProblem:
        road, num_n = self.road, self.road.num_sites + 1
        shape = (road.num_users, num_n)
        sites = self._sites()
        passages = np.full(shape, 2.0)
        passages[:, -1] = 1.0
        passages[np.arange(road.num_users), sites] = 0.0
        factor = np.exp(self._rng.normal(0, road.spread, (3, road.num_users, 1)))
        trip_s = road.core_s * passages
        state = road.token_bytes * self._tokens
        seconds = (8 * state / road.link_bps + road.core_s)[:, None]
        return SlotProblem(
            users=tuple(f"ue{u}" for u in range(road.num_users)), nodes=road.nodes, at=self.at,
            latency_s=road.air_s * factor[0] + trip_s, jitter_s=road.jitter_s * factor[1] * (1 + passages / 2),
            loss=road.loss * factor[2] * (1 + passages / 2), serving_w=np.full(shape, road.serving_w),
            state_bytes=state, weight_bytes=road.weight_bytes, file_bytes=road.file_bytes,
            up=np.isin(np.arange(num_n), self.at), loading_w=np.full(num_n, road.loading_w),
            pause_s=np.broadcast_to(seconds, shape), allowed=np.ones(shape, dtype=bool), round_trip_s=trip_s,
            nearest=sites, slot_s=road.slot_s,
        )  # fmt: skip
