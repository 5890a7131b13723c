# SPDX-License-Identifier: GPL-2.0-only
"""Settings of channel prediction; importing them imports neither torch nor transformers."""

from dataclasses import dataclass, field
from typing import Literal

from edgelam.errors import ConfigurationError
from edgelam.models.lora import LoraSettings


@dataclass(frozen=True)
class WindowSettings:
    """How a sample is cut."""

    history: int = 16
    """Snapshots known, at least 2."""
    horizon: int = 4
    """Snapshots predicted, at least 1."""
    tones: int = 48
    """Tones of the past and of the future, at least 1."""
    duplex: Literal["tdd", "fdd"] = "tdd"
    """tdd: predict the band that is known; fdd: predict the upper band from the lower."""
    antennas: int = 0
    """Pairs of antennas used of each sample, evenly spread; 0: all."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name, least in (("history", 2), ("horizon", 1), ("tones", 1), ("antennas", 0)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least {least}")


@dataclass(frozen=True)
class TrainingSettings:
    """How a predictor is trained."""

    batch_size: int = 32
    """Samples of an optimiser step, each with all its antennas, at least 1."""
    optimiser: Literal["adam", "sgd"] = "adam"
    """Adam (as LLM4CP) or plain SGD (as the federated case study says)."""
    learning_rate: float = 1e-3
    """Positive."""
    snr_db: tuple[float, float] = (5.0, 20.0)
    """Noise of training: the SNR of each sample is drawn from this interval anew in each epoch."""
    noisy_target: bool = True
    """Noise on the future too, as a device that trains on what it measured has it."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: matrix products in bfloat16 (mixed precision), weights and loss in float32."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if self.batch_size < 1:
            raise ConfigurationError(f"batch_size is {self.batch_size}; it must be at least 1")
        if not 0.0 < self.learning_rate < float("inf"):
            raise ConfigurationError(f"learning_rate is {self.learning_rate}; it must be a positive number")


@dataclass(frozen=True)
class LamSettings:
    """The size of what is around the backbone, and what of it is trained."""

    channels: int = 64
    """Of the branches' convolutions, at least 1."""
    blocks: int = 4
    """Residual blocks of each branch, 0 or more."""
    patch: int = 4
    """Snapshots of a patch; divides the history."""
    layers: int = 6
    """First layers of the backbone that are used, at least 1 and at most as many as it has."""
    lora: LoraSettings = field(default_factory=LoraSettings)
    """The adapters."""
    train_norms: bool = True
    """Train the backbone's LayerNorms and position embeddings too, as LLM4CP does."""
