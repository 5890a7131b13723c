# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of model_downloading and its recipes."""

import dataclasses
import math
from typing import Literal

from edgelam.errors import ConfigurationError
from edgelam.runs.network import Network

Model = Literal["minilm", "dinov2"]
Method = Literal["progressive", "planned-once", "full", "fixed", "oracle", "middle", "central", "split"]
Part = Literal["downloads", "sharing", "needs", "loss", "ladder", "exits", "cnn"]
STREET = Network(
    "nr-urban-micro",
    options=("numEdge=1", "numUpfEdge=1", "bandwidth=40", "maxDistance=300", "cloudRate=1Gbps"),
    devices=("ue*=phone,flops_per_s=3e10", "edge*=cpu-server"),
)
"""A cell of 40 MHz with a server at its site, one behind the core, and the cloud. Of a phone's processor, an
application gets a small share."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run of model_downloading. The defaults are the quick recipe."""

    seed: int = 1
    """Root of every random stream: requests, network. 1 to 2147483647."""
    num_seeds: int = 5
    """Everything that crosses the network is done with so many seeds, from `seed` on."""
    network: Network = STREET
    """The network; users are of the role ue, two servers of the role edge, and the cloud."""
    parts: tuple[Part, ...] = ("downloads", "sharing")
    """downloads: methods compared; sharing: multicast against unicast; needs: what TS 22.261 wants of three networks;
    loss: weights over udp with losses; ladder: quality of all sizes, measured; exits: answers that leave early;
    cnn: EfficientNet-Lite0 in bit planes."""
    model: Model = "minilm"
    """minilm: a comment of ns-3 -> its module; dinov2: a picture of a digit -> the digit."""
    weights: Literal["declared", "trained"] = "declared"
    """declared: blocks have their real sizes and qualities, measured before, but no values; trained: real weights
    cross and answer real inputs (edgelam models train)."""
    methods: tuple[Method, ...] = (
        "progressive", "planned-once", "full", "fixed", "oracle", "central", "split"
    )  # fmt: skip
    """progressive: planned again with each block, blocks at the edge; planned-once: by the predicted rate; full: the
    whole model at once; fixed: one size; oracle: planned once, with what really comes until the deadline; middle and
    central: progressive, but the blocks are at the second edge server or in the cloud; split: no model on a device."""
    num_users: int = 4
    """Devices that download at the same time."""
    deadline_s: float = 1.0
    """From the beginning of a download; what has not come then is withdrawn."""
    predicted_mbps: float = 60.0
    """Rate that a device expects before anything has come, Mbit/s."""
    fixed: str = "6/2/4"
    """Size of the method fixed: depth/width/bits."""
    inference_s: float = 0.5
    """Most seconds that one inference may take on a device."""
    storage_bytes: float = 64e6
    """For the model on a device."""
    request_rate: float = 10.0
    """Requests of each user per second, from the beginning of its download to the deadline (Poisson)."""
    patience_s: float = 0.25
    """A request that is answered later is not answered."""
    sharers: tuple[int, ...] = (1, 2, 4)
    """Part sharing: numbers of users who want the model at the same time."""
    shared_mbps: float = 160.0
    """Part sharing: pace of multicast, Mbit/s."""
    losses: tuple[float, ...] = (0.0, 0.001, 0.01, 0.1)
    """Part loss: probabilities that a packet is lost."""
    samples: int = 150
    """Parts loss and ladder: test samples."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        for name in ("num_seeds", "num_users", "samples"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 1 <= self.seed <= 2**31 - self.num_seeds:
            raise ConfigurationError(f"seed is {self.seed}; with num_seeds it must be from 1 to 2147483647")
        for name in (
            "deadline_s", "predicted_mbps", "inference_s", "storage_bytes", "request_rate", "patience_s", "shared_mbps"
        ):  # fmt: skip
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be above 0 and finite")
        for name in ("parts", "methods", "sharers", "losses"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ConfigurationError(f"{name} are {values!r}; at least one, each once")
        if min(self.sharers) < 1:
            raise ConfigurationError(f"sharers are {self.sharers}; each must be at least 1")
        if not all(0 <= loss < 1 for loss in self.losses):
            raise ConfigurationError(f"losses are {self.losses}; each must be 0 or more, and less than 1")
        _ = self.fixed_size

    @property
    def fixed_size(self) -> tuple[int, int, int]:
        """`fixed` as numbers. Raises ConfigurationError if it is not three whole numbers."""
        try:
            depth, width, bits = (int(each) for each in self.fixed.split("/"))
        except ValueError:
            raise ConfigurationError(
                f"fixed is {self.fixed!r}; legal is depth/width/bits, such as 6/2/4 (widths count from 0)"
            ) from None
        return depth, width, bits


def quick() -> Config:
    """MiniLM, seven methods, five seeds, and multicast: at most 4 minutes on 2 cores."""
    return Config()


def images() -> Config:
    """DINOv2 for digits."""
    return Config(model="dinov2", fixed="12/2/4")


def real() -> Config:
    """Trained weights cross the network and answer real comments: one seed, four methods."""
    return Config(parts=("downloads",), weights="trained", num_seeds=1,
                  methods=("progressive", "full", "fixed", "split"))  # fmt: skip


def needs() -> Config:
    """What TS 22.261 7.10 wants of cells at 3.5, 28 and 140 GHz."""
    return Config(parts=("needs",), num_seeds=1)


def loss() -> Config:
    """Trained weights over udp with losses."""
    return Config(parts=("loss",), num_seeds=1)


def ladder() -> Config:
    """The quality of all sizes of trained weights, and of answers that leave early."""
    return Config(parts=("ladder", "exits"), num_seeds=1)


def cnn() -> Config:
    """EfficientNet-Lite0 in bit planes."""
    return Config(parts=("cnn",), num_seeds=1)


RECIPES = {"quick": quick, "images": images, "real": real, "needs": needs, "loss": loss, "ladder": ladder, "cnn": cnn}
