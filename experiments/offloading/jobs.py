# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: every rule over the same episodes of each setting."""

from __future__ import annotations

import itertools

from edgelam.inference.offloading import fdedge, lad_ts
from edgelam.inference.offloading.rules import mean_delay
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from .config import Config

SETTINGS = {"lad-ts": lad_ts, "fdedge": fdedge}
DELAYS = {
    "environment": str, "rule": str, "share": float, "most_tasks": int, "load": float, "episode": int, "delay_s": float,
}  # fmt: skip
"""One row an episode: the mean delay of its tasks."""


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Measure what `config` names."""
    table = folder.table("delays", DELAYS)
    cases = [
        (environment, share, rule, episode)
        for environment, share, rule, episode in itertools.product(
            config.environments, config.shares, config.rules, range(config.episodes)
        )
        if not (rule == "local" and environment == "fdedge")
    ]
    progress.begin("rules", len(cases), "episodes")
    for done, (environment, share, rule, episode) in enumerate(cases, 1):
        module = SETTINGS[environment]
        setting = module.setting(max(1, round(share * module.MOST_TASKS)))
        table.append(
            {
                "environment": environment, "rule": rule, "share": share, "most_tasks": setting.most_tasks,
                "load": setting.load, "episode": episode,
                "delay_s": mean_delay(setting, rule, config.seed, episode),
            }
        )  # fmt: skip
        progress.step(done)
