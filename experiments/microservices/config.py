# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of microservices and its recipes."""

import dataclasses
import math
from typing import Literal

from edgelam.errors import ConfigurationError
from edgelam.runs.needs import Needs
from edgelam.runs.network import Network

Method = Literal["shared-exact", "shared-greedy", "shared-genetic", "shared-random", "monolithic", "cloud-only"]
STREET = Network("nr-urban-micro", devices=("edge0=jetson-orin,memory_bytes=4e9", "edge1=cpu-server,memory_bytes=8e9"))
"""A cell with a server at its site, one behind the core with more memory, and the cloud."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run of microservices. The defaults are the declared recipe."""

    seed: int = 1
    """Root of every random stream: requests, inputs, solvers, network. 1 to 2147483647."""
    network: Network = STREET
    """The network; nodes of the roles edge and cloud run services, and users are of the role ue."""

    methods: tuple[Method, ...] = (
        "shared-exact", "shared-greedy", "shared-genetic", "shared-random", "monolithic", "cloud-only",
    )  # fmt: skip
    """Where services run. shared-RULE: services that all graphs share, placed by a solver; monolithic: each graph has
    services of its own, all on one node; cloud-only: shared services, all in the cloud."""
    num_users: int = 4
    """Users; they are of the kinds driving, robotics, healthcare and assistant in turn."""
    num_seeds: int = 1
    """Every method runs with so many seeds, from `seed` on."""
    load: float = 2.0
    """Factor of all rates of requests."""
    duration_s: float = 10.0
    """For how long requests come, simulated seconds."""
    max_requests: int = 60
    """Most requests of a simulation: the first ones."""
    charge: bool = True
    """Whether collecting states and deciding take time."""
    most_utilisation: float = 0.8
    """Bound on the time that a processor may compute, for solvers."""
    cold: bool = False
    """Whether instances get their weights from the cloud when they are first called; otherwise they have them."""
    fail: str = ""
    """A node that fails in the middle of the run, such as edge0; empty: none."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        if not 1 <= self.seed <= 2**31 - max(self.num_seeds, 1):
            raise ConfigurationError(f"seed is {self.seed}; with num_seeds it must be from 1 to 2147483647")
        for name in ("num_users", "num_seeds", "max_requests"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("load", "duration_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be above 0 and finite")
        if not 0 < self.most_utilisation <= 1:
            raise ConfigurationError(f"most_utilisation is {self.most_utilisation}; legal is above 0, up to 1")
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise ConfigurationError(f"methods are {self.methods!r}; at least one, each once")


def needs(config: Config) -> Needs:
    """Users, an edge server, and a cloud."""
    return Needs(roles={"ue": config.num_users, "edge": 1, "cloud": 1})


def declared() -> Config:
    """15 declared services in 5 graphs: shared, monolithic, in the cloud; no model is needed. About a minute."""
    return Config()


def seeds() -> Config:
    """The same with five seeds, each with services of its own: differences with intervals."""
    return Config(num_seeds=5)


RECIPES = {"declared": declared, "seeds": seeds}
