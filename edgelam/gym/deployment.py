# SPDX-License-Identifier: GPL-2.0-only
"""Deployment as an environment: each step places one call of one flow on a node.

What is seen is that of edgelam/inference/deployment/placing.py. The reward of a step is minus the growth of the mean
delay, in shares of what requests take at best; so the sum over an episode is minus the mean delay of the plan, on the
planner's model. A node that does not fit, for its memory or its processor, is replaced by the one that fits and adds
least (``info["repaired"]``), at `REPAIR`. If no node fits any more, the episode ends at `STUCK` (``info["stuck"]``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgelam.gym.node_choice import NodeChoice, Problems
from edgelam.inference.deployment.placing import CONTEXT, MOST, ROWS, Placing
from edgelam.inference.drawn_problem import Drawn

REPAIR, STUCK = -0.1, -2.0
"""Rewards of a choice that does not fit, and of a plan that cannot be completed."""


class DeploymentEnv(NodeChoice):
    """Places all calls of a problem. After the last one, ``info["plan"]`` is the plan and ``info["delay_s"]`` its mean
    delay."""

    def __init__(self, problems: Problems | None = None, *, seed: int = 1) -> None:
        """problems: draws the problem of each episode (by default `Drawn()`); seed: see `NodeChoice`."""
        self.placing: Placing
        super().__init__("deployment", problems or Drawn(), rows=ROWS, context=CONTEXT, most=MOST, seed=seed)

    def begin(self, options: dict[str, Any]) -> None:
        """Begin with nothing placed. Raises ConfigurationError if no plan can serve the problem's demand."""
        self.problem.check()
        self.placing = Placing(self.problem)

    def look(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what each node would mean for the next call, and where it fits."""
        return self.placing.rows(), self.placing.context(), self.placing.fits()

    def choose(self, node: int) -> tuple[float, bool, bool, dict[str, Any]]:
        """Put the next call on a node."""
        placing, remarks = self.placing, dict[str, Any]()
        fits = placing.fits()
        reward = 0.0
        if not fits[node]:  # some node fits: otherwise the episode had ended
            node = int(np.argmin(np.where(fits, placing.added(), np.inf)))
            reward, remarks["repaired"] = REPAIR, True
        reward -= placing.place(node) / placing.scale
        if placing.complete:
            return reward, True, False, remarks | {"plan": placing.plan(), "delay_s": placing.delay_s}
        if not placing.fits().any():
            return reward + STUCK, True, False, remarks | {"stuck": True}
        return reward, False, False, remarks
