# SPDX-License-Identifier: GPL-2.0-only
"""Offloading of tasks to servers as in LAD-TS and FDEdge (edgelam/inference/offloading): each step sends one task."""

from __future__ import annotations

from typing import Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium import spaces

from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.gym.node_choice import Observation, refuse_unknown
from edgelam.inference.offloading import lad_ts
from edgelam.inference.offloading.tasks import Servers, Setting, Task, episode

MOST = 1e4
ROWS = ("waiting", "computing", "transfer")
"""Columns of a server's row: seconds of its queue, of this task's work there, and of its transfers."""
CONTEXT = ("mbit", "gcycles")
State = Literal["slot", "now"]


class OffloadingEnv(gymnasium.Env[Observation, int]):
    """The reward is minus the task's delay in seconds; `info` has it as ``delay_s``.

    With state ``slot`` the queues are those of the slot's beginning, as in both papers; with ``now`` they have what
    this slot has sent, too. An episode ends with its last slot. A seed gives the same episodes, one after the other, as
    rules are measured with.
    """

    rows, context_names = ROWS, CONTEXT

    def __init__(
        self, setting: Setting | None = None, *, state: State = "slot", seed: int = 1
    ) -> None:  # fmt: skip
        """setting: by default that of LAD-TS; state: what is seen of queues; seed: until `reset` gives another one."""
        if state not in get_args(State):
            raise ConfigurationError(f"state is {state!r}; legal are: {', '.join(get_args(State))}")
        self.setting = setting or lad_ts.setting()
        self.state, self._seed = state, seed
        size = len(self.setting.capacities)
        self.action_space = spaces.Discrete(size)  # type: ignore[assignment]  # its elements are NumPy integers
        self.observation_space = spaces.Dict(  # type: ignore[assignment]
            {
                "nodes": spaces.Box(-MOST, MOST, (size, len(ROWS)), np.float32),
                "context": spaces.Box(-MOST, MOST, (len(CONTEXT),), np.float32),
                "legal": spaces.MultiBinary(size),
            }
        )
        self._episode = -1
        self._running = False
        self.servers: Servers
        self.task: Task

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, dict]:
        """Begin the first episode of a seed, or the next one; there are no options.

        Raises ConfigurationError for a negative seed, and for any option.
        """
        super().reset(seed=seed)
        refuse_unknown(options or {}, ())
        if seed is not None:
            self._seed, self._episode = seed, -1
        self._episode += 1
        self.servers = Servers(self.setting)
        self._slots = episode(self.setting, self._seed, self._episode)
        self._left = next(self._slots)[::-1]
        self.task, self._running = self._left.pop(), True
        return self._observation(), {}

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Send the task to a server. Raises EdgelamError if no episode is running, ConfigurationError for no server."""
        if not self._running:
            raise EdgelamError("this episode has ended, or none has begun: call reset()")
        if not self.action_space.contains(action):
            raise ConfigurationError(
                f"action is {action!r}; legal are whole numbers from 0 to {len(self.setting.capacities) - 1}: a server"
            )
        delay = float(self.servers.delays(self.task)[action])
        self.servers.send(self.task, int(action))
        if not self._left:
            self.servers.end_slot()
            self._left = next(self._slots, [])[::-1]
        self._running = bool(self._left)
        if self._running:
            self.task = self._left.pop()
        return self._observation(), -delay, not self._running, False, {"delay_s": delay}

    def _observation(self) -> Observation:
        servers, task, capacities = self.servers, self.task, self.setting.capacities
        work = servers.queued if self.state == "slot" else servers.queued + servers.sent
        rows = [work / capacities, task.gcycles / capacities, servers.transfers(task)]
        return {
            "nodes": np.clip(np.stack(rows, axis=1), -MOST, MOST).astype(np.float32),
            "context": np.array([task.mbit, task.gcycles], np.float32),
            "legal": np.ones(len(capacities), np.int8),
        }  # fmt: skip
