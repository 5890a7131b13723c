# SPDX-License-Identifier: GPL-2.0-only
"""Settings of learned beamforming; importing them imports neither torch nor transformers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from edgelam.errors import ConfigurationError
from edgelam.models.lora import LoraSettings

Kind = Literal["graph-lam", "graph-lam-full", "graph-lam-random", "no-backbone", "gnn", "unrolled-wmmse"]
KINDS: tuple[Kind, ...] = (
    "graph-lam", "graph-lam-full", "graph-lam-random", "no-backbone", "gnn", "unrolled-wmmse",
)  # fmt: skip


@dataclass(frozen=True)
class PolicySettings:
    """The size of a policy."""

    backbone: str = "minilm"
    """graph-lam: "minilm" (works offline), a model folder, or a model in the local hub cache."""
    layers: int = 2
    """graph-lam: how many of the backbone's first layers are used."""
    lora: LoraSettings = field(default_factory=lambda: LoraSettings(rank=8, alpha=16.0))
    """graph-lam: the adapters."""
    width: int = 32
    """Width of the message passing; gnn takes the width with which it has as many trained parameters as graph-lam."""
    depth: int = 2
    """Rounds of message passing."""
    looks: int = 2
    """How often a policy looks at what its precoder does, and changes it."""
    iterations: int = 4
    """unrolled-wmmse: iterations, each with steps of its own."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name in ("layers", "width", "depth", "looks", "iterations"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")


@dataclass(frozen=True)
class TrainingSettings:
    """What a policy is trained on: fresh channels CN(0, 1) in every step, all samples of a step of one size."""

    steps: int = 2000
    """Optimiser steps."""
    batch_size: int = 128
    """Channels in a step."""
    users: tuple[int, int] = (4, 6)
    """Fewest and most users; the size of a step is drawn."""
    extra_antennas: tuple[int, int] = (0, 2)
    """Fewest and most antennas beyond the number of users."""
    snr_db: tuple[float, float] = (0.0, 20.0)
    """Power over noise, drawn for each sample, dB."""
    gain_range_db: float = 0.0
    """How far the mean gains of the users of a sample may lie apart, dB: each is drawn from a range of this width, with
    the SNR above in its middle."""
    objective: Literal["sum-rate", "max-min"] = "sum-rate"
    """What is made large: the weighted sum of the users' rates, or the least of weight times rate."""
    weight_range: float = 1.0
    """Weights of users are drawn from 1/weight_range to weight_range, evenly on a logarithmic scale; 1: all are 1."""
    minimum_rate: float = 0.0
    """Rate that each user should have, bit/s/Hz; 0: none."""
    penalty: float = 5.0
    """What is taken from the objective for each bit/s/Hz that a user is below `minimum_rate`. No guarantee: where it is
    small, or the rate impossible, users stay below."""
    learning_rate: float = 1e-3
    """Of Adam at the beginning; it falls to 0 along a cosine."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name, least in (("users", 1), ("extra_antennas", 0), ("snr_db", -60.0)):
            low, high = getattr(self, name)
            if not (least <= low <= high < math.inf):
                raise ConfigurationError(f"{name} is {low:g} to {high:g}; legal are numbers from {least:g}, low first")
        if not 0.0 <= self.gain_range_db <= 60.0:
            raise ConfigurationError(f"gain_range_db is {self.gain_range_db}; legal are 0 to 60 dB")
        if not 1.0 <= self.weight_range <= 1000.0:
            raise ConfigurationError(f"weight_range is {self.weight_range}; legal are 1 to 1000")
        for name in ("minimum_rate", "penalty"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; legal are finite numbers from 0 on")
        if not 0.0 < self.learning_rate < math.inf:
            raise ConfigurationError(f"learning_rate is {self.learning_rate}; it must be a positive number")
