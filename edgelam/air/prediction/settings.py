# SPDX-License-Identifier: GPL-2.0-only
"""Settings of channel prediction; importing them imports neither torch nor transformers."""

from dataclasses import dataclass, field
from typing import Literal

from edgelam.errors import ConfigurationError
from edgelam.models.lora import LoraSettings


@dataclass(frozen=True)
class WindowSettings:
    """Which parts of a sample are known and predicted."""

    history: int = 16
    """Number of known snapshots, at least 2."""
    horizon: int = 4
    """Number of predicted snapshots, at least 1."""
    tones: int = 48
    """Number of tones of the past and of the future, at least 1."""
    duplex: Literal["tdd", "fdd"] = "tdd"
    """tdd: predict the known band; fdd: predict the upper band from the lower band."""
    antennas: int = 0
    """Number of antenna pairs used from each sample, evenly spread; 0: all."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name, least in (("history", 2), ("horizon", 1), ("tones", 1), ("antennas", 0)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least {least}")


@dataclass(frozen=True)
class TrainingSettings:
    """How a predictor is trained."""

    batch_size: int = 32
    """Samples in each optimiser step, each with all its antennas; at least 1."""
    optimiser: Literal["adam", "sgd"] = "adam"
    """Adam (as in LLM4CP) or plain SGD (as in the federated case study)."""
    learning_rate: float = 1e-3
    """The learning rate, positive."""
    snr_db: tuple[float, float] = (5.0, 20.0)
    """Noise in training: the SNR of each sample is drawn from this interval in each epoch, dB."""
    noisy_target: bool = True
    """Add noise also to the future, as for a device that trains on its own measurements."""
    loss: Literal["sample", "batch"] = "sample"
    """NMSE: mean over samples of error over power, so that all count alike; or error of the batch over its power."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """fp32, or bf16: matrix products in bfloat16 (mixed precision), weights and loss in float32."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if self.batch_size < 1:
            raise ConfigurationError(f"batch_size is {self.batch_size}; it must be at least 1")
        if not 0.0 < self.learning_rate < float("inf"):
            raise ConfigurationError(f"learning_rate is {self.learning_rate}; it must be a positive number")


@dataclass(frozen=True)
class LamSettings:
    """The size of the parts around the backbone, and which parts are trained."""

    channels: int = 64
    """Channels of the branches' convolutions, at least 1."""
    blocks: int = 4
    """Number of residual blocks in each branch, 0 or more."""
    patch: int = 4
    """Snapshots in each patch; must divide the history."""
    layers: int = 6
    """How many of the backbone's first layers are used, at least 1 and at most all."""
    lora: LoraSettings = field(default_factory=LoraSettings)
    """The adapters."""
    train_norms: bool = True
    """Also train the backbone's LayerNorms and position embeddings, as LLM4CP does."""
    pre_encoder: Literal["branches", "autoregressive"] = "branches"
    """branches: LLM4CP's convolutions over time and tones; autoregressive: a recurrent network, so that a token knows
    only what was before it (its width is `causal_width`; channels, blocks and patch are of no effect)."""
    causal_width: int = 128
    """Hidden units of the autoregressive pre-encoder, at least 1."""
    views: Literal["both", "frequency", "delay"] = "both"
    """What the pre-encoder sees. delay: the inverse Fourier transform over tones; the future is predicted there and
    transformed back."""
    residual: Literal["hold-last", "prony", "none"] = "hold-last"
    """What the output is added to (TDD). prony: its prediction, which the model also sees after the past."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name, least in (("channels", 1), ("blocks", 0), ("patch", 1), ("layers", 1), ("causal_width", 1)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"lam.{name} is {getattr(self, name)}; it must be at least {least}")
