# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the study deployment."""

import dataclasses
from typing import Literal

from edgelam.errors import ConfigurationError

Method = Literal[
    "exact", "greedy", "genetic", "random", "diffusion-likelihood", "diffusion-rl", "d2sac", "sac", "dqn"
]  # fmt: skip
LEARNED = ("diffusion-likelihood", "diffusion-rl", "d2sac", "sac", "dqn")


@dataclasses.dataclass(frozen=True)
class DeploymentSettings:
    """What is trained, and what it is compared with. Users, requests and seeds are those of the study serving."""

    methods: tuple[Method, ...] = (
        "exact", "greedy", "genetic", "random", "diffusion-likelihood", "diffusion-rl", "d2sac", "sac", "dqn",
    )  # fmt: skip
    """Solvers, and learned policies: diffusion-likelihood learns from exact plans, diffusion-rl by soft actor-critic
    through its chain (LAD-TS)."""
    updates: int = 30_000
    """Updates of each learner, one for each step that is taken."""
    examples: int = 120
    """Solved problems that diffusion-likelihood learns from."""
    judged: int = 16
    """Problems by which a learning curve is judged, and problems of each set on which methods are compared."""
    agents: str = ""
    """A folder with checkpoints and solved problems of an earlier run (its folder agents): what is there is not done
    again, and a training that was cut short goes on; empty: everything is new."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        for name in ("updates", "examples", "judged"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise ConfigurationError(f"methods are {self.methods!r}; at least one, each once")

    @property
    def learned(self) -> tuple[str, ...]:
        """The methods that are trained."""
        return tuple(name for name in self.methods if name in LEARNED)
