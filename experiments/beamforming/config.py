# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of beamforming and its recipes."""

import dataclasses
import re
from typing import Literal

from edgelam.air.beamforming.learned.settings import KINDS, Kind, PolicySettings, TrainingSettings
from edgelam.errors import ConfigurationError

Rule = Literal["mrt", "zf", "rzf", "wmmse-1-start", "wmmse"]
RULES: tuple[Rule, ...] = Rule.__args__  # type: ignore[attr-defined]


@dataclasses.dataclass(frozen=True)
class Test:
    """Channels on which all methods are judged."""

    users: int
    antennas: int
    snr_db: float


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run of beamforming. The defaults are the quick recipe."""

    seed: int = 1
    """Root of every random stream: weights, channels of training and of tests. 1 to 2147483647."""
    num_seeds: int = 1
    """Everything is done with so many seeds, from `seed` on."""
    learned: tuple[Kind, ...] = ("graph-lam", "gnn", "unrolled-wmmse")
    """Policies to train. graph-lam: GNN, pre-trained frozen transformer with adapters; graph-lam-random: the same with
    random weights of the transformer; no-backbone: without the transformer; gnn: message passing with as many trained
    parameters as graph-lam; unrolled-wmmse: iterations of WMMSE with trained steps."""
    rules: tuple[Rule, ...] = RULES
    """Classical methods; wmmse is the best of ten starts, wmmse-1-start that of RZF."""
    tests: tuple[str, ...] = ("4x4@10", "8x8@10", "3x3@10")
    """Test sets, as USERSxANTENNAS@SNR in dB: channels CN(0, 1)."""
    test_samples: int = 400
    """Channels of each test set."""
    policy: PolicySettings = dataclasses.field(default_factory=PolicySettings)
    """The size of the policies."""
    training: TrainingSettings = dataclasses.field(default_factory=lambda: TrainingSettings(steps=400, batch_size=64))
    """How they are trained."""
    threads: int = 0
    """Number of PyTorch threads; 0: PyTorch's choice. The same seed gives the same bytes only with the same number."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        if not 1 <= self.seed < 2**31:
            raise ConfigurationError(f"seed is {self.seed}; legal is 1 to 2147483647")
        for name, least in (("num_seeds", 1), ("test_samples", 1), ("threads", 0)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        for name, least in (("learned", 0), ("rules", 0), ("tests", 1)):
            values = getattr(self, name)
            if len(values) < least or len(set(values)) < len(values):
                raise ConfigurationError(f"{name} are {values!r}; at least {least}, each once")
        if not self.learned and not self.rules:
            raise ConfigurationError("learned and rules are both empty: there is nothing to run")
        for name in self.tests:
            test_of(name)
            if "zf" in self.rules and test_of(name).users > test_of(name).antennas:
                raise ConfigurationError(f"test {name}: zf needs an antenna for each user; leave it out of rules")


def test_of(name: str) -> Test:
    """Return what a test set's name says. Raises ConfigurationError if it says nothing legal."""
    found = re.fullmatch(r"(\d+)x(\d+)@(-?\d+(?:\.\d+)?)", name)
    if not found or min(int(found[1]), int(found[2])) < 1 or abs(float(found[3])) > 40:
        raise ConfigurationError(f"test {name!r}; legal are USERSxANTENNAS@SNR, such as 4x4@10, with -40 to 40 dB")
    return Test(int(found[1]), int(found[2]), float(found[3]))


def quick() -> Config:
    """Graph LAM, GNN and unrolled WMMSE, trained for a minute each, beside five rules: at most 5 minutes on 2 cores."""
    return Config()


def digital() -> Config:
    """All policies, 3,000 steps, five seeds, sizes and SNRs that are not trained on: hours on 2 cores."""
    return Config(
        num_seeds=5, learned=KINDS, training=TrainingSettings(steps=3000),
        tests=("4x4@10", "8x8@10", "3x3@10", "4x4@0", "4x4@20", "4x8@10", "6x6@25"),
    )  # fmt: skip


RECIPES = {"quick": quick, "digital": digital}
