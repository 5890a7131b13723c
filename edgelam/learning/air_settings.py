# SPDX-License-Identifier: GPL-2.0-only
"""Settings of sums over the air; importing this imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from edgelam.errors import ConfigurationError


@dataclass(frozen=True)
class AirSettings:
    """What is sent, how much of the cell it takes, and which noise counts."""

    truncation: float = 0.05
    """A device is silent in resource blocks whose gain is below this share of its mean; at least 0 and below 1."""
    most_prbs: int | None = None
    """Resource blocks that are taken in an uplink slot at most; None: all."""
    least_noise_figure_db: float | None = None
    """The lowest noise figure that the receiver may have, dB: no more of the noise counts for privacy. None: the one
    that the cell states."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if not 0.0 <= self.truncation < 1.0:
            raise ConfigurationError(f"air truncation is {self.truncation}; it must be at least 0 and below 1")
        if self.most_prbs is not None and self.most_prbs < 1:
            raise ConfigurationError(f"air most_prbs is {self.most_prbs}; it must be at least 1, or None")
        if self.least_noise_figure_db is not None and not 0.0 <= self.least_noise_figure_db < 100.0:
            raise ConfigurationError(
                f"air least_noise_figure_db is {self.least_noise_figure_db}; it must be at least 0 and below 100"
            )
