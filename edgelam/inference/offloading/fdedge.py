# SPDX-License-Identifier: GPL-2.0-only
"""The environment of FDEdge ("Enhancing QoE in collaborative edge systems with feedback diffusion generative
scheduling"): a master sends the tasks of all users to 10 servers.

In each of 99 slots of a second, 1 to 100 tasks of 10 to 40 Mbit come, with 0.1024 to 0.3072 Gcycle for each Mbit; the
i-th task of a slot always has the same density. Servers have 10 to 50 Gcycle/s (326 together), links 400 to 500
Mbit/s. Results are not counted. The drawn constants are those that the paper's seeds give with NumPy's first generator.

Published mean delays: DQN 5.83 s, SAC 8.54, FDEdge 1.045, and 0.808 for the rule that it calls optimal: each task goes
where its own delay is least.
"""

from __future__ import annotations

import numpy as np

from edgelam.inference.offloading.tasks import Setting
from edgelam.random_streams import published

SERVERS = 10
MOST_TASKS = 100
PUBLISHED = {"DQN": (5.83, 5.83), "SAC": (8.54, 8.54), "FDEdge": (1.045, 1.045), "greedy": (0.808, 0.808)}
"""Method -> least and greatest mean delay, seconds."""


def setting(most_tasks: int = MOST_TASKS) -> Setting:
    """Return the setting; most_tasks: 1 to 100, fewer are a lighter load."""
    return Setting(
        name="FDEdge",
        capacities=published(2).randint(10, 51, SERVERS).astype(float),
        rates=published(5).randint(400, 501, SERVERS).astype(float),
        gcycles=np.zeros(MOST_TASKS),
        gcycles_per_mbit=published(1).uniform(0.1024, 0.3072, MOST_TASKS),
        results_mbit=np.zeros(MOST_TASKS),
        mbit=(10, 40), stations=(-1,), most_tasks=most_tasks, slots=99,
    )  # fmt: skip
