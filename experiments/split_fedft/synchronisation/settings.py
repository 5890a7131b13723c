# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the study of synchronisation; importing this imports no torch."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from ..config import Config

Way = Literal["synchronous", "deadline", "semi-asynchronous", "asynchronous"]
ALL_WAYS: tuple[Way, ...] = ("synchronous", "deadline", "semi-asynchronous", "asynchronous")


@dataclasses.dataclass(frozen=True)
class SynchronisationStudy:
    """Which ways to wait for devices are compared, with how many seeds."""

    ways: tuple[Way, ...] = ()
    """synchronous: rounds of fed-lora that wait for all devices; deadline: rounds that leave out late ones;
    semi-asynchronous: fedbuff with `buffer` updates to a version; asynchronous: fedbuff with one. All have as many
    updates as asked for. Empty: no study."""
    num_seeds: int = 1
    """Every way runs with so many seeds, from `seed` on."""
    deadline_s: float = 0.3
    """Seconds of a round with a deadline."""
    buffer: int = 2
    """semi-asynchronous: updates that make a version, at least 2."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if len(set(self.ways)) < len(self.ways):
            raise ConfigurationError(f"ways are {self.ways}; each may be given once")
        if self.num_seeds < 1:
            raise ConfigurationError(f"num_seeds is {self.num_seeds}; it must be at least 1")
        if not 0.0 < self.deadline_s < float("inf"):
            raise ConfigurationError(f"deadline_s is {self.deadline_s}; it must be above 0 and finite")
        if self.buffer < 2:
            raise ConfigurationError(f"buffer is {self.buffer}; it must be at least 2 (with 1 it is asynchronous)")

    def under(self, config: Config, way: str) -> Config:
        """Return the configuration of a run in one way, without a study. Raises ConfigurationError."""
        changes: dict[str, dict[str, Any]] = {
            "synchronous": {"stragglers": "wait", "round_deadline_s": None},
            "deadline": {"stragglers": "drop", "round_deadline_s": self.deadline_s},
            "semi-asynchronous": {"buffer": self.buffer, "stragglers": "wait", "round_deadline_s": None},
            "asynchronous": {"buffer": 1, "stragglers": "wait", "round_deadline_s": None},
        }
        method: Any = "fed-lora" if way in ("synchronous", "deadline") else "fedbuff"
        learning, none = dataclasses.replace(config.learning, **changes[way]), SynchronisationStudy()
        return dataclasses.replace(config, learning=learning, methods=(method,), synchronisations=none)
