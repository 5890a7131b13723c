# SPDX-License-Identifier: GPL-2.0-only
"""What a decision knows: the problem of the present slot, from observables and from what turns and moves have shown.

The predicted latency of a turn at a node is the user's own part (mean of what turns have shown beyond links and
computing), plus the delay of the links over the user's present cell, plus the time of computing there, which is what it
was elsewhere, scaled by the devices' time for one token. Jitter and loss are means of what was measured at the same
distance. A move interrupts a session for a round trip between its nodes, times a factor that moves have shown. All
means are exponentially weighted. Only measured numbers go in; before the first ones, latency is that of the links,
jitter and loss are 0, and the factor is 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.migration.problem import SlotProblem

if TYPE_CHECKING:
    from edgelam.cosim.node import Node
    from edgelam.inference.migration.hosting import Hosting
    from edgelam.inference.migration.records import MigrationRecord, TurnRecord

WEIGHT = 0.3
"""Of a new value in a mean."""


class Estimates:
    """Means of what was measured."""

    def __init__(
        self, hosting: Hosting, users: Sequence[str], nodes: Sequence[Node], *, slot_s: float, turns_a_slot: float
    ) -> None:
        """nodes: where sessions may be; turns_a_slot: of each user, as planned.

        Raises ConfigurationError without users or nodes, or for a length of a slot that is not legal.
        """
        if not users or not nodes:
            raise ConfigurationError("migration needs at least one user and one node")
        if not slot_s > 0:
            raise ConfigurationError(f"slot_s is {slot_s!r}; it must be above 0")
        self.hosting, self.users, self.nodes = hosting, tuple(users), list(nodes)
        self.slot_s, self.turns_a_slot = slot_s, turns_a_slot
        weights = hosting.service.weight_bytes
        self._token_s = np.array([node.device.seconds(weights / 2, weights) for node in nodes])  # 2 FLOPs a weight
        self._extra_w = np.array([node.device.busy_w - node.device.idle_w for node in nodes])
        self._load_s = np.array([node.device.seconds(0, 2 * weights) for node in nodes])
        self._own_s: dict[str, float] = {}
        self._tokens = 0.0
        self._jitter_s: dict[float, float] = {}
        self._loss: dict[float, float] = {}
        self._moves = 1.0  # interruption by a move, in round trips between its nodes

    def saw_turn(self, turn: TurnRecord, round_trip_s: np.ndarray) -> None:
        """Learn from a turn that has ended. round_trip_s: [U, N] at that time."""
        names = [node.name for node in self.nodes]
        if turn.status != "complete" or turn.node not in names or turn.attempts > 1 or turn.prefilled_tokens:
            return
        u, n = self.users.index(turn.user), names.index(turn.node)
        distance = _class(round_trip_s[u, n])
        if turn.tokens:
            _learn(self._loss, distance, turn.lost / turn.tokens)
        if not np.isnan(turn.jitter_s):
            _learn(self._jitter_s, distance, turn.jitter_s)
        if not np.isnan(turn.latency_s):
            own_s = turn.latency_s - turn.waited_s - turn.compute_s - float(round_trip_s[u, n])
            _learn(self._own_s, turn.user, max(own_s, 0.0))
            token_times = turn.compute_s / float(self._token_s[n])
            self._tokens += (token_times - self._tokens) * (WEIGHT if self._tokens else 1.0)

    def saw_move(self, move: MigrationRecord, round_trip_s: np.ndarray) -> None:
        """Learn from a move that has ended. round_trip_s: [U, N] at that time."""
        names = [node.name for node in self.nodes]
        if move.status == "complete" and move.state_bytes:
            between_s = _between(round_trip_s)[names.index(move.source), names.index(move.target)]
            if between_s > 0:
                self._moves += WEIGHT * (move.interruption_s / float(between_s) - self._moves)

    def problem(self, round_trip_s: np.ndarray, nearest: np.ndarray) -> SlotProblem:
        """Return the problem of the present slot. round_trip_s: [U, N]; nearest: int [U], a number of `nodes`."""
        hosting, names = self.hosting, [node.name for node in self.nodes]
        at = np.array([names.index(hosting.where(user)) for user in self.users])
        compute_s = self._tokens * self._token_s
        own = float(np.mean(list(self._own_s.values()))) if self._own_s else 0.0
        own_s = np.array([self._own_s.get(user, own) for user in self.users])
        state = np.array([hosting.state_bytes(user) for user in self.users], dtype=float)
        shape = (len(self.users), len(names))
        return SlotProblem(
            users=self.users, nodes=tuple(names), at=at, latency_s=own_s[:, None] + round_trip_s + compute_s[None],
            jitter_s=_at_distances(self._jitter_s, round_trip_s), loss=_at_distances(self._loss, round_trip_s),
            serving_w=np.broadcast_to(self._extra_w * compute_s * self.turns_a_slot / self.slot_s, shape),
            state_bytes=state, weight_bytes=float(hosting.service.weight_bytes),
            file_bytes=float(hosting.service.file_bytes), up=np.isin(names, hosting.nodes_with_weights()),
            loading_w=self._extra_w * self._load_s / self.slot_s,
            pause_s=self._moves * _between(round_trip_s)[at],
            allowed=self._allowed(names, state),
            round_trip_s=round_trip_s, nearest=nearest, slot_s=self.slot_s,
        )  # fmt: skip

    def _allowed(self, names: Sequence[str], state: np.ndarray) -> np.ndarray:
        """Return where each session may be: where memory is free, and, if it is moving or lost, nowhere else."""
        hosting = self.hosting
        allowed = np.ones((len(self.users), len(names)), dtype=bool)
        for n, node in enumerate(self.nodes):
            free = node.memory.capacity_bytes - node.memory.used_bytes
            weights = 0 if names[n] in hosting.nodes_with_weights() else hosting.service.weight_bytes
            allowed[:, n] = state + weights <= free
            if hosting.failures.is_known(names[n]):
                allowed[:, n] = False
        for u, user in enumerate(self.users):
            if hosting.moving_to(user) is not None or hosting.is_lost(user):
                allowed[u] = False
        return allowed


def _between(round_trip_s: np.ndarray) -> np.ndarray:
    """Return the round trip between two nodes, over the cell of the user for which it is least, [N, N]."""
    return np.asarray((round_trip_s[:, :, None] + round_trip_s[:, None, :]).min(axis=0))


def _class(round_trip_s: float) -> float:
    return round(float(round_trip_s), 5)


def _learn(means: dict[float, float] | dict[str, float], key: float | str, value: float) -> None:
    old = means.get(key)  # type: ignore[arg-type]
    means[key] = value if old is None else old + WEIGHT * (value - old)  # type: ignore[index]


def _at_distances(means: Mapping[float, float], round_trip_s: np.ndarray) -> np.ndarray:
    """Return the mean at each distance; of one that was not seen, that of the nearest one that was. [U, N]."""
    if not means:
        return np.zeros(round_trip_s.shape)
    seen = np.array(sorted(means))
    values = np.array([means[key] for key in seen.tolist()])
    return np.asarray(values[np.abs(round_trip_s[..., None] - seen).argmin(axis=-1)])
