# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of offloading and its recipes."""

import dataclasses
from typing import Literal

from edgelam.errors import ConfigurationError

Environment = Literal["lad-ts", "fdedge"]
Rule = Literal[
    "greedy", "greedy-by-slot", "capacity-proportional", "smooth-weighted-round-robin", "join-shortest-queue",
    "power-of-two-choices", "load-balanced-round-robin", "uniform", "local",
]  # fmt: skip
RULES: tuple[Rule, ...] = Rule.__args__  # type: ignore[attr-defined]
Learner = Literal["dqn", "sac", "d2sac", "diffusion-rl"]
LEARNERS: tuple[Learner, ...] = Learner.__args__  # type: ignore[attr-defined]
State = Literal["slot", "now"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run of offloading. The defaults are the published settings."""

    seed: int = 1
    """Root of every random stream: tasks, and what rules draw. 1 to 2147483647."""
    environments: tuple[Environment, ...] = ("lad-ts", "fdedge")
    """lad-ts: 20 base stations that are servers; fdedge: a master and 10 servers."""
    rules: tuple[Rule, ...] = RULES
    """The rules. greedy: where a task's own delay is least; greedy-by-slot: the same with the queues of the slot's
    beginning. local: the server of the task's station, not in fdedge."""
    shares: tuple[float, ...] = (1.0,)
    """Most tasks of a station in a slot, as shares of the published 50 (lad-ts) and 100 (fdedge)."""
    episodes: int = 5
    """Episodes of each rule and learner, the same tasks for all; at least 1."""
    learners: tuple[Learner, ...] = ()
    """Agents that are trained for each environment and share, and measured like rules; diffusion-rl is LAD-TS."""
    states: tuple[State, ...] = ("slot", "now")
    """What learners see of queues. slot: as they were when the slot began, as in both papers; now: as they are."""
    updates: int = 30_000
    """Updates of each learner."""
    tasks_per_update: int = 10
    """Tasks that a learner sends for each update."""
    discount: float = 0.95
    """Of rewards that come later, for each task; as in LAD-TS."""
    agents: str = ""
    """A folder with checkpoints of an earlier run (its folder agents), which go on; empty: everything is new."""

    def __post_init__(self) -> None:
        """Refuse what is not legal."""
        if not 1 <= self.seed < 2**31:
            raise ConfigurationError(f"seed is {self.seed}; legal is 1 to 2147483647")
        if self.episodes < 1:
            raise ConfigurationError(f"episodes are {self.episodes}; there must be at least one")
        for name, least in (("environments", 1), ("rules", 1), ("shares", 1), ("learners", 0), ("states", 1)):
            values = getattr(self, name)
            if len(values) < least or len(set(values)) < len(values):
                raise ConfigurationError(f"{name} are {values!r}; at least {least}, each once")
        for name in ("updates", "tasks_per_update"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.discount < 1:
            raise ConfigurationError(f"discount is {self.discount}; legal is 0 to less than 1")
        for share in self.shares:
            if not 0 < share <= 1:
                raise ConfigurationError(f"shares have {share!r}; legal is above 0, up to 1")


def published() -> Config:
    """The published settings, five episodes of each rule: a minute or two."""
    return Config()


def loads() -> Config:
    """From a fifth of the published tasks to all of them, three episodes."""
    return Config(shares=(0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0), episodes=3)


def learners() -> Config:
    """Four learners in the published settings, beside the rules that tell most. Hours."""
    return Config(
        learners=LEARNERS, episodes=3,
        rules=("greedy", "greedy-by-slot", "smooth-weighted-round-robin", "capacity-proportional", "uniform"),
    )  # fmt: skip


RECIPES = {"published": published, "loads": loads, "learners": learners}
