# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of model-caching and its recipes."""

import dataclasses
import math
from typing import Literal

from edgelam.caching.families import Root
from edgelam.errors import ConfigurationError
from edgelam.runs.network import Network

Method = Literal[
    "everything", "trimcaching-spec", "trimcaching-gen", "independent", "popularity", "exact", "lru", "lfu", "gdsf"
]
CITY = Network(
    "nr-urban-grid",
    options=("sites=3", "sectors=1", "numSiteEdge=1", "numUpfEdge=1", "bandwidth=100", "backhaulRate=1Gbps",
             "cloudRate=200Mbps"),
)  # fmt: skip
"""Three sites with an edge server each, one behind the UPF, and the cloud behind a WAN."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run of model-caching. The defaults are the quick recipe."""

    seed: int = 1
    """Root of every random stream: models, requests, network. 1 to 2147483647."""
    num_seeds: int = 5
    """Everything is done with so many seeds, from `seed` on."""
    network: Network = CITY
    """The network; it must have the observable nearest_edge."""
    middle: str = "edge3"
    """The edge server that those at the sites ask for what they lack; it asks the cloud."""
    methods: tuple[Method, ...] = (
        "everything", "trimcaching-spec", "trimcaching-gen", "independent", "popularity", "lru"
    )  # fmt: skip
    """everything: all models at all sites (what storage could give at most); placements, and caches that follow
    requests: lru, lfu, gdsf."""
    num_users: int = 6
    """Users, of the role ue."""
    num_models: int = 24
    """Models of the library, one for each task."""
    roots: tuple[Root, ...] = ("efficientnet-lite0", "efficientnet-lite1")
    """What the models were fine-tuned from, in turn; sizes only (declared)."""
    bytes_per_parameter: float = 1.0
    """1: the roots were quantised to int8 once, before they were fine-tuned."""
    share: bool = True
    """Whether the frozen layers of a root are the same blocks in all its models."""
    zipf: float = 0.8
    """Exponent of the popularity of models."""
    site_bytes: float = 8e6
    """Storage for models at each site."""
    middle_bytes: float = 8e6
    """Storage for models at the node in the middle."""
    requests: int = 16
    """Requests of a simulation."""
    rate: float = 8.0
    """Requests per second of all users together (Poisson)."""
    deadline_s: float = 0.25
    """From a request to the last byte of the model at the user, seconds."""
    warm: int = 300
    """Requests that lru, lfu and gdsf have seen before, without a network."""

    def __post_init__(self) -> None:
        """Refuse what is not legal."""
        if not 1 <= self.seed <= 2**31 - max(self.num_seeds, 1):
            raise ConfigurationError(f"seed is {self.seed}; with num_seeds it must be from 1 to 2147483647")
        for name in ("num_seeds", "num_users", "num_models", "requests"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("bytes_per_parameter", "rate", "deadline_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be above 0 and finite")
        for name in ("zipf", "site_bytes", "middle_bytes", "warm"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be 0 or more, and finite")
        for name in ("methods", "roots"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ConfigurationError(f"{name} are {values!r}; at least one, each once")


def quick() -> Config:
    """Six methods, five seeds, sixteen requests each."""
    return Config()


def unshared() -> Config:
    """The same models without shared blocks."""
    return Config(share=False)


def online() -> Config:
    """Caches that follow requests, beside TrimCaching Gen; more requests."""
    return Config(methods=("everything", "trimcaching-gen", "lru", "lfu", "gdsf"), requests=40)


def resnets() -> Config:
    """ResNet-18, -34 and -50 as in TrimCaching, with more storage and time: much longer."""
    return Config(
        roots=("resnet18", "resnet34", "resnet50"), site_bytes=45e6, middle_bytes=45e6, rate=2.0, deadline_s=0.8
    )  # fmt: skip


RECIPES = {"quick": quick, "unshared": unshared, "online": online, "resnets": resnets}
