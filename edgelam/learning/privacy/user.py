# SPDX-License-Identifier: GPL-2.0-only
"""Privacy of a whole device's data (user-level differential privacy); importing this imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from edgelam.errors import ConfigurationError
from edgelam.learning.privacy.settings import Accountant


@dataclass(frozen=True)
class UserPrivacySettings:
    """Clipping and noise of a device's update, budget, and who sees what."""

    clip: float = 1.0
    """Largest L2 norm of a device's update (adapters and head together); longer ones are scaled down to it."""
    noise_multiplier: float | None = None
    """Standard deviation of the noise in the sum of a round's updates, in units of the sensitivity, which is twice the
    clip: a device's data are replaced by others. 0: only clipping. None: with epsilon, the noise with which all rounds
    spend just that; else 0."""
    epsilon: float | None = None
    """Budget. The run ends before a round that would spend more. None: no budget."""
    delta: float = 1e-5
    """Probability with which epsilon may not hold, above 0 and below 1."""
    secure: bool = True
    """dp-fed-lora: whether updates go up under masks that cancel in their sum (secure aggregation): then the server
    sees the sum alone. False: epsilon holds only against those who see models, and not against the server."""
    accountant: Accountant = "rdp"
    """What keeps to the budget: rdp or pld."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if not 0.0 < self.clip < float("inf"):
            raise ConfigurationError(f"user_privacy clip is {self.clip}; it must be positive and finite")
        if self.noise_multiplier is not None and not 0.0 <= self.noise_multiplier < float("inf"):
            raise ConfigurationError(f"user_privacy noise_multiplier is {self.noise_multiplier}; it must be 0 or more")
        if self.epsilon is not None and not 0.0 < self.epsilon < float("inf"):
            raise ConfigurationError(f"user_privacy epsilon is {self.epsilon}; it must be positive")
        if not 0.0 < self.delta < 1.0:
            raise ConfigurationError(f"user_privacy delta is {self.delta}; it must be between 0 and 1 (exclusive)")
        if self.epsilon is not None and self.noise_multiplier == 0.0:
            raise ConfigurationError(
                "user_privacy epsilon is given with noise_multiplier 0: without noise no budget is kept; legal are a "
                "positive noise_multiplier, or none, so that it is found for epsilon"
            )
