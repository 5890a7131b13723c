# SPDX-License-Identifier: GPL-2.0-only
"""How private what a device sends is to be; importing this imports no torch."""

from dataclasses import dataclass
from typing import Literal

from edgelam.errors import ConfigurationError

Accountant = Literal["rdp", "pld"]


@dataclass(frozen=True)
class PrivacySettings:
    """Clipping, noise and budget; without a clip there is no privacy, and no epsilon."""

    clip: float | None = None
    """split-fedft: largest L2 norm of one sample's Jacobian (of its own loss, by its representation); longer ones are
    scaled down to it. None: no privacy."""
    head_clip: float = 1.0
    """With clip: largest L2 norm of one sample's gradient of the task head, which leaves the device when heads are
    averaged, and which later Jacobians depend on."""
    noise_multiplier: float | None = None
    """Standard deviation of the noise in units of the sensitivity, which is twice the clip: one sample is replaced by
    another. 0: only clipping. None: with epsilon, the noise with which all rounds spend just that; else 0."""
    epsilon: float | None = None
    """Budget of each device. The run ends before a round that would spend more. None: no budget."""
    delta: float = 1e-5
    """Probability with which epsilon may not hold, above 0 and below 1."""
    embedding_eta: float | None = None
    """split-fedft: noise on embeddings, so that they do not tell the tokens: metric privacy, per unit of Euclidean
    distance. The noise's mean length is the width divided by it. None: no noise."""
    attack: bool = False
    """split-fedft: whether tokens and labels are attacked by what the devices have sent, also without protection."""
    accountant: Accountant = "rdp"
    """What keeps to the budget: rdp (Renyi differential privacy) or pld (privacy loss distribution, tighter)."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name in ("clip", "head_clip", "epsilon", "embedding_eta"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < float("inf"):
                raise ConfigurationError(f"privacy {name} is {value}; it must be positive")
        if self.noise_multiplier is not None and not 0.0 <= self.noise_multiplier < float("inf"):
            raise ConfigurationError(f"privacy noise_multiplier is {self.noise_multiplier}; it must be 0 or more")
        if not 0.0 < self.delta < 1.0:
            raise ConfigurationError(f"privacy delta is {self.delta}; it must be between 0 and 1 (exclusive)")
        if self.clip is None and (self.noise_multiplier or self.epsilon is not None):
            raise ConfigurationError(
                "privacy has noise or a budget but clip is None: noise hides nothing whose size has no bound; give "
                "--privacy.clip, the largest L2 norm of one sample's Jacobian"
            )
        if self.epsilon is not None and self.noise_multiplier == 0.0:
            raise ConfigurationError(
                "privacy epsilon is given with noise_multiplier 0: without noise no budget is kept; legal are a "
                "positive noise_multiplier, or none, so that it is found for epsilon"
            )
