# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the study orchestration."""

import dataclasses
import math
from typing import Literal

from edgelam.errors import ConfigurationError

Method = Literal[
    "robust", "nominal", "prop-avg", "lbrr", "genetic", "capacity-proportional", "smooth-weighted-round-robin",
    "join-shortest-queue", "power-of-two-choices",
]  # fmt: skip
Shift = Literal["none", "demand", "crowd", "both"]
METHODS: tuple[Method, ...] = Method.__args__  # type: ignore[attr-defined]
LEARNED: tuple[Method, ...] = ("robust", "nominal")


@dataclasses.dataclass(frozen=True)
class OrchestrationSettings:
    """How requests are routed over replicas, by which methods, under which shifts."""

    methods: tuple[Method, ...] = METHODS
    """How replicas are chosen. robust: learned against adversaries; nominal: learned without; prop-avg: the least
    expected delay by mean rates; lbrr: load-balanced round robin; genetic: routes that are fixed beforehand."""
    shifts: tuple[Shift, ...] = ("none", "demand", "crowd", "both")
    """What differs from what was learned. demand: drivers and robots ask more often, others less; crowd: all users
    stand at the first gNB; both."""
    uncharged: tuple[Method, ...] = ("robust", "nominal", "prop-avg", "join-shortest-queue")
    """Methods that are also run with decisions that take no time and know all queues."""
    num_users: int = 4
    """Users; they are of the kinds driving, robotics, healthcare and assistant in turn."""
    num_seeds: int = 5
    """Everything is done with so many seeds, from `seed` on."""
    load: float = 4.0
    """Factor of all rates of requests."""
    duration_s: float = 4.0
    """For how long requests come, simulated seconds."""
    max_requests: int = 80
    """Most requests of a simulation: the first ones."""
    replicas: int = 3
    """Most replicas of a service."""
    report_every_s: float = 0.1
    """How often nodes report their queues to the router."""
    moves_per_s: float = 0.1
    """Learning: how often a user goes to another place."""
    iterations: int = 100
    """Learning: updates of the router, each by a rollout of 4,096 calls."""
    radius: float = 0.7
    """Learning: size of the box of robust's adversaries, 0 to 1."""
    adversaries: int = 3
    """Learning: how many adversaries robust has."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        for name in ("num_users", "num_seeds", "max_requests", "replicas", "iterations", "adversaries"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("load", "duration_s", "report_every_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be above 0 and finite")
        if not 0 <= self.moves_per_s < math.inf:
            raise ConfigurationError(f"moves_per_s is {self.moves_per_s}; it must be finite and not negative")
        if not 0 <= self.radius <= 1:
            raise ConfigurationError(f"radius is {self.radius}; legal is 0 to 1")
        for name, least in (("methods", 1), ("shifts", 1), ("uncharged", 0)):
            values = getattr(self, name)
            if len(values) < least or len(set(values)) < len(values):
                raise ConfigurationError(f"{name} are {values!r}; at least {least}, each once")
        if unknown := [name for name in self.uncharged if name not in self.methods]:
            raise ConfigurationError(f"uncharged has {', '.join(unknown)}, which methods have not")
