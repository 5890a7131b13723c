# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the study of learning over the air; importing this imports no torch."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from ..config import Config

AIR, MESSAGES = "air", "messages"
_METHODS = {AIR: "air-fed-lora", MESSAGES: "fed-lora"}
_WAY = re.compile(rf"({AIR}|{MESSAGES})-([1-9]\d*)")


@dataclasses.dataclass(frozen=True)
class OverTheAirStudy:
    """Which ways up are compared, with how many devices, over how many seeds."""

    ways: tuple[str, ...] = ()
    """air-K: the updates of K devices add up in the air (air-fed-lora); messages-K: each device sends its own over TCP
    (fed-lora). Empty: no study."""
    num_seeds: int = 1
    """Every way runs with so many seeds, from `seed` on."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if len(set(self.ways)) < len(self.ways):
            raise ConfigurationError(f"ways are {self.ways}; each may be given once")
        for way in self.ways:
            parse(way)
        if self.num_seeds < 1:
            raise ConfigurationError(f"num_seeds is {self.num_seeds}; it must be at least 1")

    def under(self, config: Config, way: str) -> Config:
        """Return the configuration of a run in one way, without a study. Raises ConfigurationError."""
        kind, devices = parse(way)
        learning, none = dataclasses.replace(config.learning, num_devices=devices), OverTheAirStudy()
        method: Any = _METHODS[kind]
        return dataclasses.replace(config, learning=learning, methods=(method,), sums=none)


def parse(way: str) -> tuple[str, int]:
    """Return the kind of a way and its number of devices. Raises ConfigurationError."""
    found = _WAY.fullmatch(way)
    if found is None:
        raise ConfigurationError(
            f"way {way!r} is not known; legal are {AIR}-K and {MESSAGES}-K with a number K of devices"
        )
    return found[1], int(found[2])
