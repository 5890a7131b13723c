# SPDX-License-Identifier: GPL-2.0-only
"""Where each device's model is cut; importing this imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from edgelam.errors import ConfigurationError

Rule = Literal["fixed", "adaptive"]
Objective = Literal["time", "energy", "bytes", "arithmetic", "accuracy", "privacy"]
Activation = Literal["fp64", "fp32", "fp16", "int8", "int4"]


@dataclass(frozen=True)
class DecompositionSettings:
    """How many blocks each device runs, with which rank and encoding (docs/decomposition.md)."""

    rule: Rule = "fixed"
    """fixed: as `blocks`, `ranks` and `activations` say, for device after device. adaptive: chosen for each device
    before each round, by trying all combinations of them."""
    blocks: tuple[int, ...] = (0,)
    """fixed: transformer blocks that ue0, ue1, ... run, repeated as often as needed. adaptive: what may be chosen; from
    0 to all of the model."""
    all_blocks: bool = False
    """adaptive: whether every cut of the model may be chosen, instead of `blocks`."""
    ranks: tuple[int, ...] = ()
    """Ranks of the adapters on the device, up to that of the server: of ue0, ue1, ... (fixed), or what may be chosen
    (adaptive). Empty: the server's."""
    activations: tuple[Activation, ...] = ("fp16",)
    """Encodings of what enters the server's first block: of ue0, ue1, ..., or what may be chosen. int8 and int4 add
    their error to the same sample when it is sent again."""
    jacobian_share: float = 1.0
    """Share of the values of a sample's Jacobian that is sent, those with the largest magnitude (top-k, with their
    error added when the sample comes again); 1: all of them."""
    token_share: float = 1.0
    """Share of each sample's tokens that a device with blocks of its own sends on, above 0: the first one, and those
    that are farthest from the mean of all (ST-SFLora selects by attention); 1: all of them."""
    objective: Objective = "time"
    """adaptive: what is least for the rest of the run: time of the slowest device, energy, bytes or arithmetic of each;
    accuracy: the largest rank and the widest encoding with which a device keeps to the deadline; privacy: the most
    blocks with which it does."""
    deadline_s: float = math.inf
    """accuracy, privacy: predicted seconds of a device in a round; if nothing meets it, the fastest is taken."""
    hysteresis: float = 0.1
    """adaptive: another choice must be better than the present one by this share, at least 0."""
    probe_bytes: int = 16384
    """adaptive, for objectives that depend on the network: bytes that each device gets and sends before its first
    round, in two messages, so that its link is measured before the first choice; 0: none, and the network counts as
    free then."""
    installed_blocks: int = 0
    """Blocks whose frozen weights are on every device beforehand; others are downloaded before they are used."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name, legal in (("rule", Rule), ("objective", Objective)):
            if getattr(self, name) not in get_args(legal):
                raise ConfigurationError(
                    f"decomposition {name} is {getattr(self, name)!r}; legal are {', '.join(get_args(legal))}"
                )
        if not self.blocks or any(blocks < 0 for blocks in self.blocks):
            raise ConfigurationError(
                f"decomposition blocks are {self.blocks}; legal is at least one number, each from 0 to the blocks of "
                "the model"
            )
        if any(rank < 1 for rank in self.ranks):
            raise ConfigurationError(f"decomposition ranks are {self.ranks}; each must be at least 1")
        if not self.activations or any(each not in get_args(Activation) for each in self.activations):
            raise ConfigurationError(
                f"decomposition activations are {self.activations}; legal is at least one of "
                f"{', '.join(get_args(Activation))}"
            )
        if not 0.0 < self.jacobian_share <= 1.0:
            raise ConfigurationError(
                f"decomposition jacobian_share is {self.jacobian_share}; it must be above 0 and at most 1"
            )
        if not 0.0 < self.token_share <= 1.0:
            raise ConfigurationError(
                f"decomposition token_share is {self.token_share}; it must be above 0 and at most 1"
            )
        if self.token_share < 1.0 and any(each in ("int8", "int4") for each in self.activations):
            raise ConfigurationError(
                f"decomposition token_share is {self.token_share} with activations {self.activations}: errors of int8 "
                "and int4 are kept by token, and other tokens may be sent next time; legal are fp64, fp32, fp16"
            )
        if not self.deadline_s > 0.0:
            raise ConfigurationError(f"decomposition deadline_s is {self.deadline_s}; it must be above 0")
        if not 0.0 <= self.hysteresis < math.inf:
            raise ConfigurationError(f"decomposition hysteresis is {self.hysteresis}; it must be 0 or more")
        if self.probe_bytes < 0:
            raise ConfigurationError(f"decomposition probe_bytes is {self.probe_bytes}; it must be 0 (none) or more")
        if self.installed_blocks < 0:
            raise ConfigurationError(f"decomposition installed_blocks is {self.installed_blocks}; it must be 0 or more")

    @property
    def probes(self) -> bool:
        """Whether a device's link is measured before its first choice: only where the choice depends on it."""
        return self.rule == "adaptive" and self.objective not in ("bytes", "arithmetic") and self.probe_bytes > 0

    def check(self, count: int, rank: int) -> None:
        """Refuse what a model of `count` blocks with adapters of that rank cannot do. Raises ConfigurationError."""
        for name, number in (("blocks", max(self.blocks)), ("installed_blocks", self.installed_blocks)):
            if number > count:
                raise ConfigurationError(
                    f"decomposition {name} is {number}: a cut outside the model, which has {count} blocks; legal are 0 "
                    f"to {count}"
                )
        if self.ranks and max(self.ranks) > rank:
            raise ConfigurationError(
                f"decomposition ranks has {max(self.ranks)}, and the server's adapters have rank {rank}; legal are 1 "
                f"to {rank}"
            )


def of_device(values: tuple[int, ...] | tuple[str, ...], device: int) -> int | str:
    """Return the value of a device: they are repeated as often as needed."""
    return values[device % len(values)]
