# SPDX-License-Identifier: GPL-2.0-only
"""The environment of LAD-TS (C. Xu et al., arXiv 2412.18212): 20 base stations with a server each.

In each of 59 slots of a second, each station has 1 to 50 tasks of 2 to 5 Mbit, of 1 to 14 denoising steps of 0.1024 to
0.3072 Gcycle each. The i-th task of a station always has the same work and result. Servers have 10 to 50 Gcycle/s (656
together), links 400 to 500 Mbit/s. The drawn constants are those that the paper's seeds give with NumPy's first
generator, so they are drawn with it.

Published mean delays, read off a figure: DQN 9.3-9.6 s, SAC 8.7-9.0, D2SAC 8.3-8.7, LAD-TS 7.6-7.9, and 7.1-7.6 for
the rule that it calls optimal: each task goes where its own delay is least. More work comes than all servers can do.
"""

from __future__ import annotations

import numpy as np

from edgelam.inference.offloading.tasks import Setting
from edgelam.random_streams import published

STATIONS = 20
MOST_TASKS = 50
PUBLISHED = {"DQN": (9.3, 9.6), "SAC": (8.7, 9.0), "D2SAC": (8.3, 8.7), "LAD-TS": (7.6, 7.9), "greedy": (7.1, 7.6)}
"""Method -> least and greatest mean delay, seconds."""


def setting(most_tasks: int = MOST_TASKS) -> Setting:
    """Return the setting; most_tasks: 1 to 50, fewer are a lighter load."""
    steps = published(1).randint(1, 15, MOST_TASKS)
    return Setting(
        name="LAD-TS",
        capacities=published(2).randint(10, 51, STATIONS).astype(float),
        rates=published(5).randint(400, 501, STATIONS).astype(float),
        gcycles=steps * published(1).uniform(0.1024, 0.3072, MOST_TASKS),
        gcycles_per_mbit=np.zeros(MOST_TASKS),
        results_mbit=published(1).uniform(0.6, 1, MOST_TASKS),
        mbit=(2, 5), stations=tuple(range(STATIONS)), most_tasks=most_tasks, slots=59,
    )  # fmt: skip
