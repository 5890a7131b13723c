# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the study of privacy; importing this imports no torch."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from edgelam.errors import ConfigurationError
from edgelam.learning.privacy.settings import PrivacySettings
from edgelam.learning.privacy.user import UserPrivacySettings

if TYPE_CHECKING:
    from ..config import Config

NONE, CLIP, EPSILON, ETA, USER = "none", "clip", "epsilon", "eta", "user-epsilon"
_WITH_NUMBER = re.compile(rf"({USER}|{EPSILON}|{ETA})-(\d+(?:\.\d+)?)")


@dataclasses.dataclass(frozen=True)
class PrivacyStudy:
    """Which ways to protect are compared, with how many seeds, and how they are attacked."""

    ways: tuple[str, ...] = ()
    """none: split-fedft as it is; clip: Jacobians of bounded length; epsilon-N: with noise for that budget of each
    sample's label; eta-N: noise on embeddings instead; user-epsilon-N: dp-fed-lora with that budget of each device's
    data. Empty: no study."""
    num_seeds: int = 1
    """Every way runs with so many seeds, from `seed` on."""
    clip: float = 0.1
    """Bound of clip and epsilon-N: of a sample's Jacobian."""
    user_clip: float = 1.0
    """Bound of user-epsilon-N: of a device's update."""
    canaries: int = 4000
    """Releases of each of two kinds in the audit of a way with a clip, at least 1000."""
    matching_steps: int = 100
    """Steps in which inputs are searched for behind a gradient, at least 1."""
    members: int = 200
    """Training samples of a device that membership is told of, at least 20, and as many others."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if len(set(self.ways)) < len(self.ways):
            raise ConfigurationError(f"ways are {self.ways}; each may be given once")
        for way in self.ways:
            kind, number = parse(way)
            if kind not in (NONE, CLIP) and not 0.0 < number < float("inf"):
                raise ConfigurationError(f"way {way!r} has the number {number:g}; it must be above 0 and finite")
        if self.num_seeds < 1:
            raise ConfigurationError(f"num_seeds is {self.num_seeds}; it must be at least 1")
        for name in ("clip", "user_clip"):
            if not 0.0 < getattr(self, name) < float("inf"):
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be above 0 and finite")
        if self.canaries < 1000:
            raise ConfigurationError(f"canaries are {self.canaries}; they must be at least 1000")
        if self.matching_steps < 1:
            raise ConfigurationError(f"matching_steps is {self.matching_steps}; it must be at least 1")
        if self.members < 20:
            raise ConfigurationError(f"members are {self.members}; they must be at least 20")

    def under(self, config: Config, way: str) -> Config:
        """Return the configuration of a run in one way, without a study. Raises ConfigurationError."""
        kind, number = parse(way)
        changes: dict[str, dict[str, Any]] = {
            NONE: {"privacy": PrivacySettings(attack=True)},
            CLIP: {"privacy": PrivacySettings(clip=self.clip, noise_multiplier=0.0, attack=True)},
            EPSILON: {"privacy": PrivacySettings(clip=self.clip, epsilon=number or None, attack=True)},
            ETA: {"privacy": PrivacySettings(embedding_eta=number or None, attack=True)},
            USER: {"user_privacy": UserPrivacySettings(clip=self.user_clip, epsilon=number or None)},
        }
        method: Any = "dp-fed-lora" if kind == USER else "split-fedft"
        learning = dataclasses.replace(config.learning, **changes[kind])
        return dataclasses.replace(config, learning=learning, methods=(method,), privacies=PrivacyStudy())


def parse(way: str) -> tuple[str, float]:
    """Return the kind of a way and its number (0 without one). Raises ConfigurationError."""
    if way in (NONE, CLIP):
        return way, 0.0
    found = _WITH_NUMBER.fullmatch(way)
    if found is None:
        raise ConfigurationError(
            f"way {way!r} is not known; legal are {NONE}, {CLIP}, and {EPSILON}-N, {ETA}-N, {USER}-N with a number N"
        )
    return found[1], float(found[2])
