# SPDX-License-Identifier: GPL-2.0-only
"""Settings of contrastive alignment; importing this imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgelam.errors import ConfigurationError

Held = Literal["both", "first", "second"]
LABEL_TEXT = "label-text"


@dataclass(frozen=True)
class AlignmentSettings:
    """Which two modalities are aligned, and which of them each device has."""

    second: str = LABEL_TEXT
    """The modality beside that of `task`: label-text (the name of the sample's class), or another task that has the
    same samples (with task accelerometer: gyroscope, and the reverse)."""
    backbone: str = "minilm"
    """The transformer of the second modality."""
    held: tuple[Held, ...] = ("both",)
    """What ue0, ue1, ... have, repeated as often as needed: both modalities, the first, or the second alone."""
    width: int = 64
    """Numbers of a vector in the shared space, at least 1."""
    temperature: float = 0.1
    """By which cosines are divided before the softmax, positive."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if self.width < 1:
            raise ConfigurationError(f"alignment width is {self.width}; it must be at least 1")
        if not 0.0 < self.temperature < float("inf"):
            raise ConfigurationError(f"alignment temperature is {self.temperature}; it must be a positive number")
        if not self.held:
            raise ConfigurationError("alignment held is empty; legal are both, first, second, one or more")

    def check(self, devices: int) -> None:
        """Raise ConfigurationError if a modality is on none of so many devices."""
        for name in ("first", "second"):
            if not any(self.has(name, device) for device in range(devices)):
                raise ConfigurationError(
                    f"alignment held is {', '.join(self.held)} for {devices} devices: none has the {name} modality, of "
                    "which nothing can be learnt; legal is one device or more with each"
                )

    def has(self, modality: str, device: int) -> bool:
        """Return whether a device, by its number, has a modality (first, second)."""
        return self.held[device % len(self.held)] in ("both", modality)
