# SPDX-License-Identifier: GPL-2.0-only
"""Migration as an environment: each step places one session, and when all are placed, the slot passes.

Problems are those of a road (edgelam/inference/migration/road.py): users drive past servers. The reward of a slot
is minus what drift plus penalty minimises, penalty + sum of Q * use / budget / V, in shares of `Road.air_s`; steps
is minus what drift plus penalty minimises, penalty + sum of Q * use / budget / V, in shares of `Road.air_s`; steps
is cut short after `slots` slots. A session that may not be on the chosen node stays (``info["stayed"]``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.gym.node_choice import NodeChoice, Problems
from edgelam.inference.migration.problem import RESOURCES, Budgets
from edgelam.inference.migration.queues import VirtualQueues
from edgelam.inference.migration.road import Drive, Road

ROWS = ("here", "weights", "latency", "jitter", "loss", "pause", "bytes", "round trip")
"""Whether the session is there, and the weights (also those of a session that was placed there in this slot); latency,
jitter, loss, interruption and round trip beside the least of all nodes, in shares of `Road.air_s` (jitter and loss: of
the largest); bytes of moving there, in shares of a slot's budget of bandwidth."""
CONTEXT = (*(f"queue of {name}" for name in RESOURCES), "state", "placed")
"""log(1 + Q); the session's state in shares of the weights; the share of sessions that are placed in this slot."""
MOST = 20.0


class MigrationEnv(NodeChoice):
    """Places sessions. After each slot, ``info`` has ``penalty_s``, ``uses`` and ``queues``."""

    def __init__(
        self, road: Road | None = None, *, budgets: Budgets | None = None, v: float = 100.0, slots: int = 100,
        seed: int = 1,
    ) -> None:  # fmt: skip
        """road: by default `Road()`; budgets: by default 150 Mb/s and 1 GB; v: see `VirtualQueues`.

        Raises ConfigurationError for a value that is not legal.
        """
        if slots < 1:
            raise ConfigurationError(f"slots is {slots!r}; an episode has at least 1")
        self.road = road or Road()
        self.budgets = budgets or Budgets(bandwidth_bps=150e6, storage_bytes=1e9)
        self.v, self.slots = v, slots
        self.queues = VirtualQueues(self.budgets, v)
        drives: Problems = lambda rng: Drive(self.road, rng)  # noqa: E731
        super().__init__("migration", drives, rows=ROWS, context=CONTEXT, most=MOST, seed=seed)

    def begin(self, options: dict[str, Any]) -> None:
        """Begin with empty queues."""
        self.queues = VirtualQueues(self.budgets, self.v)
        self._slot, self._user = 0, 0
        self._placed = self.problem.at.copy()

    def look(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what each node would mean for the session that is placed next, and where it may be."""
        drive: Drive = self.problem
        now, u, air_s = drive.problem, self._user, self.road.air_s
        nodes = np.arange(len(now.nodes))
        there = now.up | np.isin(nodes, self._placed[:u])
        elsewhere = nodes != now.at[u]
        moved = 8 * (now.state_bytes[u] + now.file_bytes * ~there) * elsewhere / now.slot_s
        rows = np.stack([
            ~elsewhere, there, (now.latency_s[u] - now.latency_s[u].min()) / air_s,
            now.jitter_s[u] / max(now.jitter_s[u].max(), 1e-12), now.loss[u] / max(now.loss[u].max(), 1e-12),
            now.pause_s[u] * elsewhere / air_s, moved / self.budgets.bandwidth_bps, now.round_trip_s[u] / air_s,
        ], axis=1)  # fmt: skip
        context = np.array([
            *np.log1p(self.queues.values), now.state_bytes[u] / max(now.weight_bytes, 1.0), u / len(now.users),
        ])  # fmt: skip
        legal = np.array([now.may(u, int(n)) for n in nodes])
        return np.clip(rows, -MOST, MOST), np.clip(context, -MOST, MOST), legal

    def choose(self, node: int) -> tuple[float, bool, bool, dict[str, Any]]:
        """Place a session; after the last one, the slot passes."""
        drive: Drive = self.problem
        now, remarks = drive.problem, dict[str, Any]()
        if not now.may(self._user, node):
            node, remarks["stayed"] = int(now.at[self._user]), True
        self._placed[self._user] = node
        self._user += 1
        if self._user < len(now.users):
            return 0.0, False, False, remarks
        uses = now.uses(self._placed)
        reward = -self.queues.cost(now, self._placed) / self.v / self.road.air_s
        self.queues.update(uses)
        remarks |= {"penalty_s": now.penalty(self._placed), "uses": uses, "queues": self.queues.values.copy()}
        drive.step(self._placed)
        self._slot, self._user = self._slot + 1, 0
        self._placed = drive.at.copy()
        return reward, False, self._slot >= self.slots, remarks
