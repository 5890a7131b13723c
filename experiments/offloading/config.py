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
    """Episodes of each rule, the same tasks for all rules; at least 1."""

    def __post_init__(self) -> None:
        """Refuse what is not legal."""
        if not 1 <= self.seed < 2**31:
            raise ConfigurationError(f"seed is {self.seed}; legal is 1 to 2147483647")
        if self.episodes < 1:
            raise ConfigurationError(f"episodes are {self.episodes}; there must be at least one")
        for name in ("environments", "rules", "shares"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ConfigurationError(f"{name} are {values!r}; at least one, each once")
        for share in self.shares:
            if not 0 < share <= 1:
                raise ConfigurationError(f"shares have {share!r}; legal is above 0, up to 1")


def published() -> Config:
    """The published settings, five episodes of each rule: a minute or two."""
    return Config()


def loads() -> Config:
    """From a fifth of the published tasks to all of them, three episodes."""
    return Config(shares=(0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0), episodes=3)


RECIPES = {"published": published, "loads": loads}
