# SPDX-License-Identifier: GPL-2.0-only
"""Settings of one backbone for two tasks; importing them imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from edgelam.errors import ConfigurationError


@dataclass(frozen=True)
class TasksSettings:
    """Prediction and beamforming over one backbone, beside models of their own."""

    steps: int = 0
    """Optimiser steps of each model and task; 0: there is no such study."""
    samples: int = 300
    """Samples of CSI for prediction."""
    batch_size: int = 32
    """Channels in a step of beamforming."""
    learning_rate: float = 2e-3
    """Of beamforming; a tenth of it for the weights of a backbone that are trained themselves."""
    users: int = 4
    """Users of the channels on which beamforming is tested, and antennas, at 10 dB."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name, least in (("steps", 0), ("samples", 1), ("batch_size", 1), ("users", 2)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"tasks.{name} is {getattr(self, name)}; it must be at least {least}")
        if not 0 < self.learning_rate < float("inf"):
            raise ConfigurationError(f"tasks.learning_rate is {self.learning_rate}; it must be a positive number")
