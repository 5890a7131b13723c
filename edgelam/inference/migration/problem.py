# SPDX-License-Identifier: GPL-2.0-only
"""The problem of one slot: on which node is each session from now on?

A session is one user's. Its weights are at a node as long as a session is there: the first session that moves to a node
brings them along, and they are dropped when the last one leaves. So sessions that share a node share weights, storage
and the bytes that brought them. Turns of sessions on one node are computed as a batch that reads the weights once;
that one session slows another down is not in the model.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.text import suggest

RESOURCES = ("bandwidth", "storage", "power", "latency", "jitter", "loss")
"""What has a budget, in the order of all arrays [K]."""


@dataclasses.dataclass(frozen=True)
class Budgets:
    """What may be used on average over time; infinite: as much as one likes."""

    bandwidth_bps: float = math.inf
    """Bits of state and weights that move, per second."""
    storage_bytes: float = math.inf
    """Bytes of weights and states that the servers hold."""
    power_w: float = math.inf
    """Power of all servers above idle, W."""
    latency_s: float = math.inf
    """Mean latency of a turn, s."""
    jitter_s: float = math.inf
    """Mean difference of the transit times of successive tokens, s."""
    loss: float = math.inf
    """Share of the tokens that are lost."""

    def __post_init__(self) -> None:
        """Refuse what no system can keep to."""
        for name, value in dataclasses.asdict(self).items():
            if not value > 0:
                raise ConfigurationError(f"budget {name} is {value!r}; it must be above 0 (inf: no bound)")

    @cached_property
    def values(self) -> np.ndarray:
        """All of them, float64 [K]."""
        return np.array(dataclasses.astuple(self), dtype=float)


@dataclasses.dataclass(frozen=True)
class SlotProblem:
    """In shapes, U stands for users, N for nodes, K for `RESOURCES`. Arrays are float64 unless said otherwise."""

    users: tuple[str, ...]
    nodes: tuple[str, ...]
    at: np.ndarray
    """Node of each session, int [U]."""
    latency_s: np.ndarray
    """Predicted latency of a turn, [U, N]."""
    jitter_s: np.ndarray
    """[U, N]."""
    loss: np.ndarray
    """[U, N]."""
    serving_w: np.ndarray
    """Power above idle that a session's turns take on a node, [U, N]."""
    state_bytes: np.ndarray
    """[U]."""
    weight_bytes: float
    """Bytes of the weights, in memory."""
    file_bytes: float
    """Bytes of the weights, on a wire."""
    up: np.ndarray
    """Whether the weights are there, bool [N]."""
    loading_w: np.ndarray
    """Power above idle of writing the weights to memory, as a mean over the slot, [N]."""
    pause_s: np.ndarray
    """For how long a session is interrupted by a move, [U, N]."""
    allowed: np.ndarray
    """Where a session may be, bool [U, N]; where it is, it may always be."""
    round_trip_s: np.ndarray
    """Delays of the links between a user and a node, there and back, [U, N]."""
    nearest: np.ndarray
    """The node that is nearest to each user, int [U]."""
    slot_s: float

    def __post_init__(self) -> None:
        """Refuse shapes and values that are not legal."""
        num_u, num_n = len(self.users), len(self.nodes)
        shapes = (
            ((num_u, num_n), ("latency_s", "jitter_s", "loss", "serving_w", "pause_s", "allowed", "round_trip_s")),
            ((num_u,), ("at", "state_bytes", "nearest")),
            ((num_n,), ("up", "loading_w")),
        )
        for shape, names in shapes:
            for name in names:
                value = getattr(self, name)
                if value.shape != shape or not np.all(np.isfinite(value)) or np.any(value < 0):
                    raise ConfigurationError(
                        f"{name} of a migration problem: {value.tolist()}; legal are finite values from 0, in shape "
                        f"{list(shape)} for {num_u} users and {num_n} nodes"
                    )
        for name in ("at", "nearest"):
            if num_u and getattr(self, name).max() >= num_n:
                raise ConfigurationError(f"{name} is {getattr(self, name).tolist()}; there are nodes 0 to {num_n - 1}")
        if not self.slot_s > 0:
            raise ConfigurationError(f"slot_s is {self.slot_s!r}; it must be above 0")

    def places(self, names: Sequence[str]) -> np.ndarray:
        """Turn names of nodes, one for each user, into numbers. Raises ConfigurationError for an unknown one."""
        for name in names:
            if name not in self.nodes:
                raise ConfigurationError(f"no session can be on {name!r}; {suggest(name, self.nodes)}")
        return np.array([self.nodes.index(name) for name in names])

    def may(self, u: int, n: int) -> bool:
        """Return whether session `u` may be on node `n` from now on."""
        return bool(self.allowed[u, n]) or n == self.at[u]

    def choices(self) -> Iterator[np.ndarray]:
        """All ways to place all sessions, int [U] each."""
        options = [[n for n in range(len(self.nodes)) if self.may(u, n)] for u in range(len(self.users))]
        return (np.array(each, dtype=int) for each in product(*options))

    def penalty(self, x: np.ndarray) -> float:
        """Return the mean over sessions of a turn's latency, and of the interruption by a move, s. x: int [U]."""
        u = np.arange(len(x))
        return float((self.latency_s[u, x] + np.where(x != self.at, self.pause_s[u, x], 0.0)).mean())

    def uses(self, x: np.ndarray) -> np.ndarray:
        """Return what a placement uses, in the units of `Budgets`, [K]."""
        u = np.arange(len(x))
        held = np.zeros(len(self.nodes), dtype=bool)
        held[x] = True
        new = held & ~self.up
        moved = self.state_bytes[x != self.at].sum() + self.file_bytes * new.sum()
        return np.array([
            8 * moved / self.slot_s,
            self.weight_bytes * held.sum() + self.state_bytes.sum(),
            self.serving_w[u, x].sum() + self.loading_w[new].sum(),
            self.latency_s[u, x].mean(), self.jitter_s[u, x].mean(), self.loss[u, x].mean(),
        ])  # fmt: skip
