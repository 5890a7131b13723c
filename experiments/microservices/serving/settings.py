# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the study serving."""

import dataclasses
import math
from typing import Literal

import tyro

from edgelam.errors import ConfigurationError
from edgelam.runs.configuration import flat

Method = Literal["shared-exact", "shared-greedy", "shared-genetic", "shared-random", "monolithic", "cloud-only"]


@flat
@tyro.conf.configure(tyro.conf.OmitArgPrefixes)
@dataclasses.dataclass(frozen=True)
class ServingSettings:
    """How requests are served, by which methods. The defaults are the declared recipe."""

    methods: tuple[Method, ...] = (
        "shared-exact", "shared-greedy", "shared-genetic", "shared-random", "monolithic", "cloud-only",
    )  # fmt: skip
    """Where services run. shared-RULE: services that all graphs share, placed by a solver; monolithic: each graph has
    services of its own, all on one node; cloud-only: shared services, all in the cloud."""
    workload: Literal["multimodal", "declared"] = "declared"
    """multimodal: real models; declared: services of which only work and sizes are known."""
    num_users: int = 4
    """Users; they are of the kinds driving, robotics, healthcare and assistant in turn."""
    num_seeds: int = 1
    """Every method runs with so many seeds, from `seed` on."""
    load: float = 2.0
    """Factor of all rates of requests that are drawn."""
    trace: str = ""
    """A CSV file of requests that come instead of drawn ones, with the columns time_s (seconds from the time at which
    serving begins), user (such as ue0), graph (such as image-question), deadline_s (seconds; empty: none) and, if
    wanted, priority (0 to 7). num_users says how many users there are; load and duration_s are of no account. Empty:
    requests are drawn, by a process of each user: bursts, Poisson, or by time of day."""
    duration_s: float = 10.0
    """For how long requests come, simulated seconds."""
    max_requests: int = 60
    """Most requests of a simulation: the first ones that are drawn. A trace with more is refused."""
    charge: bool = True
    """Whether collecting states and deciding take time."""
    most_utilisation: float = 0.8
    """Bound on the time that a processor may compute, for solvers."""
    cold: bool = False
    """Whether instances get their weights from the cloud when they are first called; otherwise they have them."""
    fail: str = ""
    """A node that fails in the middle of the run, such as edge0; empty: none. Services that only it had start on the
    node with the most free memory, with weights from the cloud."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
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
