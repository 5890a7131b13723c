# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: every rule and learner over the same episodes of each setting."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from edgelam.files.storage import make_folder
from edgelam.inference.offloading import fdedge, lad_ts
from edgelam.inference.offloading.rules import mean_delay
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from .config import Config, Environment

if TYPE_CHECKING:
    from edgelam.inference.offloading.tasks import Setting

SETTINGS = {"lad-ts": lad_ts, "fdedge": fdedge}
DELAYS = {
    "environment": str, "rule": str, "share": float, "most_tasks": int, "load": float, "episode": int, "delay_s": float,
}  # fmt: skip
"""One row an episode: the mean delay of its tasks. The rule of a learner is its name and what it sees of queues."""
CASE = {"environment": str, "rule": str, "share": float}
CURVES = CASE | {"updates": int, "delay_s": float}
"""One row a point of a learning curve: the mean delay of the first tasks of an episode that nothing else uses."""
LEARNED = CASE | {"updates": int, "flat": bool}
"""One row a learner: whether its curve has flattened (edgelam.agents.curve)."""


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Measure what `config` names."""
    cases = [
        (environment, share, rule, episode)
        for environment, share, rule, episode in itertools.product(
            config.environments, config.shares, config.rules, range(config.episodes)
        )
        if not (rule == "local" and environment == "fdedge")
    ]
    progress.begin("rules", len(cases), "episodes")
    for done, (environment, share, rule, episode) in enumerate(cases, 1):
        setting = _setting(environment, share)
        row = _row(environment, share, setting) | {"rule": rule, "episode": episode}
        folder.table("delays", DELAYS).append(row | {"delay_s": mean_delay(setting, rule, config.seed, episode)})
        progress.step(done)
    for environment, share in itertools.product(config.environments, config.shares) if config.learners else ():
        _learn(config, environment, share, folder, progress)


def _setting(environment: Environment, share: float) -> Setting:
    module = SETTINGS[environment]
    return module.setting(max(1, round(share * module.MOST_TASKS)))


def _row(environment: Environment, share: float, setting: Setting) -> dict[str, object]:
    """Return columns of the table delays that are the same for all rules and episodes."""
    return {"environment": environment, "share": share, "most_tasks": setting.most_tasks, "load": setting.load}


def _learn(config: Config, environment: Environment, share: float, folder: RunFolder, progress: Progress) -> None:
    """Train all learners of a setting, and measure them."""
    import torch

    from edgelam.agents.curve import is_flat
    from edgelam.gym import OffloadingEnv

    from . import learning

    setting = _setting(environment, share)
    place = Path(config.agents) if config.agents else folder.path / "agents"
    make_folder(place)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # small networks: more threads take longer, and another sum of rounding errors
    try:
        for learner, state in itertools.product(config.learners, config.states):
            rule = f"{learner}, {state}"
            progress.begin(f"{rule} in {setting.name}", config.updates, "updates")
            agent, curve = learning.trained(config, setting, learner, state, place, told=progress.step)
            case = {"environment": environment, "rule": rule, "share": share}
            for updates, delay_s in curve:
                folder.table("curves", CURVES).append(case | {"updates": updates, "delay_s": delay_s})
            folder.table("learners", LEARNED).append(case | {"updates": config.updates, "flat": is_flat(curve)})
            env = OffloadingEnv(setting, state=state, seed=config.seed)
            for episode in range(config.episodes):
                row = _row(environment, share, setting) | {"rule": rule, "episode": episode}
                folder.table("delays", DELAYS).append(row | {"delay_s": learning.mean_delay(agent, env, config.seed)})
    finally:
        torch.set_num_threads(before)
