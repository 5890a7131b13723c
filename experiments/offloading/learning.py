# SPDX-License-Identifier: GPL-2.0-only
"""Learners in both environments: trained on episodes of their own, then measured on those of the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgelam.agents import training
from edgelam.agents.agent import Agent
from edgelam.agents.planning import state_of
from edgelam.gym import OffloadingEnv
from edgelam.gym.node_choice import Observation
from edgelam.inference.offloading.tasks import Setting
from edgelam.random_streams import derive_seed, from_numbers

from .config import Config, State

JUDGED = 1000
"""Tasks of which the mean delay is a point of a learning curve: the first ones of an episode that nothing else uses."""
POINTS = 12


class Practice(OffloadingEnv):
    """Its rewards are those of OffloadingEnv times 1 - discount, so that what is learned is as large as a delay."""

    def __init__(self, setting: Setting, state: State, discount: float) -> None:
        """discount: of what comes later."""
        super().__init__(setting, state=state)
        self.factor = 1 - discount

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Send the task to a server."""
        seen, reward, ended, cut, remarks = super().step(action)
        return seen, self.factor * reward, ended, cut, remarks


def trained(
    config: Config, setting: Setting, learner: str, state: State, folder: Path, *, told: Callable[[int], None]
) -> tuple[Agent, list[training.Point]]:  # fmt: skip
    """Train a learner for a setting, or go on with its checkpoint in `folder`; return it with its curve."""
    name = f"{setting.name}-{setting.most_tasks}-{learner}-{state}"
    seed = derive_seed(config.seed, f"offloading {name}")

    def judge(agent: Agent) -> float:
        env = OffloadingEnv(setting, state=state, seed=derive_seed(seed, "judged") % 2**63)
        return mean_delay(agent, env, seed, most=JUDGED)

    return training.train(
        learner, [Practice(setting, state, config.discount)], config.updates, seed=seed,
        path=folder / f"{name}.safetensors", judge=judge, every=max(config.updates // POINTS, 1),
        discount=config.discount, steps=config.tasks_per_update, told=told,
    )  # fmt: skip


def mean_delay(agent: Agent, env: OffloadingEnv, seed: int, *, most: int | None = None) -> float:
    """Return the mean delay in seconds of the environment's next episode, or of its first `most` tasks.

    Servers are drawn from the agent's probabilities, as when it learns: with the queues of the slot's beginning, the
    most probable server is the same one for all tasks. seed: of the stream ``servers of tasks``.
    """
    rng = from_numbers(derive_seed(seed, "servers of tasks"))
    delays = [delay for delay, _ in zip(_delays(agent, env, rng), range(most or 2**62), strict=False)]
    return float(np.mean(delays))


def _delays(agent: Agent, env: OffloadingEnv, rng: np.random.Generator) -> Iterator[float]:
    seen, _ = env.reset()
    before = np.full(len(seen["legal"]), 1 / len(seen["legal"]), np.float32)
    ended = False
    while not ended:
        with torch.no_grad():
            state = state_of(seen["nodes"], seen["context"], seen["legal"], before)
            before = agent.probabilities(state, rng)[0].numpy()
        exact = before.astype(float)
        seen, _, ended, _, remarks = env.step(int(rng.choice(len(exact), p=exact / exact.sum())))
        yield remarks["delay_s"]
